#include "peft_cc/models/base_model.h"

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/weight_files.h"

namespace peft {
namespace {

constexpr uint64_t kMaxConfigSize = 16u << 20;
constexpr char kPrefix[] = "model.";
// Notes beyond this many are counted, not listed.
constexpr size_t kMaxUnusedNotes = 20;

// generation_config.json may be missing, but not broken.
absl::StatusOr<DecoderConfig> ReadConfig(const std::string& folder) {
  PEFT_ASSIGN_OR_RETURN(
      const std::string text,
      ReadTextFile(absl::StrCat(folder, "/config.json"), kMaxConfigSize));
  PEFT_ASSIGN_OR_RETURN(DecoderConfig config,
                        ParseDecoderConfig(text, "config.json"));
  const std::string path = absl::StrCat(folder, "/generation_config.json");
  if (!FileExists(path)) return config;
  PEFT_ASSIGN_OR_RETURN(const std::string generation_text,
                        ReadTextFile(path, kMaxConfigSize));
  PEFT_RETURN_IF_ERROR(
      ApplyGenerationConfig(generation_text, "generation_config.json", config));
  return config;
}

// Removes and returns the tensor `name`, which a bare model saves without
// "model." and some tools save with it; an empty node when there is none.
TensorMap::node_type Extract(TensorMap& tensors, const std::string& name) {
  TensorMap::node_type node = tensors.extract(name);
  if (!node.empty()) return node;
  if (absl::StartsWith(name, kPrefix)) {
    return tensors.extract(name.substr(sizeof(kPrefix) - 1));
  }
  return tensors.extract(absl::StrCat(kPrefix, name));
}

// The config says what a tensor must be; the file decides its float type.
absl::Status CheckTensor(const WeightInfo& weight, const Tensor& tensor) {
  if (tensor.shape() != absl::MakeConstSpan(weight.shape)) {
    const std::string expected = ShapeToString(weight.shape);
    const std::string found = ShapeToString(tensor.shape());
    return MakeError(absl::StatusCode::kInvalidArgument,
                     error_id::kTensorShapeMismatch,
                     absl::StrCat("base model: ", weight.name, " is ", found,
                                  ", expected ", expected, " by config.json"),
                     {weight.name, expected, found});
  }
  if (!IsComputeDType(tensor.dtype())) {
    const std::string found(DTypeName(tensor.dtype()));
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTensorDType,
                     absl::StrCat("base model: ", weight.name, " is ", found,
                                  ", expected F32, BF16 or F16"),
                     {weight.name, "F32, BF16 or F16", found});
  }
  return absl::OkStatus();
}

absl::Status MissingTensor(const WeightInfo& weight) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTensorMissing,
                   absl::StrCat("base model: ", weight.name, " ",
                                ShapeToString(weight.shape),
                                " is missing from the weight files"),
                   {weight.name, ShapeToString(weight.shape), "nothing"});
}

// Two that are equal as numbers in different types count as different, which is
// right either way.
bool SameBytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// Buffers that older versions saved and the model computes itself.
bool IsHarmless(absl::string_view name) {
  return absl::EndsWith(name, "rotary_emb.inv_freq") ||
         absl::EndsWith(name, "attn.masked_bias") ||
         absl::EndsWith(name, "position_ids");
}

}  // namespace

absl::StatusOr<std::unique_ptr<BaseModel>> BaseModel::Open(
    const std::string& path, ReadMode mode) {
  std::unique_ptr<BaseModel> model(new BaseModel());
  PEFT_ASSIGN_OR_RETURN(model->config_, ReadConfig(path));
  PEFT_ASSIGN_OR_RETURN(WeightFiles files, ReadWeightFiles(path, mode));
  model->folder_ = path;
  model->files_ = files;
  model->notes_ = std::move(files.notes);
  model->description_ = DescribeDecoder(model->config_);
  PEFT_RETURN_IF_ERROR(model->TakeWeights(std::move(files.tensors)));
  model->CountSizes();
  model->BuildSites();
  return model;
}

absl::Status BaseModel::TakeWeights(TensorMap tensors) {
  weights_.resize(description_.weights.size());
  std::vector<bool> found(weights_.size(), false);
  for (size_t i = 0; i < weights_.size(); ++i) {
    const WeightInfo& weight = description_.weights[i];
    TensorMap::node_type node = Extract(tensors, weight.name);
    if (node.empty()) continue;
    PEFT_RETURN_IF_ERROR(CheckTensor(weight, node.mapped()));
    weights_[i] = std::move(node.mapped());
    found[i] = true;
  }
  TieHead(found);
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) return MissingTensor(description_.weights[i]);
  }
  AddUnusedNotes(tensors);
  return absl::OkStatus();
}

// Tying goes both ways: whichever of the two is there serves for both. Two that
// differ are not tied, whatever the config says (as in transformers).
void BaseModel::TieHead(std::vector<bool>& found) {
  const int head = description_.tied_weight;
  const int embedding = description_.tied_to;
  if (head < 0 || (!found[head] && !found[embedding])) return;
  if (!found[embedding]) std::swap(weights_[embedding], weights_[head]);
  has_tied_head_ = !found[embedding] || !found[head] ||
                   SameBytes(weights_[embedding], weights_[head]);
  if (has_tied_head_) {
    weights_[head] = weights_[embedding];
  } else {
    notes_.push_back(
        "config.json ties lm_head to the embedding, but the weight files hold "
        "a different lm_head.weight, which is used");
  }
  found[embedding] = found[head] = true;
}

void BaseModel::AddUnusedNotes(const TensorMap& tensors) {
  size_t num_unused = 0;
  for (const auto& item : tensors) {
    if (IsHarmless(item.first)) continue;
    if (++num_unused > kMaxUnusedNotes) continue;
    notes_.push_back(absl::StrCat("tensor ", Quoted(item.first),
                                  " is in the weight files and not used"));
  }
  if (num_unused > kMaxUnusedNotes) {
    notes_.push_back(absl::StrCat(num_unused - kMaxUnusedNotes,
                                  " more tensors are not used"));
  }
}

// A tied head is the embedding's memory and counts with it.
void BaseModel::CountSizes() {
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (has_tied_head_ && static_cast<int>(i) == description_.tied_weight) {
      continue;
    }
    size_bytes_ += weights_[i].size_bytes();
    num_parameters_ += weights_[i].num_elements();
  }
}

void BaseModel::BuildSites() {
  std::vector<Site> sites;
  sites.reserve(description_.sites.size());
  for (const SiteInfo& info : description_.sites) {
    Site site;
    site.name = info.name;
    site.kind = info.kind;
    site.in_features = info.in_features;
    site.out_features = info.out_features;
    site.weight = weights_[info.weight];
    if (info.bias >= 0) site.bias = weights_[info.bias];
    site.is_output_embedding = info.name == "lm_head";
    sites.push_back(std::move(site));
  }
  sites_ = SiteTable(std::move(sites), description_.module_names,
                     config_.model_type);
}

}  // namespace peft
