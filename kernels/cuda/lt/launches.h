// Products that run one after the other.
#ifndef KERNELS_CUDA_LT_LAUNCHES_H_
#define KERNELS_CUDA_LT_LAUNCHES_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/plan_cache.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {

// out = activation(scale left right [+ out] [+ bias]), with its memory. A
// factor is transposed where `Gemm` says so of it.
struct Product {
  DeviceMatrix left;
  bool left_transposed = false;
  DeviceMatrix right;
  bool right_transposed = false;
  DeviceMatrix out;
  GemmScale scale = GemmScale::kOne;
  DevicePtr scale_data = 0;
  bool accumulate = false;
  DevicePtr bias = 0;
  GemmActivation activation = GemmActivation::kNone;
};

// out = left right, to be made more of.
inline Product ProductOf(const DeviceMatrix& left, const DeviceMatrix& right,
                         const DeviceMatrix& out) {
  Product product;
  product.left = left;
  product.right = right;
  product.out = out;
  return product;
}

// The shape of a product. Its factors must fit each other.
inline Gemm GemmOf(const Product& product) {
  Gemm gemm;
  gemm.m = product.out.rows;
  gemm.n = product.out.cols;
  gemm.k = product.left_transposed ? product.left.rows : product.left.cols;
  gemm.left = GemmMatrixOf(product.left, product.left_transposed);
  gemm.right = GemmMatrixOf(product.right, product.right_transposed);
  gemm.out = GemmMatrixOf(product.out, false);
  gemm.scale = product.scale;
  gemm.accumulate = product.accumulate;
  if (product.bias != 0) gemm.bias_alignment = AlignmentOf(product.bias);
  gemm.activation = product.activation;
  return gemm;
}

// Its memory, for a plan of that shape.
inline GemmPointers PointersOf(const Product& product) {
  return {product.left.data, product.right.data, product.out.data, product.bias,
          product.scale_data};
}

// What a layer runs. Filled while it is planned, then immutable.
class Launches {
 public:
  // Fails as PlanCache::Get does; nothing is added then.
  absl::Status Add(PlanCache* cache, const Product& product) {
    PEFT_ASSIGN_OR_RETURN(auto plan, cache->Get(GemmOf(product)));
    launches_.push_back({std::move(plan), PointersOf(product)});
    return absl::OkStatus();
  }

  absl::Status Run(const LtStream& stream) const {
    for (const Launch& launch : launches_) {
      PEFT_RETURN_IF_ERROR(launch.plan->Run(stream, launch.pointers));
    }
    return absl::OkStatus();
  }

  int size() const { return static_cast<int>(launches_.size()); }
  std::vector<Gemm> gemms() const {
    std::vector<Gemm> result;
    for (const Launch& launch : launches_) {
      result.push_back(launch.plan->gemm());
    }
    return result;
  }

 private:
  struct Launch {
    std::shared_ptr<const GemmPlan> plan;
    GemmPointers pointers;
  };
  std::vector<Launch> launches_;
};

// INVALID_ARGUMENT (ARGUMENT) unless the matrix is (rows, cols).
absl::Status CheckShape(const char* name, const DeviceMatrix& matrix,
                        int64_t rows, int64_t cols);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_LAUNCHES_H_
