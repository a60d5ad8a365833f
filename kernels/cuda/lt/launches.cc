#include "kernels/cuda/lt/launches.h"

#include "absl/strings/str_format.h"

namespace peft {
namespace kernels {
namespace cuda {

absl::Status CheckShape(const char* name, const DeviceMatrix& matrix,
                        int64_t rows, int64_t cols) {
  if (matrix.data != 0 && matrix.rows == rows && matrix.cols == cols) {
    return absl::OkStatus();
  }
  const std::string expected = absl::StrFormat("[%d, %d]", rows, cols);
  const std::string found =
      matrix.data == 0 ? "none"
                       : absl::StrFormat("[%d, %d]", matrix.rows, matrix.cols);
  return ArgumentError(
      absl::StrFormat("%s of an adapted linear is %s, expected "
                      "%s",
                      name, found, expected),
      {name, expected, found});
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
