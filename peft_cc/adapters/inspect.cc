#include "peft_cc/adapters/inspect.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/adapter_folder.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/base/error.h"
#include "peft_cc/methods/method_table.h"

namespace peft {
namespace {

struct MethodPrefix {
  absl::string_view type;
  absl::string_view prefix;
};

// Methods that cannot run and whose tensors do not begin with their own name in
// lower case and "_". Source: `prefix` of the tuner classes of peft 0.21.2.
constexpr MethodPrefix kPrefixes[] = {
    {"LOHA", "hada_"},
    {"VERA", "vera_lambda_"},
    {"PVERA", "pvera_lambda_"},
};

std::string PrefixOf(absl::string_view peft_type) {
  const MethodInfo* method = FindMethod(peft_type);
  if (method != nullptr) return std::string(method->prefix);
  for (const MethodPrefix& entry : kPrefixes) {
    if (entry.type == peft_type) return std::string(entry.prefix);
  }
  return absl::StrCat(absl::AsciiStrToLower(peft_type), "_");
}

// The rank that a tensor shows: the rows of LoRA's A.
int64_t RankOf(const TensorKey& key, const Tensor& tensor) {
  const bool is_a = key.part == "lora_A.weight" || key.part == "lora_A" ||
                    key.part == "lora_embedding_A";
  return is_a && tensor.rank() >= 2 ? tensor.dim(0) : 0;
}

void AddModules(AdapterSummary& summary) {
  const std::string prefix = PrefixOf(summary.config.base.peft_type);
  std::map<std::string, InspectedModule> modules;
  for (const auto& [name, tensor] : summary.tensors) {
    const TensorKey key = ParseTensorKey(name, prefix);
    if (key.module.empty()) continue;
    InspectedModule& module = modules[key.module];
    module.name = key.module;
    module.rank = std::max(module.rank, RankOf(key, tensor));
    module.num_parameters += tensor.num_elements();
  }
  for (auto& [name, module] : modules) {
    summary.modules.push_back(std::move(module));
  }
}

// Overflow is no concern: all elements are in memory.
void AddTotals(AdapterSummary& summary) {
  for (const auto& [name, tensor] : summary.tensors) {
    summary.num_parameters += tensor.num_elements();
    summary.size_bytes += tensor.size_bytes();
    ++summary.dtypes[std::string(DTypeName(tensor.dtype()))];
  }
}

// The config as a load reads it, where it can.
absl::Status ReadConfig(const Folder& folder, AdapterSummary& summary) {
  absl::StatusOr<AdapterConfig> strict = ReadAdapterConfig(folder);
  summary.runnable = strict.ok();
  if (strict.ok()) {
    summary.config = *std::move(strict);
    return absl::OkStatus();
  }
  summary.reason_id = ErrorId(strict.status());
  summary.reason = std::string(strict.status().message());
  AdapterConfigOptions options;
  options.lenient = true;
  options.inspect_only = true;
  PEFT_ASSIGN_OR_RETURN(summary.config, ReadAdapterConfig(folder, options));
  return absl::OkStatus();
}

// By names alone, so that it works for methods that cannot run.
void FitModules(const AdapterSummary& summary, const SiteTable& sites,
                AdapterFit& fit) {
  const std::string prefix = PrefixOf(summary.config.base.peft_type);
  const absl::StatusOr<KeyMap> keys = MapKeys(summary.tensors, sites, prefix);
  if (!keys.ok()) return;
  std::set<std::string> seen;
  for (const TensorKey& key : keys->keys) {
    if (key.module.empty() || !seen.insert(key.module).second) continue;
    const bool known = sites.Find(key.module) >= 0;
    (known ? fit.matched : fit.unmatched).push_back(key.module);
  }
}

}  // namespace

absl::StatusOr<AdapterSummary> InspectAdapter(const Folder& outer,
                                              const std::string& subfolder) {
  AdapterSummary summary;
  PEFT_ASSIGN_OR_RETURN(const Folder folder,
                        FindAdapterFolder(outer, subfolder));
  summary.folder = folder.path();
  PEFT_RETURN_IF_ERROR(ReadConfig(folder, summary));
  PEFT_ASSIGN_OR_RETURN(summary.tensors, ReadAdapterTensors(folder));
  AddModules(summary);
  AddTotals(summary);
  return summary;
}

AdapterFit InspectAgainst(const AdapterSummary& summary,
                          const SiteTable& sites) {
  AdapterFit fit;
  FitModules(summary, sites, fit);
  fit.reason_id = summary.reason_id;
  fit.reason = summary.reason;
  if (!summary.runnable) return fit;
  const absl::Status status =
      BuildAdapter(sites, summary.folder, summary.config, summary.tensors, {})
          .status();
  fit.loads = status.ok();
  fit.reason_id = ErrorId(status);
  fit.reason = std::string(status.message());
  return fit;
}

}  // namespace peft
