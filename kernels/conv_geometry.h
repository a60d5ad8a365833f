// The geometry of a convolution over one to three axes, as data.
#ifndef KERNELS_CONV_GEOMETRY_H_
#define KERNELS_CONV_GEOMETRY_H_

#include <array>
#include <cstdint>

namespace peft {
namespace kernels {

// One number per axis, the unused ones in front: those of a Conv1d are
// {1, 1, width}.
using ConvAxes = std::array<int64_t, 3>;

// What torch's Conv1d, Conv2d and Conv3d are told. Zeros pad the input.
struct ConvGeometry {
  int num_axes = 0;  // 0: no convolution; else 1 to 3
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;  // divides both
  ConvAxes kernel = {1, 1, 1};
  ConvAxes stride = {1, 1, 1};
  ConvAxes dilation = {1, 1, 1};
  ConvAxes padding_begin = {0, 0, 0};
  ConvAxes padding_end = {0, 0, 0};

  // Elements that one output is computed from, over all groups.
  int64_t num_columns() const {
    return in_channels * kernel[0] * kernel[1] * kernel[2];
  }
};

// The outputs along each axis for `input` elements along it; 0 or less where
// the kernel does not fit into the padded input.
inline ConvAxes ConvOutputSizes(const ConvGeometry& geometry,
                                const ConvAxes& input) {
  ConvAxes output;
  for (int i = 0; i < 3; ++i) {
    const int64_t padded =
        input[i] + geometry.padding_begin[i] + geometry.padding_end[i];
    const int64_t span = geometry.dilation[i] * (geometry.kernel[i] - 1) + 1;
    output[i] = padded < span ? 0 : (padded - span) / geometry.stride[i] + 1;
  }
  return output;
}

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CONV_GEOMETRY_H_
