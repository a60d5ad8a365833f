#include "peft_cc/models/fresh_head.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr uint64_t kSeed = 0;
constexpr int64_t kMaxElements = int64_t{1} << 26;

absl::Status TooLarge(const WeightInfo& weight, int64_t max_elements) {
  const std::string found = ShapeToString(weight.shape);
  const std::string expected =
      absl::StrCat("at most ", max_elements, " elements");
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kModelConfig,
      absl::StrCat("base model: ", weight.name, " ", found,
                   " is not in the weight files, and made anew it may have ",
                   expected, "; are num_labels and config.json right?"),
      {weight.name, expected, found});
}

}  // namespace

bool IsOfHead(const Description& description, const WeightInfo& weight) {
  const std::string& bare = description.bare_prefix;
  return !absl::StartsWith(weight.name, bare) ||
         absl::StartsWith(weight.name, absl::StrCat(bare, "pooler."));
}

FreshHead::FreshHead(const ModelConfig& config, DType dtype,
                     int64_t max_elements)
    : range_(config.initializer_range),
      dtype_(dtype),
      max_elements_(std::max(max_elements, kMaxElements)),
      generator_(kSeed) {}

absl::StatusOr<Tensor> FreshHead::Make(const WeightInfo& weight,
                                       SiteKind kind) {
  const std::optional<int64_t> count = CheckedNumElements(weight.shape);
  if (!count.has_value() || *count > max_elements_) {
    return TooLarge(weight, max_elements_);
  }
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(Tensor tensor,
                        Tensor::Allocate(DType::kF32, weight.shape, &data));
  const absl::Span<float> values(static_cast<float*>(data), *count);
  if (weight.shape.size() > 1) {
    generator_.Normal(0, range_, values);
  } else if (kind == SiteKind::kNorm &&
             absl::EndsWith(weight.name, ".weight")) {
    std::fill(values.begin(), values.end(), 1.0f);
  }
  return tensor.Cast(dtype_);
}

}  // namespace peft
