#include "peft_cc/models/layer_replication.h"

#include <map>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/models/config_parts.h"

namespace peft {
namespace {

absl::Status WrongRanges(const LayerRanges& ranges, absl::string_view problem,
                         int64_t num_layers) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kLayerReplication,
      absl::StrCat("layer_replication ", RangesText(ranges), " ", problem,
                   "; the base has ", num_layers, " layers"),
      {"layer_replication", absl::StrCat(num_layers, " layers"),
       RangesText(ranges)});
}

// By layer of the model: which layer of the base it is.
absl::StatusOr<std::vector<int64_t>> SourceLayers(const LayerRanges& ranges,
                                                  int64_t num_layers) {
  std::vector<int64_t> layers;
  for (const LayerRange& range : ranges) {
    if (range.first < 0 || range.end < range.first || range.end > num_layers) {
      return WrongRanges(ranges, "names layers that are not there", num_layers);
    }
    for (int64_t layer = range.first; layer < range.end; ++layer) {
      layers.push_back(layer);
    }
    if (static_cast<int64_t>(layers.size()) > kMaxLayers) {
      return WrongRanges(
          ranges, absl::StrCat("makes more than ", kMaxLayers, " layers"),
          num_layers);
    }
  }
  if (layers.empty()) return WrongRanges(ranges, "has no layers", num_layers);
  return layers;
}

// One for each layer, as transformers calls them.
Json LayerTypes(const Description& description) {
  Json types = Json::array();
  for (const Op& op : description.ops) {
    if (op.kind != OpKind::kAttention) continue;
    types.push_back(op.attention.sliding_window > 0 ? "sliding_attention"
                                                    : "full_attention");
  }
  return types;
}

}  // namespace

absl::StatusOr<LayerRanges> LayerReplicationOf(
    absl::Span<const std::string> adapter_folders) {
  AdapterConfigOptions options;
  options.lenient = options.inspect_only = true;
  const std::string* decided_by = nullptr;
  LayerRanges ranges;
  for (const std::string& folder : adapter_folders) {
    PEFT_ASSIGN_OR_RETURN(const AdapterConfig config,
                          ReadAdapterConfig(folder, options));
    const LayerRanges& wanted = config.targets.layer_replication;
    if (wanted.empty() || wanted == ranges) continue;
    if (decided_by != nullptr) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, error_id::kLayerReplication,
          absl::StrCat("layer_replication is ", RangesText(ranges),
                       " in adapter ", Quoted(*decided_by), " and ",
                       RangesText(wanted), " in ", Quoted(folder),
                       ": one model cannot have both; open one for each"),
          {"layer_replication", RangesText(ranges), RangesText(wanted)});
    }
    decided_by = &folder;
    ranges = wanted;
  }
  return ranges;
}

absl::Status ReplicateLayers(const LayerRanges& ranges, FamilyConfig& config) {
  ModelConfig& core = CoreOf(config);
  PEFT_ASSIGN_OR_RETURN(std::vector<int64_t> layers,
                        SourceLayers(ranges, core.num_hidden_layers));
  if (auto* const decoder = std::get_if<DecoderConfig>(&config)) {
    std::vector<int64_t> windows;
    windows.reserve(layers.size());
    for (const int64_t layer : layers) {
      windows.push_back(decoder->sliding_windows[layer]);
    }
    decoder->sliding_windows = std::move(windows);
  }
  core.num_hidden_layers = static_cast<int64_t>(layers.size());
  core.source_layers = std::move(layers);
  return absl::OkStatus();
}

// All layers have the same weights in the same order.
std::vector<int> SourceWeights(const Description& base,
                               const Description& replicated,
                               const std::vector<int64_t>& source_layers) {
  std::map<int64_t, std::vector<int>> of_layer;
  for (size_t i = 0; i < base.weights.size(); ++i) {
    of_layer[base.weights[i].layer].push_back(static_cast<int>(i));
  }
  std::map<int64_t, size_t> taken;  // by layer of the replicated model
  std::vector<int> sources;
  sources.reserve(replicated.weights.size());
  for (const WeightInfo& weight : replicated.weights) {
    const int64_t source = weight.layer < 0 ? -1 : source_layers[weight.layer];
    sources.push_back(of_layer.at(source).at(taken[weight.layer]++));
  }
  return sources;
}

absl::Status SetReplicatedLayers(const Description& replicated, Json& config) {
  const auto scaled = config.find("scale_attn_by_inverse_layer_idx");
  if (scaled != config.end() && scaled->is_boolean() && scaled->get<bool>()) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, error_id::kLayerReplication,
        "scale_attn_by_inverse_layer_idx scales each layer by its place, and "
        "replicated layers keep the scale of the base's: no config.json can "
        "say so; run the model with its layer_replication instead",
        {"scale_attn_by_inverse_layer_idx", "false", "true"});
  }
  // GPT-2's own name, and the one that it takes as well.
  const bool has_own_name = config.contains("n_layer");
  if (has_own_name) config["n_layer"] = replicated.num_layers;
  if (!has_own_name || config.contains("num_hidden_layers")) {
    config["num_hidden_layers"] = replicated.num_layers;
  }
  if (config.contains("layer_types") || config.contains("max_window_layers")) {
    config["layer_types"] = LayerTypes(replicated);
  }
  return absl::OkStatus();
}

}  // namespace peft
