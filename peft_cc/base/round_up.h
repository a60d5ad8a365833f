// Sizes that are whole multiples.
#ifndef PEFT_CC_BASE_ROUND_UP_H_
#define PEFT_CC_BASE_ROUND_UP_H_

#include <type_traits>

namespace peft {

// The least multiple of `multiple`, above 0, that is not under `value`, which
// is not under 0; their sum must fit into an Integer.
template <typename Integer>
constexpr Integer RoundUp(Integer value, std::common_type_t<Integer> multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace peft

#endif  // PEFT_CC_BASE_ROUND_UP_H_
