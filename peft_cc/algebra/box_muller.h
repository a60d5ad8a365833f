// The step of torch's normal_() that turns uniform numbers into normal ones.
#ifndef PEFT_CC_ALGEBRA_BOX_MULLER_H_
#define PEFT_CC_ALGEBRA_BOX_MULLER_H_

#include <cstddef>

namespace peft {

// Elements that BoxMuller works on: eight pairs.
inline constexpr size_t kBoxMullerBlock = 16;

// Replaces 16 uniform numbers u of [0, 1) by normal ones: with
// r = sqrt(-2 ln(1 - u[j])) and t = 2 pi u[j + 8], element j becomes
// r cos(t) stddev + mean, and j + 8 the same with the sine. Every operation is
// rounded as in torch's AVX2 code, whose logarithm, sine and cosine are
// polynomials that are good to about one unit in the last place.
void BoxMuller(float mean, float stddev, float* data);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_BOX_MULLER_H_
