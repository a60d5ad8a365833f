#include "peft_cc/adapters/registry_errors.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

std::string QuotedList(absl::Span<const std::string> names) {
  return absl::StrJoin(names, ", ", [](std::string* out, const auto& name) {
    absl::StrAppend(out, Quoted(name));
  });
}

// The end of a message: which of `unknown` were there once.
std::string EvictedText(absl::Span<const std::string> unknown,
                        absl::Span<const std::string> evicted) {
  std::vector<std::string> gone;
  for (const std::string& name : unknown) {
    if (std::find(evicted.begin(), evicted.end(), name) != evicted.end()) {
      gone.push_back(name);
    }
  }
  if (gone.empty()) return "";
  return absl::StrCat("; evicted under the limit of the model's adapters: ",
                      QuotedList(gone), ", load it again or pin it");
}

}  // namespace

absl::Status CheckAdapterName(const std::string& name) {
  if (!name.empty() && name != kBaseName) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterName,
      absl::StrCat("an adapter cannot be named ", Quoted(name),
                   name.empty() ? "" : ", which means the base model"),
      {name, "", ""});
}

absl::Status AdapterExistsError(const std::string& name, bool is_loading) {
  return MakeError(absl::StatusCode::kAlreadyExists, error_id::kAdapterExists,
                   absl::StrCat("adapter ", Quoted(name), " exists already",
                                is_loading ? " (it is being loaded)" : "",
                                "; delete it or choose another name"),
                   {name, "", ""});
}

absl::Status AdapterNotFoundError(absl::Span<const std::string> unknown,
                                  absl::Span<const std::string> known,
                                  absl::Span<const std::string> evicted) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kAdapterNotFound,
      absl::StrCat("no adapter ", QuotedList(unknown),
                   "; loaded are: ", known.empty() ? "none" : QuotedList(known),
                   EvictedText(unknown, evicted)),
      {unknown.front(), known.empty() ? "" : QuotedList(known), ""});
}

// Quadratic, over the few adapters that a caller can name.
absl::Status CheckDistinct(absl::Span<const std::string> names) {
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (names[i] != names[j]) continue;
      return ArgumentError(
          absl::StrCat("adapter ", Quoted(names[i]), " is given twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScales(absl::Span<const std::string> names,
                         absl::Span<const float> scales) {
  if (scales.empty()) return absl::OkStatus();
  if (scales.size() != names.size()) {
    return ArgumentError(absl::StrCat(scales.size(), " scales for ",
                                      names.size(),
                                      " adapters; give one each, or none"));
  }
  for (size_t i = 0; i < scales.size(); ++i) {
    if (std::isfinite(scales[i])) continue;
    return ArgumentError(absl::StrCat("the scale of adapter ", Quoted(names[i]),
                                      " is ", scales[i],
                                      ", expected a finite number"));
  }
  return absl::OkStatus();
}

}  // namespace peft
