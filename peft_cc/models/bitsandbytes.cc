#include "peft_cc/models/bitsandbytes.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/config_fields.h"

namespace peft {
namespace {

constexpr absl::string_view kState = ".quant_state.bitsandbytes__";
// A quant state has some 200 bytes.
constexpr int64_t kMaxState = 64 * 1024;
constexpr int64_t kMaxBlock = int64_t{1} << 20;
constexpr int64_t kNumValues = 16;
constexpr int64_t kNumNestedValues = 256;

absl::Status Wrong(const std::string& name, absl::string_view expected,
                   absl::string_view found) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kModelWeights,
                   absl::StrCat("tensor ", Quoted(name), " of a bitsandbytes ",
                                "weight is ", found, ", expected ", expected),
                   {name, std::string(expected), std::string(found)});
}

std::string Describe(const Tensor& tensor) {
  return absl::StrCat(DTypeName(tensor.dtype()), " ",
                      ShapeToString(tensor.shape()));
}

// What the quant state says.
struct State {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t block = 0;
  int64_t nested_block = 0;  // 0: the scales are not quantised
  double nested_offset = 0;
};

// What bitsandbytes keeps for one weight.
struct Scales {
  std::vector<float> scales;
  float values[kNumValues] = {};
  kernels::BlockCodes codes;
};

int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }

// Assembles the weight `name`.
class Assembler {
 public:
  Assembler(std::string name, std::string state_name, std::string type,
            TensorMap& tensors)
      : name_(std::move(name)),
        state_name_(std::move(state_name)),
        type_(std::move(type)),
        tensors_(tensors) {}

  absl::Status Assemble() {
    PEFT_RETURN_IF_ERROR(ReadState());
    const int64_t count = state_.rows * state_.cols;
    PEFT_ASSIGN_OR_RETURN(
        const Tensor packed,
        Take("", DType::kU8, CeilDiv(count, 2), "by its quant state"));
    auto scales = std::make_shared<Scales>();
    PEFT_RETURN_IF_ERROR(ReadScales(CeilDiv(count, state_.block), *scales));
    PEFT_RETURN_IF_ERROR(ReadFloats(".quant_map", kNumValues, scales->values));
    scales->codes = {scales->scales.data(), state_.block, scales->values};
    Tensor weight(
        DType::kTable4, {state_.rows, state_.cols}, packed.data(),
        packed.owner(),
        std::shared_ptr<const kernels::BlockCodes>(scales, &scales->codes));
    if (state_.cols % state_.block != 0) {
      PEFT_ASSIGN_OR_RETURN(weight, weight.Cast(DType::kF32));
    }
    tensors_[name_] = std::move(weight);
    return absl::OkStatus();
  }

 private:
  // The tensor X`suffix`, which is then no tensor of the model any more, of
  // `count` elements in any shape.
  absl::StatusOr<Tensor> Take(absl::string_view suffix, DType dtype,
                              int64_t count, absl::string_view why) {
    const std::string name = absl::StrCat(name_, suffix);
    const std::string expected =
        absl::StrCat(DTypeName(dtype), " of ", count, " elements ", why);
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) return Wrong(name, expected, "not there");
    if (it->second.dtype() != dtype || it->second.num_elements() != count) {
      return Wrong(name, expected, Describe(it->second));
    }
    Tensor tensor = std::move(it->second);
    tensors_.erase(it);
    return tensor;
  }

  absl::Status ReadFloats(absl::string_view suffix, int64_t count, float* out) {
    PEFT_ASSIGN_OR_RETURN(const Tensor tensor,
                          Take(suffix, DType::kF32, count, ""));
    tensor.CopyF32(0, count, out);
    const bool is_finite = std::all_of(
        out, out + count, [](float value) { return std::isfinite(value); });
    if (is_finite) return absl::OkStatus();
    return Wrong(absl::StrCat(name_, suffix), "finite", "NaN or infinite");
  }

  // The JSON that a tensor of bytes is.
  absl::Status ReadState() {
    const Tensor state = tensors_.at(state_name_);
    tensors_.erase(state_name_);
    if (state.dtype() != DType::kU8 || state.num_elements() > kMaxState) {
      return Wrong(state_name_, absl::StrCat("U8 of up to ", kMaxState),
                   Describe(state));
    }
    const absl::string_view text(static_cast<const char*>(state.data()),
                                 static_cast<size_t>(state.num_elements()));
    const std::string what = absl::StrCat("tensor ", Quoted(state_name_));
    PEFT_ASSIGN_OR_RETURN(const Json object, ParseJson(text, what));
    if (!object.is_object()) {
      return Wrong(state_name_, "a JSON object", "another value");
    }
    ConfigFields fields(object, what);
    // Without one of them nothing would tell what the codes mean.
    Require(fields, "blocksize");
    const std::string type = fields.Text("quant_type", "");
    if (type != type_) fields.Fail("quant_type", type_);
    state_.block = fields.Int("blocksize", 0, kernels::kCodesAtOnce, kMaxBlock);
    if (state_.block % kernels::kCodesAtOnce != 0) {
      fields.FailUnsupported("blocksize", "a multiple of 32");
    }
    ReadNesting(fields);
    ReadShape(fields);
    return fields.status();
  }

  static void Require(ConfigFields& fields, absl::string_view key) {
    if (!fields.Contains(key)) fields.Fail(key, "a number");
  }

  void ReadNesting(ConfigFields& fields) {
    if (!fields.Contains("nested_blocksize")) return;
    Require(fields, "nested_offset");
    state_.nested_block = fields.Int("nested_blocksize", 0, 1, kMaxBlock);
    state_.nested_offset = fields.Number("nested_offset", 0, -1e30, 1e30);
    if (fields.Text("nested_dtype", "") != "float32") {
      fields.FailUnsupported("nested_dtype", "float32");
    }
  }

  void ReadShape(ConfigFields& fields) {
    const Json* const shape = fields.Find("shape");
    const bool is_matrix =
        shape != nullptr && shape->is_array() && shape->size() == 2 &&
        (*shape)[0].is_number_unsigned() && (*shape)[1].is_number_unsigned();
    if (!is_matrix) return fields.Fail("shape", "a matrix's");
    const uint64_t rows = (*shape)[0].get<uint64_t>();
    const uint64_t cols = (*shape)[1].get<uint64_t>();
    constexpr uint64_t kMaxSide = uint64_t{1} << 31;
    if (rows == 0 || cols == 0 || rows >= kMaxSide || cols >= kMaxSide) {
      return fields.Fail("shape", "sides of 1 to 2^31 - 1");
    }
    state_.rows = static_cast<int64_t>(rows);
    state_.cols = static_cast<int64_t>(cols);
  }

  absl::Status ReadScales(int64_t blocks, Scales& out) {
    out.scales.resize(blocks);
    if (state_.nested_block == 0) {
      return ReadFloats(".absmax", blocks, out.scales.data());
    }
    PEFT_ASSIGN_OR_RETURN(const Tensor codes,
                          Take(".absmax", DType::kU8, blocks, ""));
    std::vector<float> values(kNumNestedValues);
    PEFT_RETURN_IF_ERROR(
        ReadFloats(".nested_quant_map", kNumNestedValues, values.data()));
    std::vector<float> scales(CeilDiv(blocks, state_.nested_block));
    PEFT_RETURN_IF_ERROR(ReadFloats(
        ".nested_absmax", static_cast<int64_t>(scales.size()), scales.data()));
    const auto* const code = static_cast<const uint8_t*>(codes.data());
    const auto offset = static_cast<float>(state_.nested_offset);
    for (int64_t i = 0; i < blocks; ++i) {
      const float product = values[code[i]] * scales[i / state_.nested_block];
      out.scales[i] = product + offset;
    }
    return absl::OkStatus();
  }

  const std::string name_;
  const std::string state_name_;
  const std::string type_;
  TensorMap& tensors_;
  State state_;
};

}  // namespace

absl::Status AssembleBitsAndBytes(TensorMap& tensors) {
  std::vector<std::string> states;
  for (const auto& item : tensors) {
    if (absl::StrContains(item.first, kState)) states.push_back(item.first);
  }
  for (const std::string& state : states) {
    const size_t at = state.rfind(kState);
    const std::string type = state.substr(at + kState.size());
    if (type != "nf4" && type != "fp4") {
      return Wrong(state, "of type nf4 or fp4", absl::StrCat("of type ", type));
    }
    PEFT_RETURN_IF_ERROR(
        Assembler(state.substr(0, at), state, type, tensors).Assemble());
  }
  return absl::OkStatus();
}

}  // namespace peft
