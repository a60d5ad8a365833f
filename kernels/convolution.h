// The adapted convolution: a linear plan on the columns of its input.
#ifndef KERNELS_CONVOLUTION_H_
#define KERNELS_CONVOLUTION_H_

#include <cstdint>

#include "kernels/conv_geometry.h"
#include "kernels/linear_plan.h"
#include "kernels/thread_pool.h"

namespace peft {
namespace kernels {

// Floats of workspace that RunConvolution needs for `batch` inputs with these
// sizes. At most some MiB, or what a single row of columns needs.
int64_t ConvolutionWorkspaceFloats(const LinearPlan& plan,
                                   const ConvGeometry& geometry, int64_t batch,
                                   const ConvAxes& input);

// y (batch, out channels, outputs) = the plan applied to x (batch, in channels,
// inputs), both contiguous, axes as torch orders them. The plan's weight is
// (out, in / groups * kernel), row-major as the module stores it; its terms and
// its in_scale are over all columns, (in * kernel), without groups. The plan
// has no gates and no patch, and ConvOutputSizes is positive. Chunks do not
// depend on the pool, and so neither do the results. Allocates nothing but, for
// groups, a plan without parts.
void RunConvolution(const LinearPlan& plan, const ConvGeometry& geometry,
                    int64_t batch, const ConvAxes& input, const float* x,
                    float* y, float* workspace, ThreadPool& pool);
// The same for a plan that only adds: what it adds, without the bias, is added
// to y. Reads no weight.
void AddConvolutionStages(const LinearPlan& plan, const ConvGeometry& geometry,
                          int64_t batch, const ConvAxes& input, const float* x,
                          float* y, float* workspace, ThreadPool& pool);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CONVOLUTION_H_
