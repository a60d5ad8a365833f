// adapter_config.json: what PEFT writes beside an adapter's tensors.
// Source of fields and defaults: peft 0.21.2's config classes.
#ifndef PEFT_CC_CONFIG_ADAPTER_CONFIG_H_
#define PEFT_CC_CONFIG_ADAPTER_CONFIG_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/base/json.h"
#include "peft_cc/config/layer_ranges.h"

namespace peft {

// target_modules, exclude_modules: a regex (a JSON string) or a list of names.
struct ModuleSelector {
  bool is_regex = false;
  std::string regex;               // with is_regex; "all-linear" is is_regex
  std::vector<std::string> names;  // otherwise, in the order of the file

  bool IsAllLinear() const;  // the string "all-linear", any letter case
};

// Which biases of the base model the adapter has trained: none, all of them,
// or those of the modules it targets.
enum class BiasMode { kNone, kAll, kLoraOnly };

// The fields every method has.
struct AdapterConfigBase {
  std::string peft_type;                // "LORA" ...
  std::string task_type;                // "" when null or absent
  std::string base_model_name_or_path;  // "" when null or absent
  std::string peft_version;             // "" in old files
  bool inference_mode = false;
};

// Rows of an embedding that the adapter replaces, trainable_token_indices.
struct TrainedTokens {
  std::string module;        // the end of its name; "": the input embedding
  std::vector<int64_t> ids;  // in the order of the rows in the file
};

// What of the model an adapter changes: fields that methods share. A method
// that lacks one leaves it at its default.
struct TargetConfig {
  std::optional<ModuleSelector> target_modules;  // nullopt: default by family
  std::optional<ModuleSelector> exclude_modules;
  std::optional<std::vector<int64_t>> layers_to_transform;
  std::vector<std::string> layers_pattern;
  // Ends of the names of modules that the adapter replaces; as regexes, they
  // are never targeted. With those that PEFT adds for the task type.
  std::vector<std::string> modules_to_save;
  // Ends of the names of parameters that are adapted themselves.
  std::vector<std::string> target_parameters;
  std::vector<TrainedTokens> trained_tokens;
  // What is done to an embedding is done to the head that is tied to it.
  bool ensure_weight_tying = false;
  bool fan_in_fan_out = false;
  BiasMode bias = BiasMode::kNone;
  // The layers of the model that the adapter is for, where it has some of the
  // base's several times; simplified.
  LayerRanges layer_replication;
};

// What PEFT computes from the base's weight before training, and takes away
// from it: the adapter's tensors only fit the weight that is left.
enum class BaseChangingInit {
  kNone,
  kOlora,  // the first rows and columns of a QR decomposition
  kPissa,  // the largest singular values and their vectors
  // pissa_niter_<n> of a new adapter: its own factors, which were drawn.
  kOwnFactors,
};

// LORA's own fields that decide the numbers. Fields that only matter in
// training (dropout, ...) stay in `AdapterConfig::json`.
struct LoraConfig {
  int64_t r = 8;
  double lora_alpha = 8;
  bool use_rslora = false;
  bool lora_bias = false;
  bool use_dora = false;
  BaseChangingInit init = BaseChangingInit::kNone;
  // aLoRA: the adapter acts from the last place where these stand in a row's
  // tokens. Empty: everywhere.
  std::vector<int64_t> alora_invocation_tokens;
  // In the order of the file: the first matching key wins.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
};

// ADALORA's own fields that decide the numbers. `r` has no meaning there.
struct AdaLoraConfig {
  int64_t init_r = 12;
  double lora_alpha = 8;
  // By module, as the trained model calls it: the rank that is left of init_r,
  // from 0 on. Modules that are not here have all of it.
  std::map<std::string, int64_t, std::less<>> ranks;
};

// IA3's own fields that decide the numbers.
struct Ia3Config {
  // Modules whose input is scaled, not their output; nullopt: default by
  // family. Names match every module that ends with them.
  std::optional<ModuleSelector> feedforward_modules;
};

// A parsed config. Immutable after parsing.
struct AdapterConfig {
  AdapterConfigBase base;
  TargetConfig targets;
  // That of peft_type is set.
  std::optional<LoraConfig> lora;
  std::optional<AdaLoraConfig> adalora;
  std::optional<Ia3Config> ia3;
  Json json;  // the whole file, unknown keys included
  // The names of keys that no PEFT known to us writes and that were ignored:
  // their value is empty (null, false, 0, "", [], {}), they are known to be
  // harmless, or the options were lenient. Lines for the load report.
  std::vector<std::string> ignored_keys;
  // Remarks for the load report ("peft_version 0.30.0 is newer than ...").
  std::vector<std::string> notes;
};

// How strict parsing is.
struct AdapterConfigOptions {
  // Accept unknown keys whatever their value; they are listed in ignored_keys.
  bool lenient = false;
  // Accept configs of methods or features that cannot run yet, for
  // inspection: the method's part is then filled as far as it can be.
  bool inspect_only = false;
  // Take an adapter whose init_lora_weights changed the base in a way that
  // cannot be computed again as if it had not: with a note.
  bool allow_unconverted_init = false;
  // The config of an adapter that is yet to be initialised: any
  // init_lora_weights.
  bool is_new = false;
};

// Parses and checks the text of an adapter_config.json. Keys that the file
// lacks have PEFT's defaults. Fails with INVALID_ARGUMENT (JSON: no JSON, a key
// twice; ADAPTER_CONFIG: wrong type, NaN, rank < 1, ...;
// ADAPTER_CONFIG_UNKNOWN_KEY) or UNIMPLEMENTED (ADAPTER_METHOD_UNSUPPORTED;
// ADAPTER_FEATURE_UNSUPPORTED: a known key that changes the numbers and is not
// implemented). The key is named in the message and in the error's details.
absl::StatusOr<AdapterConfig> ParseAdapterConfig(
    absl::string_view text, const AdapterConfigOptions& options = {});

// Reads adapter_config.json of `folder`, of at most 16 MiB. Fails as
// ReadTextFile and ParseAdapterConfig.
absl::StatusOr<AdapterConfig> ReadAdapterConfig(
    const Folder& folder, const AdapterConfigOptions& options = {});

}  // namespace peft

#endif  // PEFT_CC_CONFIG_ADAPTER_CONFIG_H_
