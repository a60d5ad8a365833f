#include "peft_cc/models/rope_config.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/config_fields.h"

namespace peft {
namespace {

// Beyond any real parameter, and far from overflow in the formulas.
constexpr double kMaxNumber = 1e30;
constexpr double kMinPositive = 1e-30;
constexpr int64_t kMaxPositions = int64_t{1} << 31;
constexpr char kTypes[] = "default, linear, dynamic, llama3, yarn";

struct RopeSource {
  const Json* object = nullptr;  // null: all defaults
  std::string scope;
};

bool IsFilledObject(const Json* value) {
  return value != nullptr && value->is_object() && !value->empty();
}

// The object that holds the parameters. Records an error in `fields` when a
// key has another type.
RopeSource FindSource(ConfigFields& fields) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (fields.Has(key) && !fields.Find(key)->is_object()) {
      fields.Fail(key, "an object or null");
      return {};
    }
    const Json* value = fields.Find(key);
    if (IsFilledObject(value)) return {value, absl::StrCat(key, ".")};
  }
  return {};
}

std::optional<RopeType> TypeFromName(const std::string& name) {
  if (name == "default") return RopeType::kDefault;
  if (name == "linear") return RopeType::kLinear;
  if (name == "dynamic") return RopeType::kDynamic;
  if (name == "llama3") return RopeType::kLlama3;
  if (name == "yarn") return RopeType::kYarn;
  return std::nullopt;
}

// "type" is what "rope_type" was called first.
RopeType ReadType(ConfigFields& rope) {
  for (const char* key : {"rope_type", "type"}) {
    if (!rope.Contains(key)) continue;
    const std::optional<RopeType> type = TypeFromName(rope.Text(key, ""));
    if (!type.has_value()) rope.FailUnsupported(key, kTypes);
    return type.value_or(RopeType::kDefault);
  }
  return RopeType::kDefault;
}

// What would rotate otherwise than one rotation of whole heads for all layers.
void RefuseVariants(ConfigFields& fields) {
  for (const char* key : {"full_attention", "sliding_attention"}) {
    if (fields.Has(key)) fields.FailUnsupported(key, "one for all layers");
  }
  if (fields.Has("partial_rotary_factor") &&
      fields.Number("partial_rotary_factor", 1, -kMaxNumber, kMaxNumber) != 1) {
    fields.FailUnsupported("partial_rotary_factor", "1");
  }
  if (fields.Has("mrope_section")) {
    fields.FailUnsupported("mrope_section", "null");
  }
}

// A key that transformers demands for the type.
double RequiredNumber(ConfigFields& rope, absl::string_view key, double min) {
  if (!rope.Contains(key)) rope.Fail(key, "a number");
  return rope.Number(key, 1.0, min, kMaxNumber);
}

// An optional number whose null and 0 both mean "not given".
double OptionalNumber(ConfigFields& rope, absl::string_view key,
                      double fallback) {
  if (!rope.Has(key)) return fallback;
  const double number = rope.Number(key, fallback, 0, kMaxNumber);
  return number == 0 ? fallback : number;
}

void ReadYarn(ConfigFields& rope, int64_t max_position, RopeConfig& config) {
  // The formula divides by its logarithm.
  if (config.theta == 1) rope.Fail("rope_type", "a rope_theta other than 1");
  if (rope.Contains("factor") && !rope.Has("factor")) {
    config.factor =
        static_cast<double>(max_position) / config.original_max_position;
  } else {
    config.factor = RequiredNumber(rope, "factor", kMinPositive);
  }
  if (rope.Has("attention_factor")) {
    config.attention_factor =
        rope.Number("attention_factor", 1, -kMaxNumber, kMaxNumber);
  }
  config.mscale = OptionalNumber(rope, "mscale", 0);
  config.mscale_all_dim = OptionalNumber(rope, "mscale_all_dim", 0);
  config.beta_fast = OptionalNumber(rope, "beta_fast", 32);
  config.beta_slow = OptionalNumber(rope, "beta_slow", 1);
  // A null is false here, as in Python.
  config.truncate = rope.Contains("truncate") && !rope.Has("truncate")
                        ? false
                        : rope.Bool("truncate", true);
}

void ReadLlama3(ConfigFields& rope, RopeConfig& config) {
  config.factor = RequiredNumber(rope, "factor", kMinPositive);
  config.low_freq_factor =
      RequiredNumber(rope, "low_freq_factor", kMinPositive);
  config.high_freq_factor =
      RequiredNumber(rope, "high_freq_factor", kMinPositive);
  if (config.high_freq_factor == config.low_freq_factor) {
    rope.Fail("high_freq_factor", "a number other than low_freq_factor");
  }
}

// The length before scaling: beside the parameters (this wins), among them, or
// the model's own.
double ReadOriginalLength(ConfigFields& fields, ConfigFields& rope,
                          int64_t max_position) {
  constexpr char kKey[] = "original_max_position_embeddings";
  ConfigFields& source = fields.Has(kKey) ? fields : rope;
  return static_cast<double>(source.Int(kKey, max_position, 1, kMaxPositions));
}

void ReadTyped(ConfigFields& fields, ConfigFields& rope, int64_t head_dim,
               int64_t max_position, RopeConfig& config) {
  switch (config.type) {
    case RopeType::kDefault:
      break;
    case RopeType::kDynamic:
      if (head_dim <= 2) rope.Fail("rope_type", "heads of more than 2");
      config.factor = RequiredNumber(rope, "factor", kMinPositive);
      break;
    case RopeType::kLinear:
      config.factor = RequiredNumber(rope, "factor", kMinPositive);
      break;
    case RopeType::kLlama3:
      config.original_max_position =
          ReadOriginalLength(fields, rope, max_position);
      ReadLlama3(rope, config);
      break;
    case RopeType::kYarn:
      config.original_max_position =
          ReadOriginalLength(fields, rope, max_position);
      ReadYarn(rope, max_position, config);
      break;
  }
}

}  // namespace

absl::StatusOr<RopeConfig> ReadRopeConfig(const Json& config,
                                          const std::string& what,
                                          int64_t head_dim,
                                          int64_t max_position) {
  ConfigFields fields(config, what);
  const RopeSource source = FindSource(fields);
  const Json nothing = Json::object();
  ConfigFields rope(source.object == nullptr ? nothing : *source.object, what,
                    source.scope);
  RefuseVariants(fields);
  RefuseVariants(rope);
  RopeConfig result;
  result.type = ReadType(rope);
  const bool theta_inside = rope.Contains("rope_theta");
  result.theta = (theta_inside ? rope : fields)
                     .Number("rope_theta", 10000.0, kMinPositive, kMaxNumber);
  ReadTyped(fields, rope, head_dim, max_position, result);
  PEFT_RETURN_IF_ERROR(fields.status());
  PEFT_RETURN_IF_ERROR(rope.status());
  if (!RopeFrequencies(result, head_dim, max_position).IsFinite()) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kModelConfig,
                     absl::StrCat(what,
                                  ": the rope parameters give frequencies that "
                                  "are not finite"),
                     {"rope_parameters", "finite frequencies", "NaN or inf"});
  }
  return result;
}

}  // namespace peft
