#include "peft_cc/models/quantized_model.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/quantize.h"
#include "kernels/view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/new_folder.h"
#include "peft_cc/models/block_weights.h"
#include "peft_cc/models/model_folder.h"
#include "peft_cc/models/quantized_weights.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

bool IsBlocks(DType dtype) {
  return dtype == DType::kQ4 || dtype == DType::kQ8;
}

absl::Status CheckIsWritable(const BaseModel& base) {
  bool has_blocks = false;
  bool has_others = false;
  for (const Tensor& weight : base.weights()) {
    has_blocks |= IsBlocks(weight.dtype());
    has_others |= weight.is_quantized() && !IsBlocks(weight.dtype());
  }
  if (!has_blocks || has_others) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, error_id::kModelQuantized,
        "no weights of the model are quantised in blocks, or others are "
        "quantised too; open the model as it was before with a weight format");
  }
  if (base.config().source_layers.empty()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnimplemented,
                   error_id::kModelUnsupported,
                   "a model with replicated layers is not written quantised; "
                   "quantise its base, and open that with layer_replication");
}

// All tensors of the new file.
TensorMap StoredTensors(const BaseModel& base) {
  TensorMap tensors;
  for (size_t i = 0; i < base.weights().size(); ++i) {
    const bool is_tied_head =
        base.has_tied_head() &&
        static_cast<int>(i) == base.description().tied_weight;
    if (is_tied_head) continue;
    const Tensor& weight = base.weights()[i];
    const std::string& name = base.description().weights[i].name;
    if (!weight.is_quantized()) {
      tensors[name] = weight;
      continue;
    }
    tensors[name] = StoredCodes(weight);
    tensors[absl::StrCat(name, ".scales")] = StoredScales(weight);
  }
  return tensors;
}

absl::Status WriteConfig(const BaseModel& base, const std::string& folder) {
  PEFT_ASSIGN_OR_RETURN(Json config, ReadModelConfig(base.folder()));
  if (base.config().is_task_chosen) SetHead(base.config(), config);
  Json quantization = Json::object();
  quantization["quant_method"] = std::string(kBlocksMethod);
  quantization["version"] = kBlocksVersion;
  quantization["block_size"] = kernels::kCodesAtOnce;
  config["quantization_config"] = std::move(quantization);
  return WriteModelConfig(folder, config);
}

}  // namespace

absl::Status WriteQuantizedModel(
    const BaseModel& base, const std::string& path,
    const std::function<bool(int64_t done, int64_t total)>& on_progress) {
  PEFT_RETURN_IF_ERROR(CheckIsWritable(base));
  PEFT_ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> folder,
                        NewFolder::Create(path));
  PEFT_RETURN_IF_ERROR(WriteConfig(base, folder->path()));
  PEFT_RETURN_IF_ERROR(CopyModelFiles(base.folder(), folder->path()));
  const TensorMap tensors = StoredTensors(base);
  int64_t total = 0;
  for (const auto& item : tensors) total += item.second.size_bytes();
  int64_t done = 0;
  PEFT_RETURN_IF_ERROR(WriteSafetensorsPiecewise(
      absl::StrCat(folder->path(), "/model.safetensors"), tensors,
      {{"format", "pt"}},
      [&](const std::string& name) -> absl::StatusOr<Tensor> {
        if (on_progress && !on_progress(done, total)) {
          return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                           "on_progress asked to stop; nothing was written");
        }
        done += tensors.at(name).size_bytes();
        return tensors.at(name);
      }));
  if (on_progress) on_progress(total, total);
  return folder->Commit();
}

}  // namespace peft
