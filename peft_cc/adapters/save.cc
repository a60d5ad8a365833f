#include "peft_cc/adapters/save.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/base_fingerprint.h"
#include "peft_cc/adapters/convert_init.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/new_folder.h"
#include "peft_cc/base/text_bytes.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

constexpr char kConfigName[] = "adapter_config.json";
constexpr char kTensorsName[] = "adapter_model.safetensors";

// What a save replaces. A .bin would not be read beside safetensors, but it
// would be out of date.
constexpr absl::string_view kReplaced[] = {kConfigName, kTensorsName,
                                           "adapter_model.bin"};

// Objects deeper inside too, as Python's sort_keys does.
Json Sorted(const Json& value) {
  if (!value.is_object()) return value;
  std::vector<const Json::object_t::value_type*> items;
  for (const auto& item : value.get_ref<const Json::object_t&>()) {
    items.push_back(&item);
  }
  std::sort(items.begin(), items.end(),
            [](const auto* a, const auto* b) { return a->first < b->first; });
  Json sorted = Json::object();
  auto& out = JsonEntries(sorted);
  out.reserve(items.size());
  for (const auto* item : items) {
    const bool keep_order = absl::EndsWith(item->first, "_pattern");
    out.emplace_back(item->first,
                     keep_order ? item->second : Sorted(item->second));
  }
  return sorted;
}

TensorMap FileTensors(const TensorMap& state_dict) {
  TensorMap tensors;
  for (const auto& [name, tensor] : state_dict) {
    tensors.emplace(absl::StrCat(kPeftPrefix, name), tensor);
  }
  return tensors;
}

absl::Status WriteFolder(const AdapterConfig& config,
                         const TensorMap& state_dict, const std::string& path,
                         const AdapterSaveOptions& options) {
  PEFT_ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> folder,
                        NewFolder::Create(path));
  // Python's writers put the format there; transformers refuses a file without.
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  if (!options.base_fingerprint.empty()) {
    metadata[kBaseFingerprintKey] = options.base_fingerprint;
  }
  PEFT_RETURN_IF_ERROR(
      WriteSafetensors(absl::StrCat(folder->path(), "/", kTensorsName),
                       FileTensors(state_dict), metadata));
  PEFT_RETURN_IF_ERROR(
      WriteFileAtomically(absl::StrCat(folder->path(), "/", kConfigName),
                          {BytesOf(AdapterConfigText(config))}));
  if (options.overwrite) return folder->CommitOver(kReplaced);
  return folder->Commit("choose another path, or ask to overwrite it");
}

}  // namespace

std::string AdapterConfigText(const AdapterConfig& config) {
  Json json = config.json;
  json["inference_mode"] = true;
  return DumpJson(Sorted(json));
}

absl::Status SaveAdapter(const Adapter& adapter, const std::string& path,
                         const AdapterSaveOptions& options) {
  const std::string& initial = options.path_initial_model_for_weight_conversion;
  if (initial.empty()) {
    return WriteFolder(adapter.config(), adapter.state_dict(), path, options);
  }
  PEFT_ASSIGN_OR_RETURN(const ConvertedAdapter converted,
                        ConvertInit(adapter, initial));
  return WriteFolder(converted.config, converted.state_dict, path, options);
}

}  // namespace peft
