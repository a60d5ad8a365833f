// Rotary position embedding: its parameters in config.json, its frequencies
// and the cos and sin tables that kernels rotate with. The formulas are those
// of transformers 5.23 `modeling_rope_utils.py`, evaluated in f32 in the same
// order, because an angle is position times frequency: an error of one unit in
// the last place of a frequency grows with the position.
#ifndef PEFT_CC_MODELS_ROPE_H_
#define PEFT_CC_MODELS_ROPE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "kernels/view.h"

namespace peft {

// `rope_type`: how frequencies are stretched for contexts longer than those of
// the training.
enum class RopeType { kDefault, kLinear, kDynamic, kLlama3, kYarn };

// `rope_parameters` of config.json, all fields valid for `type`.
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;
  // kLinear, kDynamic, kLlama3, kYarn.
  double factor = 1.0;
  // kLlama3, kYarn: the context length before scaling.
  double original_max_position = 0.0;
  // kLlama3.
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  // kYarn. Absent attention factor: computed from factor and both mscales
  // (0: absent).
  std::optional<double> attention_factor;
  double mscale = 0.0;
  double mscale_all_dim = 0.0;
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true;
};

// The frequencies of one sequence: thread-compatible, a value. With kDynamic
// they change while a sequence grows beyond what the model was trained for, so
// a session has its own.
class RopeFrequencies {
 public:
  // `head_dim` is even (more than 2 with kDynamic), `max_position` positive.
  RopeFrequencies(const RopeConfig& config, int64_t head_dim,
                  int64_t max_position);

  // False when hostile parameters made them infinite or NaN.
  bool IsFinite() const;

  // Adapts to a forward whose greatest position is `num_positions` - 1, with
  // the memory that transformers' module has. Allocates nothing. Constant time
  // unless the type is kDynamic.
  void Update(int64_t num_positions);

  // Forgets earlier lengths. Allocates nothing.
  void Reset();

  // head_dim / 2 of them.
  absl::Span<const float> inverse() const { return inverse_; }
  // What cos and sin are multiplied with.
  float attention_scaling() const { return attention_scaling_; }

 private:
  RopeConfig config_;
  int64_t head_dim_;
  int64_t max_position_;
  int64_t longest_;  // kDynamic: what inverse_ was computed for
  std::vector<float> original_;
  std::vector<float> inverse_;
  float attention_scaling_ = 1.0f;
};

// Writes row i of both tables, (positions.size(), head_dim / 2), for
// positions[i].
void FillRopeTables(const RopeFrequencies& frequencies,
                    absl::Span<const int64_t> positions,
                    const kernels::Rows& cos_table,
                    const kernels::Rows& sin_table);

}  // namespace peft

#endif  // PEFT_CC_MODELS_ROPE_H_
