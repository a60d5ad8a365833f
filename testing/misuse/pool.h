// The handles that sequences of calls have made.
#ifndef TESTING_MISUSE_POOL_H_
#define TESTING_MISUSE_POOL_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "testing/misuse/random.h"

namespace peft {

// Thread-safe: threads that misuse the same objects share one.
class Pool {
 public:
  Pool();
  // Frees what is left.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // `kind` is an index of HandleInfos.
  void Add(size_t kind, void* handle);

  // `handle` was given to the function that frees `kind`.
  void Freed(size_t kind, void* handle);

  // One that lives, or that was freed; null when there is none.
  void* Live(size_t kind, Random& random) const;
  void* Dead(size_t kind, Random& random) const;

  size_t num_live(size_t kind) const;

  // Memory that handles use: it stays as long as they may live.
  void Keep(std::unique_ptr<char[]> memory);

  // Frees all that lives, in an order of chance, then what was kept.
  void FreeAll(Random& random);

 private:
  struct Handles {
    std::vector<void*> live;
    std::vector<void*> dead;
  };

  mutable std::mutex mutex_;
  std::vector<Handles> kinds_;
  std::vector<std::unique_ptr<char[]>> kept_;
};

}  // namespace peft

#endif  // TESTING_MISUSE_POOL_H_
