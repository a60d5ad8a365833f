#include "peft_cc/models/quantized_weights.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/bitsandbytes.h"
#include "peft_cc/models/block_weights.h"
#include "peft_cc/models/config_fields.h"
#include "peft_cc/models/config_parts.h"

namespace peft {
namespace {

constexpr char kKey[] = "quantization_config";
constexpr char kExpected[] =
    "weights of f32, bf16 or f16, bitsandbytes with load_in_4bit, and what "
    "`peft quantize` writes";

absl::StatusOr<StoredWeights> ReadBitsAndBytes(ConfigFields& fields,
                                               absl::string_view what) {
  const bool is_4bit = fields.Bool("load_in_4bit", false);
  const bool is_8bit = fields.Bool("load_in_8bit", false);
  const std::string type = fields.Text("bnb_4bit_quant_type", "fp4");
  const std::string storage = fields.Text("bnb_4bit_quant_storage", "uint8");
  PEFT_RETURN_IF_ERROR(fields.status());
  if (is_8bit || !is_4bit) {
    return UnsupportedModel(what, kKey, "bitsandbytes without load_in_4bit",
                            kExpected);
  }
  if (!absl::EqualsIgnoreCase(type, "nf4") &&
      !absl::EqualsIgnoreCase(type, "fp4")) {
    fields.FailUnsupported("bnb_4bit_quant_type", "nf4, fp4");
  }
  if (!absl::EqualsIgnoreCase(storage, "uint8")) {
    fields.FailUnsupported("bnb_4bit_quant_storage", "uint8");
  }
  PEFT_RETURN_IF_ERROR(fields.status());
  return StoredWeights::kBitsAndBytes;
}

absl::StatusOr<StoredWeights> ReadBlocks(ConfigFields& fields,
                                         absl::string_view what) {
  const int64_t version = fields.Int("version", 1, 1, kBlocksVersion);
  fields.Int("block_size", 32, 32, 32);
  PEFT_RETURN_IF_ERROR(fields.status());
  if (version != kBlocksVersion) {
    return UnsupportedModel(what, absl::StrCat(kKey, ".version"),
                            absl::StrCat(version),
                            absl::StrCat(kBlocksVersion,
                                         ": `peft quantize` the model as it "
                                         "was before again"));
  }
  return StoredWeights::kBlocks;
}

}  // namespace

absl::StatusOr<StoredWeights> ReadStoredWeights(const Json& config,
                                                absl::string_view what) {
  const auto compressed = config.find("compression_config");
  if (compressed != config.end() && !compressed->is_null()) {
    return UnsupportedModel(what, "compression_config", "of any method",
                            kExpected);
  }
  const auto it = config.find(kKey);
  if (it == config.end() || it->is_null()) return StoredWeights::kNumbers;
  if (!it->is_object()) {
    return UnsupportedModel(what, kKey, "of unknown method", kExpected);
  }
  ConfigFields fields(*it, std::string(what), absl::StrCat(kKey, "."));
  const std::string method = fields.Text("quant_method", "of unknown method");
  PEFT_RETURN_IF_ERROR(fields.status());
  if (method.compare("bitsandbytes") == 0)
    return ReadBitsAndBytes(fields, what);
  if (method.compare(kBlocksMethod) == 0) return ReadBlocks(fields, what);
  return UnsupportedModel(what, kKey, method, kExpected);
}

absl::Status AssembleQuantizedWeights(StoredWeights stored,
                                      TensorMap& tensors) {
  switch (stored) {
    case StoredWeights::kNumbers:
      return absl::OkStatus();
    case StoredWeights::kBitsAndBytes:
      return AssembleBitsAndBytes(tensors);
    case StoredWeights::kBlocks:
      return AssembleBlocks(tensors);
  }
  return absl::OkStatus();
}

}  // namespace peft
