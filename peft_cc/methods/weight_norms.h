// The norms that DoRA divides by, as parts from which those of any scale
// follow.
#ifndef PEFT_CC_METHODS_WEIGHT_NORMS_H_
#define PEFT_CC_METHODS_WEIGHT_NORMS_H_

#include <vector>

#include "kernels/thread_pool.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// For each output o of a layer with weight W and factors A (r, in), B (out, r):
// ||(W + s B A)[o]||^2 = weight[o] + 2 s cross[o] + s^2 delta[o].
struct WeightNorms {
  std::vector<double> weight;
  std::vector<double> cross;
  std::vector<double> delta;
};

// `layer` has a weight. Reads it once or twice, as fast as a forward of r rows.
WeightNorms ComputeWeightNorms(const Layer& layer, const Tensor& a,
                               const Tensor& b, kernels::ThreadPool& pool);

// `weight` alone, as for factors of zero.
std::vector<double> SquaredWeightNorms(const Layer& layer,
                                       kernels::ThreadPool& pool);

}  // namespace peft

#endif  // PEFT_CC_METHODS_WEIGHT_NORMS_H_
