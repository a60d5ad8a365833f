// Whether the program has called the library yet.
#ifndef PEFT_C_USED_H_
#define PEFT_C_USED_H_

#include <atomic>

namespace peft {

inline std::atomic<bool> library_is_used{false};

// Notes a call. True if there was one before.
inline bool MarkUsed() noexcept {
  return library_is_used.load(std::memory_order_relaxed) ||
         library_is_used.exchange(true);
}

}  // namespace peft

#endif  // PEFT_C_USED_H_
