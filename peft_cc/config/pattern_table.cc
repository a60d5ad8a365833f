#include "peft_cc/config/pattern_table.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/config/module_names.h"

namespace peft {
namespace {

// Bounds the work for one name. Keys that PEFT writes itself are plain.
constexpr size_t kMaxRegexes = 1024;

absl::Status TooMany(absl::string_view what) {
  return MakeError(absl::StatusCode::kResourceExhausted, error_id::kRegex,
                   absl::StrCat(what, " has more than ", kMaxRegexes,
                                " keys that are regexes; write plain names"));
}

// The only regex syntax in a plain key is the dot.
bool IsPlain(absl::string_view key) {
  return !key.empty() &&
         std::all_of(key.begin(), key.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
         });
}

// In such a name a dot of a regex is any one byte.
bool IsPlainName(absl::string_view name) {
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c < 0x80 && c != '\n'; });
}

std::vector<size_t> Dots(absl::string_view key) {
  std::vector<size_t> dots;
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] == '.') dots.push_back(i);
  }
  return dots;
}

std::string AsRegex(absl::string_view key) {
  return absl::StrCat("(.*\\.)?(", key, ")$");
}

}  // namespace

absl::StatusOr<PatternTable> PatternTable::Create(
    absl::string_view what, std::vector<std::string> keys) {
  PatternTable table;
  table.what_ = std::string(what);
  table.keys_ = std::move(keys);
  table.used_.resize(table.keys_.size());
  for (size_t i = 0; i < table.keys_.size(); ++i) {
    const std::string& key = table.keys_[i];
    if (IsPlain(key)) {
      table.AddPlain(i);
      continue;
    }
    if (table.regexes_.size() == kMaxRegexes) return TooMany(what);
    absl::StatusOr<PythonRegex> regex = PythonRegex::Compile(AsRegex(key));
    if (!regex.ok()) return WithContext(regex.status(), what);
    table.regexes_.emplace_back(i, *std::move(regex));
    table.exact_[key] = i;
  }
  return table;
}

absl::StatusOr<std::optional<size_t>> PatternTable::Find(
    absl::string_view name) {
  size_t first = keys_.size();
  if (IsPlainName(name)) {
    FindPlain(name, &first);
  } else {
    PEFT_RETURN_IF_ERROR(FindPlainByRegex(name, &first));
  }
  for (const auto& [index, regex] : regexes_) {
    if (index > first && used_[index]) continue;
    const absl::StatusOr<bool> matched = regex.Match(name);
    if (!matched.ok()) return WithContext(matched.status(), what_);
    if (*matched) Hit(index, &first);
  }
  if (first < keys_.size()) return first;
  // PEFT then looks the name itself up.
  const auto exact = exact_.find(std::string(name));
  if (exact == exact_.end()) return std::nullopt;
  return exact->second;
}

void PatternTable::Hit(size_t index, size_t* first) {
  *first = std::min(*first, index);
  used_[index] = true;
}

void PatternTable::AddPlain(size_t index) {
  const std::string& key = keys_[index];
  plain_[key.size()][Dots(key)].emplace(key, index);
}

void PatternTable::FindPlain(absl::string_view name, size_t* first) {
  for (absl::string_view end = name; !end.empty(); end = AfterFirstDot(end)) {
    const auto same_length = plain_.find(end.size());
    if (same_length == plain_.end()) continue;
    for (const auto& [dots, keys] : same_length->second) {
      std::string key(end);
      for (const size_t dot : dots) key[dot] = '.';
      const auto found = keys.find(key);
      if (found != keys.end()) Hit(found->second, first);
    }
  }
}

// For names outside of ASCII, which no known model has.
absl::Status PatternTable::FindPlainByRegex(absl::string_view name,
                                            size_t* first) {
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (!IsPlain(keys_[i])) continue;
    PEFT_ASSIGN_OR_RETURN(const PythonRegex regex,
                          PythonRegex::Compile(AsRegex(keys_[i])));
    PEFT_ASSIGN_OR_RETURN(const bool matched, regex.Match(name));
    if (matched) Hit(i, first);
  }
  return absl::OkStatus();
}

std::vector<std::string> PatternTable::Unmatched() const {
  std::vector<std::string> unmatched;
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (!used_[i]) unmatched.push_back(keys_[i]);
  }
  std::sort(unmatched.begin(), unmatched.end());
  return unmatched;
}

}  // namespace peft
