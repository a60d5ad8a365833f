// A base model as its folder describes it: weights by transformers' names,
// sites, and the description that executors run.
#ifndef PEFT_CC_MODELS_BASE_MODEL_H_
#define PEFT_CC_MODELS_BASE_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/config/layer_ranges.h"
#include "peft_cc/models/architecture.h"
#include "peft_cc/models/block_weights.h"
#include "peft_cc/models/description.h"
#include "peft_cc/models/model_config.h"
#include "peft_cc/models/model_family.h"
#include "peft_cc/models/weight_files.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// True for the files of a base's folder that belong to the model and hold no
// weights, nor where they are: configs and tokenizers.
bool IsSmallFile(absl::string_view name);

// Immutable but for QuantizeWeights, and then thread-safe.
class BaseModel {
 public:
  // Bytes of such a file. The largest tokenizers are some 50 MB.
  static constexpr uint64_t kMaxSmallFile = uint64_t{1} << 30;

  // Reads config.json, generation_config.json if there is one, and
  // model.safetensors or model.safetensors.index.json with its shards. Names
  // may lack the bare model's ("model.", "transformer.", "bert."), as those of
  // a saved bare model do. What the class of config.json leaves open, the
  // weight files decide; see architecture.h. Fails with NOT_FOUND,
  // INVALID_ARGUMENT (MODEL_CONFIG, MODEL_WEIGHTS, TENSOR_MISSING,
  // TENSOR_SHAPE_MISMATCH, TENSOR_DTYPE ...) or UNIMPLEMENTED
  // (MODEL_UNSUPPORTED: family, quantization, rope type ...). The layers are
  // those of `layer_replication`, where it is not empty; what is there several
  // times shares its weights. Fails then as ReplicateLayers, too. With a task
  // in `head` the class of config.json does not matter, and what the files lack
  // of that head is made anew, with a note. Fails then as ParseModelConfig and
  // FreshHead, too, and with INVALID_ARGUMENT (ARGUMENT) for a num_labels of
  // what is no classifier.
  static absl::StatusOr<std::unique_ptr<BaseModel>> Open(
      const Folder& folder, ReadMode mode,
      const LayerRanges& layer_replication = {}, const HeadChoice& head = {});

  // Makes the weights of linear layers to codes of `format`; of the head only
  // with `with_head`, and then of an embedding that it is tied to. Others stay
  // as they are: those of classifiers, and with a note those whose rows are not
  // whole blocks. What the files hold is let go where something was quantised.
  // FAILED_PRECONDITION (MODEL_QUANTIZED) where weights are quantised already,
  // UNIMPLEMENTED (MODEL_UNSUPPORTED) for a family that stores its layers
  // transposed, and as QuantizeWeight.
  absl::Status QuantizeWeights(WeightFormat format, bool with_head,
                               kernels::ThreadPool& pool);

  // config.json, with the tokens of generation_config.json.
  const ModelConfig& config() const { return config_; }
  // The layers that adapters attach to, with views of the weights.
  const SiteTable& sites() const { return sites_; }
  // Modules, weights and operations in order.
  const Description& description() const { return description_; }
  // The tensors of Description::weights, at the same indexes. Tied ones and
  // those of replicated layers share their memory.
  const std::vector<Tensor>& weights() const { return weights_; }
  // Where the model was read from: its folder (of files that a program gave the
  // small ones) and, by the names of its files, all their tensors. The views of
  // weights() are among them, those that were made anew too.
  const Folder& folder() const { return folder_; }
  // None after QuantizeWeights.
  const WeightFiles& files() const { return files_; }
  // The names of the head's weights that the files lack: made anew, untrained.
  const std::vector<std::string>& fresh_weights() const {
    return fresh_weights_;
  }
  // True if the head uses the embedding's tensor.
  bool has_tied_head() const { return has_tied_head_; }
  // True if some weight is quantised.
  bool is_quantized() const;
  // Bytes and elements of the weights, shared ones once.
  int64_t size_bytes() const { return size_bytes_; }
  int64_t num_parameters() const { return num_parameters_; }
  // Sentences about what in the folder was not used or is odd.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  explicit BaseModel(Folder folder) : folder_(std::move(folder)) {}

  // From `family`, that of the files, and their weights.
  absl::Status Replicate(const LayerRanges& ranges, HasWeight has_weight,
                         FamilyConfig& family);
  absl::Status TakeWeights(const ModelConfig& config, TensorMap tensors);
  // Whether the files have weight `index`.
  absl::StatusOr<bool> TakeWeight(TensorMap& tensors, size_t index);
  // `found` says which weights the files have, and is updated.
  void TieHead(std::vector<bool>& found);
  // Makes what is not `found` of the head.
  absl::Status AddFreshHead(const ModelConfig& config,
                            std::vector<bool>& found);
  void AddUnusedNotes(const TensorMap& tensors);
  // Which weights QuantizeWeights replaces, those that share memory once; notes
  // of others that it cannot.
  absl::StatusOr<std::vector<int>> WeightsToQuantize(bool with_head);
  void CountSizes();
  void BuildSites();

  Folder folder_;
  WeightFiles files_;
  ModelConfig config_;
  Description description_;
  LayerRanges layer_replication_;  // simplified
  SiteTable sites_;
  std::vector<Tensor> weights_;
  std::vector<std::string> notes_;
  std::vector<std::string> fresh_weights_;
  bool has_tied_head_ = false;
  int64_t size_bytes_ = 0;
  int64_t num_parameters_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_BASE_MODEL_H_
