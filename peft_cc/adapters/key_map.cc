#include "peft_cc/adapters/key_map.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// Where transformers puts the bare model inside one with a head, by family.
constexpr absl::string_view kBareModels[] = {"model.", "transformer.", "bert."};

// Moves an adapter's name out of a part: "lora_A.default.weight" becomes
// "lora_A.weight", "ia3_l.default" becomes "ia3_l".
void TakeAdapterName(TensorKey& key) {
  constexpr absl::string_view kMagnitude = "lora_magnitude_vector";
  const absl::string_view part = key.part;
  const size_t dot = part.find('.');
  if (dot == absl::string_view::npos) return;
  const absl::string_view behind = part.substr(dot + 1);
  // What nearly all files have, by the thousand.
  if (behind == "bias") return;
  if (behind == "weight" && part.substr(0, dot) != kMagnitude) return;
  std::vector<std::string> words = absl::StrSplit(key.part, '.');
  // A module inside PEFT, whose files have its weight without ".weight".
  if (words.size() > 1 && words.front() == kMagnitude &&
      words.back() == "weight") {
    words.pop_back();
  }
  const bool is_name =
      words.size() == 3 ||
      (words.size() == 2 && words[1] != "weight" && words[1] != "bias");
  if (is_name) {
    key.adapter_name = words[1];
    words.erase(words.begin() + 1);
  }
  key.part = absl::StrJoin(words, ".");
}

// Where the part begins. rfind, because a module may itself be called
// "lora_proj".
size_t PartBegin(absl::string_view name, absl::string_view prefix) {
  size_t method = name.rfind(prefix);
  while (method != absl::string_view::npos && method > 0) {
    if (name[method - 1] == '.') return method;
    method = name.rfind(prefix, method - 1);
  }
  const size_t last = name.rfind('.');
  if (last == absl::string_view::npos) return 0;
  constexpr absl::string_view kBaseLayer = ".base_layer";
  if (absl::EndsWith(name.substr(0, last), kBaseLayer)) {
    return last - kBaseLayer.size() + 1;
  }
  return last + 1;
}

// The first components of the model's names, each with its dot: "model.".
std::vector<std::string> OuterModules(const SiteTable& sites) {
  std::vector<std::string> outer;
  for (const Site& site : sites.sites()) {
    const size_t dot = site.name.find('.');
    if (dot == std::string::npos) continue;
    std::string name = site.name.substr(0, dot + 1);
    if (std::find(outer.begin(), outer.end(), name) == outer.end()) {
      outer.push_back(std::move(name));
    }
  }
  return outer;
}

// Whether any module of `map`, put into the model's terms, is a site.
bool AnyKnown(const KeyMap& map, const SiteTable& sites) {
  return std::any_of(map.keys.begin(), map.keys.end(),
                     [&](const TensorKey& key) {
                       return sites.Find(map.ModuleInModel(key.module)) >= 0;
                     });
}

// PEFT's mixin adds or strips the name of the bare model where that makes an
// adapter fit. Names that fit as they are win.
void FindStyle(const SiteTable& sites, KeyMap& map) {
  if (AnyKnown(map, sites)) return;
  map.style = NameStyle::kWithoutOuter;
  for (std::string& outer : OuterModules(sites)) {
    map.outer = std::move(outer);
    if (AnyKnown(map, sites)) return;
  }
  map.style = NameStyle::kWithOuter;
  for (const absl::string_view bare_model : kBareModels) {
    map.outer = std::string(bare_model);
    if (AnyKnown(map, sites)) return;
  }
  map.style = NameStyle::kSame;
  map.outer.clear();
}

absl::Status TensorsError(const std::string& message,
                          const ErrorDetails& details) {
  return MakeError(absl::StatusCode::kInvalidArgument,
                   error_id::kAdapterTensors, message, details);
}

// With and without the prefix, or an adapter's name, the same tensor can stand
// twice in a file; PEFT takes whichever comes last.
absl::Status CheckUnique(const KeyMap& map) {
  std::unordered_map<absl::string_view, const TensorKey*> seen;
  seen.reserve(map.keys.size());
  for (const TensorKey& key : map.keys) {
    const auto [it, is_new] = seen.emplace(key.model_name, &key);
    if (is_new) continue;
    return TensorsError(
        absl::StrCat("tensors ", Quoted(it->second->file_name), " and ",
                     Quoted(key.file_name), " are the same part of module ",
                     Quoted(key.module), "; keep one of them"),
        {key.file_name, "", it->second->file_name});
  }
  return absl::OkStatus();
}

// The file's own adapter name, if its tensors carry one. A file that holds two
// adapters, or one only in part, is refused: which of them is meant?
absl::Status CheckAdapterName(absl::string_view prefix, KeyMap& map) {
  const TensorKey* first = nullptr;
  for (const TensorKey& key : map.keys) {
    if (!absl::StartsWith(key.part, prefix)) continue;
    if (first == nullptr) first = &key;
    if (key.adapter_name == first->adapter_name) continue;
    return TensorsError(
        absl::StrCat("tensors ", Quoted(first->file_name), " and ",
                     Quoted(key.file_name),
                     " belong to different adapters; a file must hold one"),
        {key.file_name, first->adapter_name, key.adapter_name});
  }
  if (first != nullptr && !first->adapter_name.empty()) {
    map.notes.push_back(absl::StrCat(
        "tensor names contain the adapter name ", Quoted(first->adapter_name),
        ", as in ", Quoted(first->file_name), "; it was left out"));
  }
  return absl::OkStatus();
}

void NoteStyle(KeyMap& map) {
  if (map.style == NameStyle::kWithoutOuter) {
    map.notes.push_back(
        absl::StrCat("the adapter was trained on the model without its head: ",
                     Quoted(map.outer), " was put before its module names"));
  } else if (map.style == NameStyle::kWithOuter) {
    map.notes.push_back(absl::StrCat(
        "the adapter was trained on a model with a head: ", Quoted(map.outer),
        " was taken from its module names"));
  }
}

void NoteMixedPrefix(KeyMap& map, int64_t num_prefixed) {
  const int64_t total = static_cast<int64_t>(map.keys.size());
  if (num_prefixed == 0 || num_prefixed == total) return;
  map.notes.push_back(absl::StrCat(num_prefixed, " of ", total,
                                   " tensor names begin with ",
                                   Quoted(kPeftPrefix), ", the others do not"));
}

// PEFT loads such a file without effect.
void NoteRepeatedPrefix(KeyMap& map) {
  const auto repeated =
      std::find_if(map.keys.begin(), map.keys.end(),
                   [](const TensorKey& key) { return key.num_prefixes > 1; });
  if (repeated == map.keys.end()) return;
  map.notes.push_back(absl::StrCat(
      "tensor names begin with ", Quoted(kPeftPrefix), " ",
      repeated->num_prefixes, " times, as in ", Quoted(repeated->file_name),
      ": a PeftModel was wrapped in a PeftModel when it was saved; taken "
      "once"));
}

// "...experts.3.w1"
bool IsOfOneExpert(absl::string_view module) {
  constexpr absl::string_view kExperts = ".experts.";
  const size_t at = module.find(kExperts);
  return at != absl::string_view::npos &&
         at + kExperts.size() < module.size() &&
         absl::ascii_isdigit(module[at + kExperts.size()]);
}

}  // namespace

TensorKey ParseTensorKey(absl::string_view file_name,
                         absl::string_view prefix) {
  TensorKey key;
  key.file_name = std::string(file_name);
  while (absl::ConsumePrefix(&file_name, kPeftPrefix)) ++key.num_prefixes;
  const size_t begin = PartBegin(file_name, prefix);
  key.part = std::string(file_name.substr(begin));
  if (begin > 0) key.module = std::string(file_name.substr(0, begin - 1));
  if (absl::StartsWith(key.part, prefix)) TakeAdapterName(key);
  return key;
}

std::string KeyMap::ModuleInModel(absl::string_view module) const {
  if (style == NameStyle::kWithoutOuter) return absl::StrCat(outer, module);
  if (style == NameStyle::kWithOuter) absl::ConsumePrefix(&module, outer);
  return std::string(module);
}

std::string KeyMap::ModuleInFile(absl::string_view module) const {
  if (style == NameStyle::kWithOuter) return absl::StrCat(outer, module);
  if (style == NameStyle::kWithoutOuter &&
      !absl::ConsumePrefix(&module, outer)) {
    return "";
  }
  return std::string(module);
}

std::string KeyMap::FileName(absl::string_view module,
                             absl::string_view part) const {
  return absl::StrCat(has_prefix ? kPeftPrefix : "", ModuleInFile(module), ".",
                      part);
}

absl::StatusOr<KeyMap> MapKeys(const TensorMap& tensors, const SiteTable& sites,
                               absl::string_view prefix) {
  KeyMap map;
  map.keys.reserve(tensors.size());
  int64_t num_prefixed = 0;
  for (const auto& [name, tensor] : tensors) {
    map.keys.push_back(ParseTensorKey(name, prefix));
    num_prefixed += map.keys.back().num_prefixes > 0;
  }
  map.has_prefix = 2 * num_prefixed >= static_cast<int64_t>(map.keys.size());
  FindStyle(sites, map);
  for (TensorKey& key : map.keys) {
    if (map.style != NameStyle::kSame) {
      key.module = map.ModuleInModel(key.module);
    }
    key.model_name = ModelName(key.module, key.part);
  }
  PEFT_RETURN_IF_ERROR(CheckUnique(map));
  PEFT_RETURN_IF_ERROR(CheckAdapterName(prefix, map));
  NoteStyle(map);
  NoteMixedPrefix(map, num_prefixed);
  NoteRepeatedPrefix(map);
  return map;
}

std::string ModelName(absl::string_view module, absl::string_view part) {
  return absl::StrCat(module, ".", part);
}

bool IsOfClassifier(const TensorKey& key) {
  if (key.part != "weight" && key.part != "bias") return false;
  absl::string_view last = key.module;
  last.remove_prefix(last.rfind('.') + 1);
  return last == "score" || last == "classifier" || last == "qa_outputs";
}

std::string UnexpectedHint(const TensorKey& key) {
  if (absl::StrContains(key.module, "_orig_mod")) {
    return "it was saved from a compiled model: save the original one";
  }
  if (absl::StartsWith(key.file_name, "module.") ||
      absl::StrContains(key.module, "_wrapped_module")) {
    return "it was saved from a model in a wrapper for training (DDP, FSDP, "
           "checkpointing): save the one inside";
  }
  if (absl::StrContains(key.part, "lora_magnitude_vector")) {
    return "it belongs to DoRA, but use_dora is not set in the config, or the "
           "model has no such layer";
  }
  if (key.part == "lora_B.bias") {
    return "it is a bias of lora_B, but lora_bias is not set in the config";
  }
  if (absl::StrContains(key.module, ".base_layer")) {
    return "it was trained on a layer that another adapter had wrapped: merge "
           "that one into the base, or load it first and give this file the "
           "layer's own name";
  }
  if (IsOfOneExpert(key.module)) {
    return "it adapts a layer of one expert, as transformers before version 5 "
           "has them; this model has all experts in one parameter";
  }
  return "";
}

}  // namespace peft
