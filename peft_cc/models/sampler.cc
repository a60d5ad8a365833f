#include "peft_cc/models/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// The increment of SplitMix64: 2^64 divided by the golden ratio.
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;

// The output function of SplitMix64.
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

// Options are named as in GenerateOptions.
absl::Status OptionError(absl::string_view name, float value,
                         absl::string_view expected) {
  return ArgumentError(
      absl::StrCat(name, " is ", value, ", expected ", expected),
      {std::string(name), std::string(expected), absl::StrCat(value)});
}

bool IsPositive(float value) { return std::isfinite(value) && value > 0; }

bool IsFraction(float value) { return value >= 0 && value <= 1; }

absl::Status BadLogits(int64_t row, absl::string_view problem) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kLogitsNotFinite,
      absl::StrCat("the logits of row ", row, " ", problem,
                   ": look for NaN or too large values in the base model's "
                   "weights and in the active adapters"),
      {"logits", "finite numbers", std::string(problem)});
}

// The first of the greatest; -1 when there is a NaN.
int64_t ArgMax(const float* scores, int64_t size) {
  int64_t best = 0;
  for (int64_t i = 0; i < size; ++i) {
    if (std::isnan(scores[i])) return -1;
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}

}  // namespace

absl::Status CheckSamplingOptions(const GenerateOptions& options) {
  if (!IsPositive(options.repetition_penalty)) {
    return OptionError("repetition_penalty", options.repetition_penalty,
                       "a positive number");
  }
  if (!options.do_sample) return absl::OkStatus();
  if (!IsPositive(options.temperature)) {
    return OptionError("temperature", options.temperature,
                       "a positive number; for the best token each time set "
                       "do_sample to false");
  }
  if (options.top_k < 0) {
    return OptionError("top_k", static_cast<float>(options.top_k),
                       "0 (off) or more");
  }
  if (!IsFraction(options.top_p)) {
    return OptionError("top_p", options.top_p, "a number from 0 to 1");
  }
  if (!IsFraction(options.min_p)) {
    return OptionError("min_p", options.min_p, "a number from 0 to 1");
  }
  return absl::OkStatus();
}

Sampler::Sampler(const GenerateOptions& options, int64_t vocabulary,
                 int64_t rows)
    : options_(options), vocabulary_(vocabulary), streams_(rows) {
  for (int64_t row = 0; row < rows; ++row) {
    streams_[row] =
        Mix(options.seed + kGolden) + Mix(static_cast<uint64_t>(row) + 1);
  }
  scores_.resize(vocabulary);
  if (options.do_sample) {
    candidates_.reserve(vocabulary);
    order_.reserve(vocabulary);
  }
  if (options.repetition_penalty == 1.0f) return;
  seen_.resize(rows);
  for (std::vector<int64_t>& tokens : seen_) tokens.reserve(vocabulary);
  is_seen_.assign(rows, std::vector<bool>(vocabulary, false));
}

// A token counts once, however often it occurs.
void Sampler::Observe(int64_t row, int64_t token) {
  if (seen_.empty() || is_seen_[row][token]) return;
  is_seen_[row][token] = true;
  seen_[row].push_back(token);
}

// The logits themselves when there is no penalty.
absl::StatusOr<const float*> Sampler::Penalised(int64_t row,
                                                const float* logits) {
  if (seen_.empty() || seen_[row].empty()) return logits;
  std::copy(logits, logits + vocabulary_, scores_.begin());
  const float penalty = options_.repetition_penalty;
  for (const int64_t token : seen_[row]) {
    float& score = scores_[token];
    score = score < 0 ? score * penalty : score / penalty;
  }
  return scores_.data();
}

absl::StatusOr<int64_t> Sampler::Next(int64_t row, const float* logits) {
  if (!options_.do_sample) {
    PEFT_ASSIGN_OR_RETURN(const float* scores, Penalised(row, logits));
    const int64_t best = ArgMax(scores, vocabulary_);
    if (best < 0) return BadLogits(row, "hold a NaN");
    return best;
  }
  PEFT_ASSIGN_OR_RETURN(const absl::Span<const Candidate> candidates,
                        Candidates(row, logits));
  double total = 0;
  for (const Candidate& candidate : candidates) {
    total += candidate.probability;
  }
  double rest = Draw(row) * total;
  for (const Candidate& candidate : candidates) {
    rest -= candidate.probability;
    if (rest < 0) return candidate.token;
  }
  return candidates.back().token;  // rounding left a little
}

absl::StatusOr<absl::Span<const Sampler::Candidate>> Sampler::Candidates(
    int64_t row, const float* logits) {
  PEFT_ASSIGN_OR_RETURN(const float* scores, Penalised(row, logits));
  candidates_.clear();
  float greatest = -std::numeric_limits<float>::infinity();
  for (int64_t token = 0; token < vocabulary_; ++token) {
    const float score = scores[token] / options_.temperature;
    if (std::isnan(score)) return BadLogits(row, "hold a NaN");
    if (score == -std::numeric_limits<float>::infinity()) continue;
    candidates_.push_back({token, score, 0.0});
    greatest = std::max(greatest, score);
  }
  if (!std::isfinite(greatest)) {
    return BadLogits(row, "are infinite");
  }
  for (Candidate& candidate : candidates_) {
    candidate.probability =
        std::exp(static_cast<double>(candidate.score) - greatest);
  }
  KeepTopK();
  KeepTopP();
  KeepMinP();
  return absl::MakeConstSpan(candidates_);
}

// Keeps what is at least the k-th greatest score: more than k with ties.
void Sampler::KeepTopK() {
  const size_t k = static_cast<size_t>(options_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  order_.clear();
  for (const Candidate& candidate : candidates_) {
    order_.push_back(candidate.score);
  }
  std::nth_element(order_.begin(), order_.begin() + (k - 1), order_.end(),
                   std::greater<float>());
  const float least = order_[k - 1];
  candidates_.erase(
      std::remove_if(candidates_.begin(), candidates_.end(),
                     [least](const Candidate& c) { return c.score < least; }),
      candidates_.end());
}

// Removes the least probable ones as long as all removed sum up to at most 1 -
// top_p; the most probable one stays.
void Sampler::KeepTopP() {
  if (options_.top_p >= 1.0f) return;
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Candidate& a, const Candidate& b) {
              return a.score != b.score ? a.score > b.score : a.token < b.token;
            });
  double total = 0;
  for (const Candidate& candidate : candidates_) {
    total += candidate.probability;
  }
  const double allowed = (1.0 - static_cast<double>(options_.top_p)) * total;
  double removed = 0;
  while (candidates_.size() > 1) {
    removed += candidates_.back().probability;
    if (removed > allowed) break;
    candidates_.pop_back();
  }
}

// The greatest probability is that of score `greatest`, which is 1 here.
void Sampler::KeepMinP() {
  if (options_.min_p <= 0.0f) return;
  const double least = options_.min_p;
  candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(),
                                   [least](const Candidate& candidate) {
                                     return candidate.probability < least;
                                   }),
                    candidates_.end());
}

// In [0, 1).
double Sampler::Draw(int64_t row) {
  streams_[row] += kGolden;
  return static_cast<double>(Mix(streams_[row]) >> 11) * 0x1.0p-53;
}

}  // namespace peft
