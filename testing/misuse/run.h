// One sequence of random calls.
#ifndef TESTING_MISUSE_RUN_H_
#define TESTING_MISUSE_RUN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "peft_c/dlpack.h"
#include "peft_c/peft_c.h"
#include "testing/misuse/pool.h"
#include "testing/misuse/random.h"

namespace peft {

// Thread-compatible: each thread has its own, and may share a pool with others.
class Run {
 public:
  // `shared`: the handles of thread-safe kinds, which other threads use too;
  // null for a run of its own.
  explicit Run(uint64_t seed, Pool* shared = nullptr);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run();

  // Some good calls, so that there is something to misuse, then random ones.
  void Play();

  // A random call, also from inside of a callback of another one.
  void AnyCall();

  // A call that works.
  void GoodCall();

  Random& random() { return random_; }
  Pool& PoolOf(size_t kind);
  bool is_concurrent() const { return shared_ != nullptr; }
  bool is_nested() const { return depth_ > 1; }

  // Memory that stays as long as the handles that may use it.
  void Keep(std::unique_ptr<char[]> memory);

  // A tensor that was handed out; it is deleted now or at the end.
  void Adopt(DLManagedTensor* tensor);

  // Checks `status` and frees it, or keeps it as a handle to misuse. True for
  // success.
  bool Take(peft_status_t* status);

  void Log(const std::string& line) { log_.push_back(line); }

  // Fails the test, with all calls so far.
  void Fail(const std::string& problem) const;

  // The seed and all calls so far.
  std::string Describe() const;

 private:
  // Counts a call that was to work.
  bool Good(const char* function, peft_status_t* status);

  template <typename Handle>
  Handle* AnyLive();
  template <typename Handle>
  void Add(Handle* handle);

  void OpenModel();
  void MakeHostModel();
  void LoadAdapter();
  void MakeSession();
  void Combine(peft_model_t* model, const char* name);
  void Forward();
  void RunLayer();
  void Replace();
  void Probe();
  void MakeStateDict();

  const uint64_t seed_;
  Random random_;
  Pool own_;
  Pool* const shared_;
  int depth_ = 0;
  std::vector<std::string> log_;
  std::vector<DLManagedTensor*> tensors_;
};

// How often each of FunctionInfos was called, and how often it worked.
struct CallCount {
  uint64_t calls = 0;
  uint64_t successes = 0;
};
std::vector<CallCount> CallCounts();

// Counts a call of the function named `name`.
void CountCall(const char* name, bool success);

}  // namespace peft

#endif  // TESTING_MISUSE_RUN_H_
