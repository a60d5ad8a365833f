// Chooses the next token of a row from its logits.
#ifndef PEFT_CC_MODELS_SAMPLER_H_
#define PEFT_CC_MODELS_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/models/session_options.h"

namespace peft {

// INVALID_ARGUMENT (ARGUMENT) naming the first option that is out of its
// range: those of transformers' logits processors. Sampling options count only
// with do_sample.
absl::Status CheckSamplingOptions(const GenerateOptions& options);

// Greedy: the first of the greatest logits. Sampling: temperature, top-k, top-p
// and min-p in that order, as transformers 5.23 applies them, then one draw.
// The repetition penalty comes before either.
//
// Draws are uniform doubles of SplitMix64 (Steele, Lea, Flood 2014): a stream
// per row, which begins at the seed's 64-bit mix plus the row's, so that a row
// gets the same tokens whatever the other rows do. They are not torch's.
//
// Thread-compatible. Allocates only in its constructor.
class Sampler {
 public:
  // A token that may be drawn.
  struct Candidate {
    int64_t token = 0;
    float score = 0.0f;        // the logit after penalty and temperature
    double probability = 0.0;  // not normalised
  };

  // `options` were checked.
  Sampler(const GenerateOptions& options, int64_t vocabulary, int64_t rows);

  // Tells the penalty that `token` is in row `row`.
  void Observe(int64_t row, int64_t token);

  // The next token of `row` for its logits. INVALID_ARGUMENT
  // (LOGITS_NOT_FINITE) when one of them is NaN, or when none can be drawn.
  absl::StatusOr<int64_t> Next(int64_t row, const float* logits);

  // The tokens that sampling draws from; valid until the next call. Fails as
  // Next does.
  absl::StatusOr<absl::Span<const Candidate>> Candidates(int64_t row,
                                                         const float* logits);

 private:
  absl::StatusOr<const float*> Penalised(int64_t row, const float* logits);
  void KeepTopK();
  void KeepTopP();
  void KeepMinP();
  double Draw(int64_t row);

  GenerateOptions options_;
  int64_t vocabulary_;
  std::vector<uint64_t> streams_;  // one per row
  std::vector<float> scores_;      // of one row
  std::vector<Candidate> candidates_;
  std::vector<float> order_;  // scratch of KeepTopK
  // Tokens of each row that the penalty knows, and which those are.
  std::vector<std::vector<int64_t>> seen_;
  std::vector<std::vector<bool>> is_seen_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_SAMPLER_H_
