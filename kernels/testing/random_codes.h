// Random quantised matrices for tests and benchmarks.
#ifndef KERNELS_TESTING_RANDOM_CODES_H_
#define KERNELS_TESTING_RANDOM_CODES_H_

#include <cstdint>
#include <vector>

#include "kernels/testing/random_views.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// Codes at an odd address, with scales and values that are normal. Owns what
// the view points to.
class RandomCodes {
 public:
  // `cols` is a multiple of `block`. Interleaved where kernels/view.h allows it
  // and `interleave` asks for it.
  RandomCodes(DType dtype, int64_t rows, int64_t cols, int64_t block,
              Random& random, bool interleave = true);
  RandomCodes(const RandomCodes&) = delete;
  RandomCodes& operator=(const RandomCodes&) = delete;

  MatrixView view() const;
  // What the element stands for, worked out once more here.
  double At(int64_t row, int64_t col) const;

 private:
  const DType dtype_;
  const int64_t rows_;
  const int64_t cols_;
  std::vector<uint8_t> bytes_;
  std::vector<float> scales_;
  std::vector<uint16_t> small_scales_;  // the same, as kQ4 and kQ8 have them
  std::vector<float> values_;
  BlockCodes codes_;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_TESTING_RANDOM_CODES_H_
