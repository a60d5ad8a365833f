// A base model, or a program's own layers, with adapters: what `peft_model_t`
// is.
#ifndef PEFT_CC_MODELS_MODEL_H_
#define PEFT_CC_MODELS_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/adapters/combine.h"
#include "peft_cc/adapters/merge.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/probe.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/adapters/save.h"
#include "peft_cc/config/layer_ranges.h"
#include "peft_cc/models/architecture.h"
#include "peft_cc/models/base_model.h"
#include "peft_cc/models/block_weights.h"
#include "peft_cc/models/host_layers.h"
#include "peft_cc/models/merged_model.h"
#include "peft_cc/models/model_source.h"
#include "peft_cc/models/weights_gate.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// How a model is opened and run; where it is, is ModelSourceOptions.
struct ModelOptions : ModelSourceOptions {
  ReadMode read_mode = ReadMode::kMap;  // how base weights are read
  // The layers of the base that the model's are, one range after another;
  // empty: the base's own. Of a host model: how its layers were made.
  // Where it is empty for_adapters decide.
  LayerRanges layer_replication;
  int num_threads = 0;  // 0: one per core; 1: the caller only
  // Processors that own threads run on, as the system numbers them, and then
  // what num_threads 0 counts; empty: any. Not with thread_pool.
  std::vector<int> processors;
  // What the linear layers' weights are made to; of the head too, and of an
  // embedding that it is tied to, with quantize_head. Not of a host model.
  WeightFormat weight_format = WeightFormat::kAsStored;
  bool quantize_head = false;
  // The head that the model gets. Where it leaves the number of labels open,
  // the adapters of for_adapters may say it. Not of a host model.
  HeadChoice head;
  // Runs the work of forwards. Null: an own pool of num_threads.
  std::shared_ptr<kernels::ThreadPool> thread_pool;
};

// How an adapter takes the place of another.
struct ReplaceOptions {
  bool is_trainable = false;
  uint64_t expected_generation = 0;  // of the one that is there; 0: any
};

// Thread-safe. Sessions keep a reference to their model, which must outlive
// them. Verbs carry the names and meaning of transformers' PeftAdapterMixin.
class Model {
 public:
  // Opens a Hugging Face folder, or a model of the Hub: config.json and
  // (sharded) safetensors. With `path` "" it is the base that the adapters of
  // options.for_adapters name. Fails as FindModelSource, BaseModel::Open and
  // LayerReplicationOf do, and with INVALID_ARGUMENT (ARGUMENT) for a number of
  // threads that no machine has, or of labels that no model has.
  static absl::StatusOr<std::unique_ptr<Model>> Open(
      const std::string& path, const ModelOptions& options = {});

  // A host model: layers that a program has itself, whose memory their tensors
  // keep alive. Adapters do all that they do elsewhere; there are no sessions,
  // the program calls RunLayer. Fails as BuildHostSites does.
  static absl::StatusOr<std::unique_ptr<Model>> Create(
      const std::vector<HostLayer>& layers, const ModelOptions& options = {});

  // Loads the adapter in the folder, or of the Hub, `path` under `name` and
  // makes it the only active one. Fails with ALREADY_EXISTS when the name is
  // taken, else as hub::FetchAdapter and peft::LoadAdapter do; the model is
  // then unchanged. Forwards that run are not disturbed.
  absl::StatusOr<LoadReport> LoadAdapter(const std::string& name,
                                         const std::string& path,
                                         const AdapterLoadOptions& options = {},
                                         bool is_trainable = false);
  // The same from the text of an adapter_config.json and tensors in memory,
  // which are shared and not copied.
  absl::StatusOr<LoadReport> LoadAdapterFromMemory(
      const std::string& name, const std::string& config, TensorMap tensors,
      const AdapterLoadOptions& options = {}, bool is_trainable = false);
  // Makes a fresh adapter from the text of an adapter_config.json, initialised
  // with the numbers that torch.manual_seed(seed) gives PEFT, and makes it the
  // only active one. It is trainable. Fails as MakeFreshAdapter and
  // LoadAdapter.
  absl::StatusOr<LoadReport> AddAdapter(const std::string& name,
                                        const std::string& config,
                                        uint64_t seed);
  // Loads an adapter in the place of `name`, which must be there; see
  // AdapterRegistry::Replace.
  absl::StatusOr<LoadReport> ReplaceAdapter(
      const std::string& name, const std::string& path,
      const AdapterLoadOptions& options = {}, const ReplaceOptions& how = {});
  absl::StatusOr<LoadReport> ReplaceAdapterFromMemory(
      const std::string& name, const std::string& config, TensorMap tensors,
      const AdapterLoadOptions& options = {}, const ReplaceOptions& how = {});
  // Makes exactly these active, in this order; `scales` has a factor for each,
  // or none: all 1. Does not enable disabled adapters.
  absl::Status SetAdapter(absl::Span<const std::string> names,
                          absl::Span<const float> scales = {});
  // While disabled, forwards run the base model exactly; which adapters are
  // active is remembered.
  void DisableAdapters();
  void EnableAdapters();
  bool adapters_enabled() const;
  // In activation order, also while they are disabled.
  std::vector<std::string> ActiveAdapters() const;
  // All that are loaded, in load order.
  std::vector<std::string> AdapterNames() const;
  // Deletes all or none; NOT_FOUND names the unknown ones. Forwards and
  // generations that run finish with what they began with.
  absl::Status DeleteAdapter(absl::Span<const std::string> names);
  // The adapter `name` (NOT_FOUND otherwise); its tensors are its state_dict().
  // An empty name means the first active adapter; FAILED_PRECONDITION if none
  // is.
  absl::StatusOr<std::shared_ptr<const Adapter>> GetAdapter(
      const std::string& name) const;
  // Facts of an adapter; `name` and failures as of GetAdapter.
  absl::StatusOr<AdapterInfo> GetAdapterInfo(const std::string& name) const;
  // Writes an adapter as a PEFT folder, with the base's fingerprint; `name` and
  // failures as of GetAdapter, and as of peft::SaveAdapter.
  absl::Status SaveAdapter(const std::string& name, const std::string& path,
                           const AdapterSaveOptions& options = {}) const;
  // See AdapterRegistry for what these do and how they fail.
  bool HasAdapter(const std::string& name) const;
  absl::Status RenameAdapter(const std::string& name,
                             const std::string& new_name);
  absl::Status SetScale(const std::string& name, float scale);
  absl::Status SetAdapterLimit(const AdapterLimit& limit);
  absl::Status PinAdapter(const std::string& name, bool pinned);
  AdapterUsage GetAdapterUsage() const;

  // Writes these adapters, or with no name the active ones, into weights that
  // stand for the base's until UnmergeAdapter; see AdapterRegistry::Merge.
  // Returns the names that were not merged before.
  absl::StatusOr<std::vector<std::string>> MergeAdapter(
      absl::Span<const std::string> names = {},
      absl::Span<const float> scales = {},
      const MergeAdapterOptions& options = {});
  // Back to the base's weights, bit by bit. False where nothing was merged.
  absl::StatusOr<bool> UnmergeAdapter();
  // Also while adapters are disabled.
  std::vector<std::string> MergedAdapters() const;
  // Writes the model with these adapters, or with no name the merged and the
  // active ones, merged into its weights to the new folder `path`. The model
  // itself does not change. Fails as MergeAdapter and WriteMergedModel.
  absl::Status MergeAndUnload(const std::string& path,
                              absl::Span<const std::string> names = {},
                              absl::Span<const float> scales = {},
                              const MergedModelOptions& options = {}) const;
  // Writes the base, of which options.weight_format has quantised the weights;
  // adapters are no part of it. Fails as WriteQuantizedModel.
  absl::Status WriteQuantized(
      const std::string& path,
      const std::function<bool(int64_t done, int64_t total)>& on_progress)
      const;
  // Unmerges and deletes all adapters.
  absl::Status Unload();
  // Makes adapter `new_name` of loaded ones, with a weight for each; it is not
  // activated. NOT_FOUND, ALREADY_EXISTS, or as CombineAdapters.
  absl::Status AddWeightedAdapter(const std::string& new_name,
                                  absl::Span<const std::string> names,
                                  absl::Span<const float> weights,
                                  const CombineOptions& options = {});
  // What the adapter does to random input; `name` and failures as of
  // GetAdapter, and as of peft::ProbeAdapter.
  absl::StatusOr<ProbeReport> ProbeAdapter(
      const std::string& name, const ProbeOptions& options = {}) const;

  // What a forward that begins now runs. Constant time, takes a lock.
  std::shared_ptr<const Plan> CurrentPlan() const;
  // The plan of an activation of the caller's own: these adapters with these
  // scales (none: all 1) in this order, whatever is active. Fails as
  // SetAdapter.
  absl::StatusOr<HeldPlan> MakePlan(absl::Span<const std::string> names,
                                    absl::Span<const float> scales = {});
  // What calls that begin now run; it changes with the version, which takes no
  // lock.
  absl::StatusOr<AdapterRegistry::Running> GetRunning() const;
  uint64_t running_version() const { return registry_.version(); }
  // One adapter for each row of a batch, "__base__" for none: PEFT's
  // adapter_names. NOT_FOUND names all unknown ones. While adapters are
  // disabled every row runs the base model; so below.
  absl::StatusOr<BatchPlan> PlanRows(absl::Span<const std::string> names);
  // One plan of MakePlan for all rows, or one for each; null: the base model.
  absl::StatusOr<BatchPlan> PlanRows(
      absl::Span<const std::shared_ptr<const Plan>> plans);
  // The index of layer `name` among sites(). Of a parameter of three axes it is
  // the matrix of `expert`, else that is -1. NOT_FOUND (LAYER_NOT_FOUND) for a
  // name that no layer has.
  absl::StatusOr<int> FindLayer(const std::string& name, int64_t expert) const;
  // What layer `name` computes from `x`, its rows under `plans`, or with null
  // under the current activation; see peft::RunLayer.
  absl::StatusOr<Tensor> RunLayer(const std::string& name, int64_t expert,
                                  const Tensor& x,
                                  const BatchPlan* plans = nullptr) const;
  // For the length of a call that reads the weights of layers.
  absl::StatusOr<WeightsGate::Use> UseWeights() const { return gate_.Read(); }

  // The layers that adapters attach to.
  const SiteTable& sites() const { return *sites_; }
  // True if the model is a program's own: there is no base() then.
  bool is_host_model() const { return base_ == nullptr; }
  const BaseModel& base() const { return *base_; }
  // What of opening it is worth knowing.
  const std::vector<std::string>& notes() const { return notes_; }
  // Where forwards run: the program's pool, or the model's own.
  kernels::ThreadPool& pool() const { return *pool_; }

 private:
  Model(std::unique_ptr<BaseModel> base, SiteTable host_sites, std::string name,
        const ModelOptions& options);

  // UseWeights of a call that needs those of the base: also
  // FAILED_PRECONDITION (MERGED) while others are in their place.
  absl::StatusOr<WeightsGate::Use> UseBaseWeights() const;
  // What the first active adapter is called, where `name` is empty.
  absl::StatusOr<std::string> NameOrActive(const std::string& name) const;
  // `options` with the model's pool where they have none, and its memory.
  AdapterLoadOptions WithMeans(const AdapterLoadOptions& options) const;
  absl::StatusOr<LoadedAdapter> Build(const std::string& name,
                                      const std::string& config,
                                      TensorMap tensors,
                                      const AdapterLoadOptions& options) const;
  // Adds a line to the report of an adapter that names another base.
  void NoteOtherBase(LoadedAdapter& loaded) const;
  // The same for what it does not bring of a head that is untrained.
  void NoteUntrainedHead(LoadedAdapter& loaded) const;
  // RESOURCE_EXHAUSTED (ADAPTER_LIMIT) where the folder cannot fit the limit.
  absl::Status CheckRoom(const Folder& folder,
                         const AdapterLoadOptions& options,
                         const std::string& replaced) const;
  // The adapter of a folder that is here, in the place of `replaced`, if that
  // is not empty.
  absl::StatusOr<LoadedAdapter> Read(const std::string& name,
                                     const Folder& folder,
                                     const AdapterLoadOptions& options,
                                     const std::string& replaced) const;
  // The same of the files of the options, of a folder or of the Hub.
  absl::StatusOr<LoadedAdapter> Fetch(const std::string& name,
                                      const std::string& path,
                                      const AdapterLoadOptions& options,
                                      const std::string& replaced) const;
  // Loads under the reserved `name`: `load` gives the adapter.
  absl::StatusOr<LoadReport> Add(
      const std::string& name, bool is_trainable,
      absl::FunctionRef<absl::StatusOr<LoadedAdapter>()> load);
  absl::StatusOr<LoadReport> Replace(
      const std::string& name, const ReplaceOptions& how,
      absl::FunctionRef<absl::StatusOr<LoadedAdapter>()> load);

  const std::string name_;           // of the base; "" of a host model
  std::unique_ptr<BaseModel> base_;  // null in a host model
  std::vector<std::string> notes_;
  SiteTable host_sites_;  // empty in others
  const SiteTable* sites_;
  const std::shared_ptr<kernels::ThreadPool> pool_;
  mutable WeightsGate gate_;
  // GetRunning keeps the plan that it makes.
  mutable AdapterRegistry registry_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_MODEL_H_
