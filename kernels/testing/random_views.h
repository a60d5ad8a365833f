// Random inputs for tests and benchmarks of kernels: views of every element
// type, at odd addresses and with gaps between rows, and their exact values.
#ifndef KERNELS_TESTING_RANDOM_VIEWS_H_
#define KERNELS_TESTING_RANDOM_VIEWS_H_

#include <cstdint>
#include <random>
#include <vector>

#include "kernels/view.h"

namespace peft {
namespace kernels {

using Random = std::mt19937;

// `count` normal values.
std::vector<float> RandomFloats(int64_t count, Random& random);

// A matrix of normal values with NaN between its rows, which no kernel may
// read into a result. Owns what the view points to.
class RandomMatrix {
 public:
  // `aligned`: as a well-behaved file would have it; else at an odd address.
  RandomMatrix(DType dtype, int64_t rows, int64_t cols, Random& random,
               bool aligned = false);

  MatrixView view() const;
  VectorView vector() const;  // the first row
  // The stored value, after rounding to the dtype.
  float At(int64_t row, int64_t col) const;
  void Set(int64_t row, int64_t col, float value);

 private:
  char* Address(int64_t row, int64_t col);

  DType dtype_;
  int64_t rows_;
  int64_t cols_;
  int64_t stride_;
  std::vector<char> bytes_;
  int64_t offset_;
  std::vector<float> values_;
};

// Rows of activations, `gap` floats of NaN after each.
class RandomRows {
 public:
  RandomRows(int64_t rows, int64_t cols, int64_t gap, Random& random);

  Rows view();
  float At(int64_t row, int64_t col) const;
  float& At(int64_t row, int64_t col);
  // True while nobody has written to the gaps.
  bool GapsAreUntouched() const;

 private:
  int64_t rows_;
  int64_t cols_;
  int64_t stride_;
  std::vector<float> data_;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_TESTING_RANDOM_VIEWS_H_
