#include "peft_cc/models/base_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/fresh_head.h"
#include "peft_cc/models/layer_replication.h"
#include "peft_cc/models/model_family.h"
#include "peft_cc/models/quantized_weights.h"
#include "peft_cc/models/weight_files.h"
#include "peft_cc/models/weight_names.h"

namespace peft {
namespace {

constexpr uint64_t kMaxConfigSize = 16u << 20;
// Notes beyond this many are counted, not listed.
constexpr size_t kMaxUnusedNotes = 20;

// generation_config.json may be missing, but not broken.
absl::StatusOr<FamilyConfig> ReadConfig(const Folder& folder,
                                        const HeadChoice& head) {
  const File file = folder.At("config.json");
  PEFT_ASSIGN_OR_RETURN(const std::string text,
                        ReadTextFile(file, kMaxConfigSize));
  PEFT_ASSIGN_OR_RETURN(FamilyConfig config,
                        ParseModelConfig(text, Quoted(file.name()), head));
  const File generation_file = folder.At("generation_config.json");
  if (!FileExists(generation_file)) return config;
  PEFT_ASSIGN_OR_RETURN(const std::string generation_text,
                        ReadTextFile(generation_file, kMaxConfigSize));
  PEFT_RETURN_IF_ERROR(ApplyGenerationConfig(
      generation_text, Quoted(generation_file.name()), CoreOf(config)));
  return config;
}

absl::Status StoredTransposed(const std::string& name) {
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kModelUnsupported,
      absl::StrCat(name,
                   " is stored (in, out): such weights are not run "
                   "quantised; open the model as it was before"),
      {name, "", ""});
}

// The config, or a chosen number of labels, says what a tensor must be; the
// file decides its float type.
absl::Status CheckTensor(const WeightInfo& weight, const SiteInfo& site,
                         const Tensor& tensor) {
  const SiteKind kind = site.kind;
  if (tensor.is_quantized() && kind == SiteKind::kConv1D) {
    return StoredTransposed(weight.name);
  }
  if (tensor.shape() != absl::MakeConstSpan(weight.shape)) {
    const std::string expected = ShapeToString(weight.shape);
    const std::string found = ShapeToString(tensor.shape());
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kTensorShapeMismatch,
        absl::StrCat("base model: ", weight.name, " is ", found, ", expected ",
                     expected,
                     site.is_classifier ? " by num_labels or config.json"
                                        : " by config.json"),
        {weight.name, expected, found});
  }
  const bool is_matrix =
      kind == SiteKind::kLinear || kind == SiteKind::kEmbedding;
  if (tensor.is_quantized() && is_matrix) return absl::OkStatus();
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
  if (a.is_quantized()) return a.data() == b.data();
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

absl::Status CheckLabels(const HeadChoice& head, const ModelConfig& config) {
  if (head.num_labels == 0 || Classifies(config.task)) return absl::OkStatus();
  return ArgumentError(absl::StrCat(
      "num_labels is ", head.num_labels, ", and the model is a ",
      config.architecture,
      ", which has no labels; leave it out, or open the model with the task "
      "sequence-classification or token-classification"));
}

// Buffers that older versions saved and the model computes itself.
bool IsHarmless(absl::string_view name) {
  for (const char* buffer :
       {"rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "position_ids",
        "embeddings.token_type_ids"}) {
    if (absl::EndsWith(name, buffer)) return true;
  }
  return false;
}

}  // namespace

bool IsSmallFile(absl::string_view name) {
  if (absl::EndsWith(name, ".index.json") ||
      absl::StartsWith(name, "adapter_")) {
    return false;
  }
  for (const char* suffix :
       {".json", ".txt", ".model", ".jinja", ".tiktoken", ".vocab", ".py"}) {
    if (absl::EndsWith(name, suffix)) return true;
  }
  return absl::StartsWith(name, "LICENSE") || absl::StartsWith(name, "NOTICE");
}

absl::StatusOr<std::unique_ptr<BaseModel>> BaseModel::Open(
    const Folder& folder, ReadMode mode, const LayerRanges& layer_replication,
    const HeadChoice& head) {
  PEFT_ASSIGN_OR_RETURN(FamilyConfig config, ReadConfig(folder, head));
  PEFT_ASSIGN_OR_RETURN(WeightFiles files, ReadWeightFiles(folder, mode));
  PEFT_ASSIGN_OR_RETURN(Folder kept, folder.Kept(IsSmallFile, kMaxSmallFile));
  std::unique_ptr<BaseModel> model(new BaseModel(std::move(kept)));
  model->files_ = files;
  model->notes_ = std::move(files.notes);
  const TensorMap& tensors = model->files_.tensors;
  const auto has_weight = [&](const std::string& name) {
    return HoldsWeight(tensors, name);
  };
  const auto in_folder = [&](const absl::Status& status) {
    return WithContext(status, folder.Description());
  };
  PEFT_RETURN_IF_ERROR(in_folder(
      AssembleQuantizedWeights(CoreOf(config).stored_weights, files.tensors)));
  model->description_ = DescribeModel(has_weight, config);
  PEFT_RETURN_IF_ERROR(CheckLabels(head, CoreOf(config)));
  PEFT_RETURN_IF_ERROR(
      in_folder(model->TakeWeights(CoreOf(config), std::move(files.tensors))));
  if (!layer_replication.empty()) {
    PEFT_RETURN_IF_ERROR(
        model->Replicate(layer_replication, has_weight, config));
  }
  model->config_ = CoreOf(config);
  model->CountSizes();
  model->BuildSites();
  return model;
}

absl::Status BaseModel::Replicate(const LayerRanges& ranges,
                                  HasWeight has_weight, FamilyConfig& family) {
  PEFT_RETURN_IF_ERROR(ReplicateLayers(ranges, family));
  Description replicated = DescribeModel(has_weight, family);
  std::vector<Tensor> weights;
  weights.reserve(replicated.weights.size());
  for (const int source :
       SourceWeights(description_, replicated, CoreOf(family).source_layers)) {
    weights.push_back(weights_[source]);
  }
  weights_ = std::move(weights);
  description_ = std::move(replicated);
  layer_replication_ = Simplified(ranges);
  return absl::OkStatus();
}

absl::Status BaseModel::TakeWeights(const ModelConfig& config,
                                    TensorMap tensors) {
  weights_.resize(description_.weights.size());
  std::vector<bool> found(weights_.size(), false);
  for (size_t i = 0; i < weights_.size(); ++i) {
    PEFT_ASSIGN_OR_RETURN(found[i], TakeWeight(tensors, i));
  }
  TieHead(found);
  if (config.is_task_chosen) PEFT_RETURN_IF_ERROR(AddFreshHead(config, found));
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) return MissingTensor(description_.weights[i]);
  }
  AddUnusedNotes(tensors);
  return absl::OkStatus();
}

// A tensor that is there under both of its names is used under the first.
absl::StatusOr<bool> BaseModel::TakeWeight(TensorMap& tensors, size_t index) {
  const WeightInfo& weight = description_.weights[index];
  bool found = false;
  for (const std::string& name : {weight.name, weight.alias}) {
    const auto it = name.empty()
                        ? tensors.end()
                        : FindWeight(tensors, description_.bare_prefix, name);
    if (it == tensors.end()) continue;
    if (found && SameBytes(it->second, weights_[index])) {
      tensors.erase(it);
    } else if (!found) {
      PEFT_RETURN_IF_ERROR(
          CheckTensor(weight, description_.sites[weight.site], it->second));
      weights_[index] = std::move(it->second);
      tensors.erase(it);
      found = true;
    }
  }
  return found;
}

bool BaseModel::is_quantized() const {
  return std::any_of(
      weights_.begin(), weights_.end(),
      [](const Tensor& weight) { return weight.is_quantized(); });
}

absl::StatusOr<std::vector<int>> BaseModel::WeightsToQuantize(bool with_head) {
  // What replicated layers or a tied head share stays shared.
  std::set<const void*> seen;
  std::vector<int> chosen;
  for (const SiteInfo& site : description_.sites) {
    const WeightInfo& info = description_.weights[site.weight];
    const bool is_head = site.is_output_embedding;
    if (is_head ? !with_head : info.layer < 0) continue;
    if (site.kind == SiteKind::kConv1D) return StoredTransposed(info.name);
    if (site.kind != SiteKind::kLinear) continue;
    const Tensor& weight = weights_[site.weight];
    if (weight.dim(1) % kernels::kCodesAtOnce != 0) {
      notes_.push_back(absl::StrCat(info.name, " ",
                                    ShapeToString(weight.shape()),
                                    " is not quantised: its rows are no "
                                    "multiple of 32"));
      continue;
    }
    if (seen.insert(weight.data()).second) chosen.push_back(site.weight);
  }
  return chosen;
}

absl::Status BaseModel::QuantizeWeights(WeightFormat format, bool with_head,
                                        kernels::ThreadPool& pool) {
  if (format == WeightFormat::kAsStored) return absl::OkStatus();
  if (is_quantized()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     error_id::kModelQuantized,
                     "the model's weights are quantised already; open it with "
                     "the weight format that leaves them as stored");
  }
  PEFT_ASSIGN_OR_RETURN(const std::vector<int> chosen,
                        WeightsToQuantize(with_head));
  if (chosen.empty()) return absl::OkStatus();
  int64_t size = 0;
  for (const int i : chosen) size += CodeMemory::SizeOf(weights_[i], format);
  PEFT_ASSIGN_OR_RETURN(CodeMemory memory, CodeMemory::Create(size));
  std::map<const void*, Tensor> quantised;
  for (const int i : chosen) {
    PEFT_ASSIGN_OR_RETURN(quantised[weights_[i].data()],
                          QuantizeWeight(description_.weights[i].name,
                                         weights_[i], format, pool, memory));
  }
  for (Tensor& weight : weights_) {
    const auto found = quantised.find(weight.data());
    if (found != quantised.end()) weight = found->second;
  }
  files_ = {};
  CountSizes();
  BuildSites();
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
    notes_.push_back(absl::StrCat(
        "config.json ties the head to the embedding, but the weight files hold "
        "a different ",
        description_.weights[head].name, ", which is used"));
  }
  found[embedding] = found[head] = true;
}

// The first weight is the embedding's, which the files have if they are a
// model's.
absl::Status BaseModel::AddFreshHead(const ModelConfig& config,
                                     std::vector<bool>& found) {
  if (!found[0]) return absl::OkStatus();
  const Tensor& embedding = weights_[0];
  const bool has_numbers = IsComputeDType(embedding.dtype());
  FreshHead head(config, has_numbers ? embedding.dtype() : DType::kF32,
                 embedding.num_elements());
  const std::string file = files_.file_of.begin()->second;
  for (size_t i = 0; i < found.size(); ++i) {
    const WeightInfo& weight = description_.weights[i];
    if (found[i] || !IsOfHead(description_, weight)) continue;
    PEFT_ASSIGN_OR_RETURN(
        weights_[i], head.Make(weight, description_.sites[weight.site].kind));
    files_.tensors[weight.name] = weights_[i];
    files_.file_of[weight.name] = file;
    fresh_weights_.push_back(weight.name);
    found[i] = true;
  }
  if (fresh_weights_.empty()) return absl::OkStatus();
  notes_.push_back(absl::StrCat(
      "the weight files lack ", ShortList(fresh_weights_, kMaxUnusedNotes),
      " of ", config.architecture,
      ": made anew, and untrained until an adapter brings its own"));
  return absl::OkStatus();
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
  std::set<const void*> counted;
  size_bytes_ = num_parameters_ = 0;
  for (const Tensor& weight : weights_) {
    if (!counted.insert(weight.data()).second) continue;
    size_bytes_ += weight.size_bytes();
    num_parameters_ += weight.num_elements();
    if (!weight.is_quantized()) continue;
    size_bytes_ += weight.num_elements() / weight.codes()->block *
                   kernels::ScaleSize(weight.dtype());
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
    site.is_output_embedding = info.is_output_embedding;
    site.is_classifier = info.is_classifier;
    sites.push_back(std::move(site));
  }
  sites_ = SiteTable(std::move(sites), description_.module_names,
                     config_.model_type, layer_replication_);
}

}  // namespace peft
