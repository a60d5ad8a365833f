// Plans of linear layers as tests need them.
#ifndef KERNELS_TESTING_RANDOM_PLAN_H_
#define KERNELS_TESTING_RANDOM_PLAN_H_

#include <cmath>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/linear_plan.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {

// A random plan on given weights, and what it computes, by its definition.
class RandomPlan {
 public:
  static constexpr int64_t kIn = 75;
  static constexpr int64_t kOut = 58;

  enum Kind {
    kAny,
    kUngated,
    kOnlyProducts,  // no gate and no patch
  };

  // For `rows` rows.
  RandomPlan(const RandomMatrix* weight, bool transposed, int64_t rows,
             Random& random, Kind kind = kAny)
      : weight_(weight), rows_(rows), is_gated_(kind == kAny) {
    plan_.weight = weight->view();
    plan_.transposed = transposed;
    const auto one_in = [&](unsigned n) { return random() % n == 0; };
    if (one_in(3)) plan_.in_scale = Vector(kIn, random);
    if (one_in(2)) {
      bias_ = std::make_unique<RandomMatrix>(DType::kBF16, 1, kOut, random);
      plan_.bias = bias_->vector();
    }
    if (one_in(3) && kind != kOnlyProducts) AddPatch(random);
    const int stages = static_cast<int>(random() % 4);
    for (int i = 0; i < stages; ++i) AddStage(random);
  }

  LinearGroup group() const {
    return {&plan_, rows_, is_gated_ ? gates_ : nullptr};
  }

  // `size` becomes the sum of the magnitudes of all that is added.
  double Expected(const RandomRows& x, int64_t row, int64_t group_row,
                  int64_t o, double* size) const {
    double sum = Base(x, row, o, size);
    size_t segment = 0;
    for (const LinearStage& stage : plan_.stages) {
      for (const LowRankSegment& term : stage.low_rank) {
        const bool open = term.gate < 0 || gates_[term.gate][group_row] != 0;
        sum += open ? LowRankAt(term, segment, x, row, o, size) : 0;
        ++segment;
      }
      if (stage.out_scale.data == nullptr) continue;
      const double factor = static_cast<const float*>(stage.out_scale.data)[o];
      sum *= factor;
      *size *= std::abs(factor);
    }
    if (bias_ != nullptr) sum += bias_->At(0, o);
    *size += std::abs(sum);
    return sum;
  }

 private:
  VectorView Vector(int64_t size, Random& random) {
    vectors_.push_back(RandomFloats(size, random));
    return {vectors_.back().data(), DType::kF32, size};
  }

  void AddPatch(Random& random) {
    patch_ = std::make_unique<RandomMatrix>(DType::kF16, 3, kIn, random);
    patch_ids_ = {2, 30, kOut - 1};
    plan_.patch = {patch_ids_.data(), patch_->view()};
  }

  void AddStage(Random& random) {
    LinearStage stage;
    const int segments =
        random() % 5 == 0 ? 18 : static_cast<int>(random() % 4);
    for (int i = 0; i < segments; ++i) {
      const int64_t rank = random() % 6;
      factors_.emplace_back(DType::kF32, rank, kIn, random);
      const MatrixView a = factors_.back().view();
      factors_.emplace_back(DType::kBF16, kOut, rank, random);
      const int gate =
          is_gated_ && random() % 3 == 0 ? static_cast<int>(random() % 2) : -1;
      stage.low_rank.push_back(
          {a, factors_.back().view(), 0.25f * static_cast<float>(i + 1), gate});
      if (random() % 3 == 0) {
        stage.low_rank.back().rank_scale = Vector(rank, random);
      }
    }
    if (random() % 2 == 0) stage.out_scale = Vector(kOut, random);
    plan_.stages.push_back(std::move(stage));
    for (auto& bytes : gate_bytes_) {
      bytes.resize(rows_);
      for (uint8_t& byte : bytes) byte = random() % 2;
    }
    gates_[0] = gate_bytes_[0].data();
    gates_[1] = gate_bytes_[1].data();
  }

  double Base(const RandomRows& x, int64_t row, int64_t o, double* size) const {
    const auto* scale = static_cast<const float*>(plan_.in_scale.data);
    double sum = 0;
    for (int64_t i = 0; i < kIn; ++i) {
      double w = plan_.transposed ? weight_->At(i, o) : weight_->At(o, i);
      for (size_t j = 0; j < patch_ids_.size(); ++j) {
        if (patch_ids_[j] == o) w = patch_->At(static_cast<int64_t>(j), i);
      }
      const double product =
          w * x.At(row, i) * (scale == nullptr ? 1.0 : double{scale[i]});
      sum += product;
      *size += std::abs(product);
    }
    return sum;
  }

  double LowRankAt(const LowRankSegment& term, size_t segment,
                   const RandomRows& x, int64_t row, int64_t o,
                   double* size) const {
    double sum = 0;
    for (int64_t r = 0; r < term.a.rows; ++r) {
      double thin = 0;
      double thin_size = 0;
      for (int64_t i = 0; i < kIn; ++i) {
        const double product =
            double{x.At(row, i)} * factors_[2 * segment].At(r, i);
        thin += product;
        thin_size += std::abs(product);
      }
      const auto* const scales =
          static_cast<const float*>(term.rank_scale.data);
      const double factor = double{term.scale} *
                            (scales == nullptr ? 1.0 : double{scales[r]}) *
                            factors_[2 * segment + 1].At(o, r);
      sum += factor * thin;
      *size += std::abs(factor) * thin_size;
    }
    return sum;
  }

  const RandomMatrix* weight_;
  const int64_t rows_;
  const bool is_gated_;
  LinearPlan plan_;
  std::unique_ptr<RandomMatrix> bias_;
  std::unique_ptr<RandomMatrix> patch_;
  std::vector<int64_t> patch_ids_;
  std::deque<std::vector<float>> vectors_;
  std::deque<RandomMatrix> factors_;
  std::vector<uint8_t> gate_bytes_[2];
  const uint8_t* gates_[2] = {};
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_TESTING_RANDOM_PLAN_H_
