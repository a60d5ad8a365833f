#include "peft_cc/models/merged_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/new_folder.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/layer_replication.h"
#include "peft_cc/models/model_folder.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

constexpr char kIndexName[] = "model.safetensors.index.json";
constexpr char kSingleFile[] = "model.safetensors";
// Shards in folders of their own all go to the new folder itself.
std::string FileName(const std::string& shard) {
  return absl::StrReplaceAll(shard, {{"/", "_"}});
}

bool SameBytes(const Tensor& a, const Tensor& b) {
  return a.size_bytes() == b.size_bytes() &&
         std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// A bias that adds nothing, for one that an adapter has taken away.
absl::StatusOr<Tensor> Zeros(const Tensor& like) {
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(
      Tensor zeros,
      Tensor::Allocate(like.dtype(), {like.shape().begin(), like.shape().end()},
                       &data));
  return zeros;
}

// A tensor of the description, as a part of a site.
struct Part {
  int site = -1;
  bool is_bias = false;
};

class Writer {
 public:
  Writer(const BaseModel& base, const Plan& plan,
         const MergedModelOptions& options, kernels::ThreadPool& pool)
      : base_(base), plan_(plan), options_(options), pool_(pool) {}

  absl::Status Write(const std::string& path) {
    PEFT_RETURN_IF_ERROR(CheckMergeable(base_.sites(), plan_.activation()));
    PEFT_RETURN_IF_ERROR(FindParts());
    PEFT_RETURN_IF_ERROR(FindTensors());
    PEFT_ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> folder,
                          NewFolder::Create(path));
    PEFT_RETURN_IF_ERROR(WriteConfig(folder->path()));
    PEFT_RETURN_IF_ERROR(CopyModelFiles(base_.folder(), folder->path()));
    PEFT_RETURN_IF_ERROR(WriteIndex(folder->path()));
    const PoolCheck pool_check(pool_);
    for (const auto& item : layouts_) {
      PEFT_RETURN_IF_ERROR(WriteWeights(folder->path(), item.first));
    }
    PEFT_RETURN_IF_ERROR(pool_check.status());
    return folder->Commit();
  }

 private:
  // A tensor of the new folder: weight `weight` of the description, or, with
  // -1, one that the model does not use.
  struct Output {
    std::string file;
    int weight = -1;
  };

  // The parts of the sites that change.
  absl::Status FindParts() {
    for (const int index : ChangedSites(plan_.activation())) {
      const SiteInfo& site = base_.description().sites[index];
      parts_[site.weight] = {index, false};
      if (site.bias >= 0) {
        parts_[site.bias] = {index, true};
      } else if (plan_.linear(index).bias.data != nullptr) {
        return MakeError(
            absl::StatusCode::kInvalidArgument, error_id::kAdapterNotMergeable,
            absl::StrCat("module ", Quoted(site.name),
                         " has no bias, and what the adapters add to it "
                         "cannot be written to a model of this family"),
            {site.name, "a bias", "none"});
      }
    }
    return absl::OkStatus();
  }

  absl::Status FindTensors() {
    std::map<const void*, int> weight_at;  // the first of those that share it
    for (size_t i = base_.weights().size(); i-- > 0;) {
      weight_at[base_.weights()[i].data()] = static_cast<int>(i);
    }
    if (is_replicated()) FindReplicatedTensors();
    for (const auto& [name, tensor] : base_.files().tensors) {
      const auto found = weight_at.find(tensor.data());
      const bool is_used = found != weight_at.end() && tensor.size_bytes() > 0;
      // The class is another one than the folder's: what it has no use for is
      // that one's head.
      if (is_used ? is_replicated() : base_.config().is_task_chosen) continue;
      outputs_.try_emplace(name,
                           Output{FileName(base_.files().file_of.at(name)),
                                  is_used ? found->second : -1});
    }
    PEFT_RETURN_IF_ERROR(UntieHead());
    for (const auto& [name, output] : outputs_) {
      const Tensor& tensor = output.weight >= 0
                                 ? base_.weights()[output.weight]
                                 : base_.files().tensors.at(name);
      layouts_[output.file].emplace(name, tensor);
      total_ += tensor.size_bytes();
    }
    return absl::OkStatus();
  }

  bool is_replicated() const { return !base_.config().source_layers.empty(); }

  // Each layer gets tensors of its own, in the file of the layer that it
  // repeats.
  void FindReplicatedTensors() {
    std::map<const void*, std::string> file_at;
    for (const auto& [name, tensor] : base_.files().tensors) {
      file_at.emplace(tensor.data(), FileName(base_.files().file_of.at(name)));
    }
    for (size_t i = 0; i < base_.weights().size(); ++i) {
      const int weight = static_cast<int>(i);
      if (base_.has_tied_head() && weight == base_.description().tied_weight) {
        continue;
      }
      outputs_[base_.description().weights[i].name] = {
          file_at.at(base_.weights()[i].data()), weight};
    }
  }

  // A tied head and embedding have one tensor, which counts as the embedding's,
  // and perhaps a copy of its bytes under the head's name. Where they differ
  // from now on, each gets a tensor of its own.
  absl::Status UntieHead() {
    const int head = base_.description().tied_weight;
    const int embedding = base_.description().tied_to;
    if (!base_.has_tied_head() ||
        (parts_.count(head) == 0 && parts_.count(embedding) == 0)) {
      return absl::OkStatus();
    }
    PEFT_ASSIGN_OR_RETURN(const Tensor head_tensor, MergedWeight(head));
    PEFT_ASSIGN_OR_RETURN(const Tensor table, MergedWeight(embedding));
    is_untied_ = !SameBytes(head_tensor, table);
    const auto shared = std::find_if(
        outputs_.begin(), outputs_.end(),
        [&](const auto& item) { return item.second.weight == embedding; });
    const std::string& head_name = base_.description().weights[head].name;
    const std::string file = shared->second.file;
    const bool shares_head_name = shared->first == head_name;
    if (is_untied_ || (outputs_.count(head_name) > 0 && !shares_head_name)) {
      outputs_[head_name] = {file, head};
    }
    if (is_untied_ && shares_head_name) {
      outputs_[base_.description().weights[embedding].name] = {file, embedding};
    }
    if (is_untied_) NameHeadBias();
    return absl::OkStatus();
  }

  // The bias of BERT's head is that of the module around it, under whose name
  // alone files may have it. Where nothing is tied transformers ties these two
  // neither.
  void NameHeadBias() {
    for (size_t i = 0; i < base_.weights().size(); ++i) {
      const WeightInfo& weight = base_.description().weights[i];
      const auto found = outputs_.find(weight.alias);
      if (found == outputs_.end()) continue;
      const std::string file = found->second.file;
      outputs_.try_emplace(weight.name, Output{file, static_cast<int>(i)});
    }
  }

  absl::StatusOr<Tensor> MergedWeight(int weight) {
    const auto part = parts_.find(weight);
    if (part == parts_.end()) return base_.weights()[weight];
    PEFT_ASSIGN_OR_RETURN(const BaseOverlay::Weights merged,
                          MergeSite(base_.sites(), plan_, part->second.site,
                                    options_.merge, memory_, pool_));
    if (!part->second.is_bias) return merged.weight;
    return merged.bias.dtype() == DType::kUnspecified
               ? Zeros(base_.weights()[weight])
               : absl::StatusOr<Tensor>(merged.bias);
  }

  absl::Status WriteConfig(const std::string& folder) const {
    const bool has_other_head = base_.config().is_task_chosen;
    if (!is_untied_ && !is_replicated() && !has_other_head) {
      return CopyModelConfig(base_.folder(), folder);
    }
    PEFT_ASSIGN_OR_RETURN(Json config, ReadModelConfig(base_.folder()));
    if (is_untied_) config["tie_word_embeddings"] = false;
    if (has_other_head) SetHead(base_.config(), config);
    if (is_replicated()) {
      PEFT_RETURN_IF_ERROR(SetReplicatedLayers(base_.description(), config));
    }
    return WriteModelConfig(folder, config);
  }

  absl::Status WriteIndex(const std::string& folder) const {
    if (layouts_.size() == 1 && layouts_.count(kSingleFile) == 1) {
      return absl::OkStatus();
    }
    // Not by a list, which leaks where memory runs out in it, nor by an index
    // into null, which then ends the process.
    Json metadata = Json::object();
    metadata["total_size"] = total_;
    Json index = Json::object();
    index["metadata"] = std::move(metadata);
    index["weight_map"] = Json::object();
    for (const auto& [name, output] : outputs_) {
      index["weight_map"][name] = output.file;
    }
    return WriteModelText(absl::StrCat(folder, "/", kIndexName),
                          DumpJson(index));
  }

  absl::Status WriteWeights(const std::string& folder,
                            const std::string& file) {
    PEFT_RETURN_IF_ERROR(WriteSafetensorsPiecewise(
        absl::StrCat(folder, "/", file), layouts_.at(file), {{"format", "pt"}},
        [&](const std::string& name) -> absl::StatusOr<Tensor> {
          PEFT_RETURN_IF_ERROR(Report());
          const int weight = outputs_.at(name).weight;
          absl::StatusOr<Tensor> tensor =
              weight >= 0
                  ? MergedWeight(weight)
                  : absl::StatusOr<Tensor>(base_.files().tensors.at(name));
          if (tensor.ok()) pending_ = tensor->size_bytes();
          return tensor;
        }));
    return Report();
  }

  // The tensor that was asked for last is written by now, if there is one.
  absl::Status Report() {
    if (pending_ == 0) return absl::OkStatus();
    done_ += std::exchange(pending_, 0);
    if (!options_.on_progress || options_.on_progress(done_, total_)) {
      return absl::OkStatus();
    }
    return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                     "on_progress asked to stop; nothing was written");
  }

  const BaseModel& base_;
  const Plan& plan_;
  const MergedModelOptions& options_;
  kernels::ThreadPool& pool_;
  MergeMemory memory_{/*expected_bytes=*/0};
  std::map<int, Part> parts_;  // by index into Description::weights
  std::map<std::string, Output> outputs_;
  std::map<std::string, TensorMap> layouts_;  // by file
  bool is_untied_ = false;
  int64_t total_ = 0;
  int64_t done_ = 0;
  int64_t pending_ = 0;  // bytes that are not reported yet
};

}  // namespace

absl::Status WriteMergedModel(const BaseModel& base, const Plan& plan,
                              const std::string& path,
                              const MergedModelOptions& options,
                              kernels::ThreadPool& pool) {
  return Writer(base, plan, options, pool).Write(path);
}

}  // namespace peft
