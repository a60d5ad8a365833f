#include "peft_cc/models/config_parts.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr int64_t kMaxTokenId = int64_t{1} << 62;

// The labels of id2label, whose keys Python makes integers.
int64_t CountLabels(ConfigFields& fields) {
  const Json& labels = *fields.Find("id2label");
  constexpr char kExpected[] = "an object from label numbers to texts";
  if (!labels.is_object() || labels.empty() ||
      static_cast<int64_t>(labels.size()) > kMaxVocabulary) {
    fields.Fail("id2label", kExpected);
    return 1;
  }
  for (const auto& item : labels.items()) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(item.key(), &number)) {
      fields.Fail("id2label", kExpected);
    }
  }
  return static_cast<int64_t>(labels.size());
}

}  // namespace

absl::Status UnsupportedModel(absl::string_view what, absl::string_view key,
                              absl::string_view found,
                              absl::string_view expected) {
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kModelUnsupported,
      absl::StrCat(what, ": ", key, " ", Quoted(found, 80),
                   " is not implemented; supported: ", expected),
      {std::string(key), std::string(expected), Printable(found, 80)});
}

absl::StatusOr<Json> ParseConfigObject(absl::string_view text,
                                       absl::string_view what) {
  PEFT_ASSIGN_OR_RETURN(Json object,
                        ParseJson(text, what, {}, /*allow_nan=*/true));
  if (!object.is_object()) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kModelConfig,
                     absl::StrCat(what, ": expected a JSON object"));
  }
  return object;
}

kernels::Activation ReadActivation(ConfigFields& fields, absl::string_view key,
                                   absl::string_view fallback) {
  const std::string name = fields.Text(key, fallback);
  if (name == "silu" || name == "swish") return kernels::Activation::kSilu;
  if (name == "gelu" || name == "gelu_python") {
    return kernels::Activation::kGelu;
  }
  // gelu_new, gelu_fast: the same tanh formula, written otherwise.
  if (name == "gelu_pytorch_tanh" || name == "gelu_python_tanh" ||
      name == "gelu_new" || name == "gelu_fast") {
    return kernels::Activation::kGeluTanh;
  }
  if (name == "relu") return kernels::Activation::kRelu;
  if (name == "tanh") return kernels::Activation::kTanh;
  fields.FailUnsupported(key,
                         "silu, gelu, gelu_new, gelu_pytorch_tanh, relu, tanh");
  return kernels::Activation::kSilu;
}

void RefuseTrue(ConfigFields& fields, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (fields.Has(key) && fields.Bool(key, false)) {
      fields.FailUnsupported(key, "false");
    }
  }
}

void ReadPlainHeads(ConfigFields& fields, absl::string_view key,
                    int64_t fallback, ModelConfig& config) {
  config.num_attention_heads = fields.Int(key, fallback, 1, kMaxHeads);
  config.num_key_value_heads = config.num_attention_heads;
  config.head_dim = config.hidden_size / config.num_attention_heads;
  if (config.hidden_size % config.num_attention_heads != 0) {
    fields.Fail(key, absl::StrCat("a divisor of the hidden size (",
                                  config.hidden_size, ")"));
  }
}

// Only the number of labels changes what a model computes; problem_type chooses
// a loss.
void ReadLabels(ConfigFields& fields, ModelConfig& config) {
  config.num_labels = fields.Has("id2label") ? CountLabels(fields)
                      : fields.Has("num_labels")
                          ? fields.Int("num_labels", 2, 1, kMaxVocabulary)
                          : 2;
  if (!fields.Has("problem_type")) return;
  const std::string type = fields.Text("problem_type", "");
  if (type != "regression" && type != "single_label_classification" &&
      type != "multi_label_classification") {
    fields.Fail("problem_type",
                "regression, single_label_classification or "
                "multi_label_classification");
  }
}

void ReadTokens(ConfigFields& fields, std::vector<int64_t> default_eos,
                ModelConfig& config) {
  config.eos_token_ids =
      fields.TokenIds("eos_token_id", std::move(default_eos));
  config.pad_token_id.reset();
  if (fields.Has("pad_token_id")) {
    config.pad_token_id =
        fields.Int("pad_token_id", 0, -kMaxTokenId, kMaxTokenId);
  }
}

}  // namespace peft
