// A layer with low-rank terms for several groups of rows, drawn at random, and
// what it has to compute, for tests.
#ifndef KERNELS_CUDA_TESTING_LOW_RANK_LAYER_H_
#define KERNELS_CUDA_TESTING_LOW_RANK_LAYER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/testing/device_case.h"

namespace peft {
namespace kernels {
namespace cuda {

// What a term is made of, on the host.
struct HostTerm {
  HostMatrix a;
  HostMatrix b;
  float scale;
  std::vector<float> rank_scale;  // may be empty
  std::vector<float> gate;        // of each row; may be empty
};

// A layer with terms for several groups of rows.
class LowRankLayer {
 public:
  LowRankLayer(KernelTypes types, int64_t in, int64_t out, Random& random)
      : types_(types), in_(in), out_(out), random_(random) {}

  void AddTerm(int64_t rank, float scale) {
    terms_.push_back({HostMatrix(types_.w, rank, in_, random_),
                      HostMatrix(types_.w, out_, rank, random_),
                      scale,
                      {},
                      {}});
  }
  HostTerm& last_term() { return terms_.back(); }
  void AddGroup(int64_t rows, int first_term, int num_terms) {
    groups_.push_back({rows, first_term, num_terms});
    rows_ += rows;
  }
  void ShuffleRows() {
    for (int64_t row = 0; row < rows_; ++row) {
      places_.push_back(static_cast<int32_t>((row * 7 + 3) % rows_));
    }
  }
  void AddWeight() {
    weight_.emplace_back(types_.x, out_, in_, random_);
    for (int64_t i = 0; i < out_; ++i) {
      bias_.push_back(0.5f * static_cast<float>(i % 5));
      out_scale_.push_back(1.0f + 0.25f * static_cast<float>(i % 3));
    }
  }
  bool has_weight() const { return !weight_.empty(); }
  void set_splits(int splits) { splits_ = splits; }
  void set_shift(size_t shift) { shift_ = shift; }

  // Runs it by shrink and expand, or in one launch, and compares all of y.
  void CheckShrinkAndExpand(DeviceCase& machine);
  void CheckFused(DeviceCase& machine);

 private:
  struct Arguments {
    LowRankArgs low_rank;
    InputArgs input;
    OutputArgs output;
  };

  LowRankArgs UploadTerms(DeviceCase& machine);
  // `gap` elements follow each row of x.
  Arguments Upload(int64_t gap, DeviceCase& machine);
  // Of a group, as FusedShape has it.
  int32_t MostUnits() const;
  void CheckY(const OutputArgs& output, DeviceCase& machine);
  int64_t Place(int64_t row) const {
    return places_.empty() ? row : places_[row];
  }
  // What y has to be, in the place of grouped row `row`, and how large its
  // summands are.
  double Expected(const RowGroup& group, int64_t row, int64_t output,
                  double& size) const;
  void Compare(const HostMatrix& y) const;
  float T(const HostTerm& term, int64_t row, int64_t j) const;

  const KernelTypes types_;
  const int64_t in_;
  const int64_t out_;
  Random& random_;
  int64_t rows_ = 0;
  int splits_ = 1;
  size_t shift_ = 0;
  std::vector<HostTerm> terms_;
  std::vector<RowGroup> groups_;
  std::vector<int32_t> places_;
  std::vector<HostMatrix> weight_;  // none or one
  std::vector<float> bias_;
  std::vector<float> out_scale_;
  std::vector<HostMatrix> x_;
  std::vector<HostMatrix> y_;  // before
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_LOW_RANK_LAYER_H_
