#include "peft_cc/models/weight_names.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace peft {
namespace {

// What `name` ends in where TensorFlow's names survived; "" for others.
std::string LegacyName(absl::string_view name) {
  for (const auto& [now, once] :
       {std::make_pair("LayerNorm.weight", "LayerNorm.gamma"),
        std::make_pair("LayerNorm.bias", "LayerNorm.beta")}) {
    if (absl::ConsumeSuffix(&name, now)) return absl::StrCat(name, once);
  }
  return "";
}

// The prefix with which a family's files may name the bare model's tensors.
constexpr absl::string_view kBarePrefixes[] = {"model.", "transformer.",
                                               "bert."};

// Where the files hold tensor `name`: a bare model saves its tensors without
// the name that it has in one with a head, `prefix`, and some tools save them
// with it. `prefix` is empty for a bare model. end() when it is not there.
TensorMap::iterator Find(TensorMap& tensors, absl::string_view prefix,
                         const std::string& name) {
  auto it = tensors.find(name);
  if (it != tensors.end()) return it;
  if (!prefix.empty()) {
    return tensors.find(absl::StartsWith(name, prefix)
                            ? name.substr(prefix.size())
                            : absl::StrCat(prefix, name));
  }
  for (const absl::string_view bare : kBarePrefixes) {
    it = tensors.find(absl::StrCat(bare, name));
    if (it != tensors.end()) return it;
  }
  return it;
}

}  // namespace

TensorMap::iterator FindWeight(TensorMap& tensors, absl::string_view prefix,
                               const std::string& name) {
  const auto it = Find(tensors, prefix, name);
  const std::string legacy = LegacyName(name);
  return it != tensors.end() || legacy.empty() ? it
                                               : Find(tensors, prefix, legacy);
}

bool HoldsWeight(const TensorMap& tensors, const std::string& name) {
  absl::string_view bare = name;
  for (const absl::string_view prefix : kBarePrefixes) {
    absl::ConsumePrefix(&bare, prefix);
  }
  if (tensors.count(std::string(bare)) > 0) return true;
  for (const absl::string_view prefix : kBarePrefixes) {
    if (tensors.count(absl::StrCat(prefix, bare)) > 0) return true;
  }
  return false;
}

}  // namespace peft
