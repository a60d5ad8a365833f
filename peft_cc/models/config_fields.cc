#include "peft_cc/models/config_fields.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr size_t kMaxTextSize = 256;
// More ids than any vocabulary has end tokens.
constexpr size_t kMaxTokenIds = 4096;

// The value as an int64; false for floats, booleans and what does not fit.
bool ToInt64(const Json& value, int64_t* out) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return false;
    }
    *out = static_cast<int64_t>(number);
    return true;
  }
  *out = value.get<int64_t>();
  return true;
}

std::string Describe(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return absl::StrCat("a list of ", value.size());
  if (value.is_string()) {
    return Quoted(value.get_ref<const std::string&>(), 60);
  }
  return Printable(DumpJson(value), 60);
}

}  // namespace

ConfigFields::ConfigFields(const Json& object, std::string what,
                           std::string scope)
    : object_(object), what_(std::move(what)), scope_(std::move(scope)) {}

const Json* ConfigFields::Find(absl::string_view key) const {
  const auto it = object_.find(std::string(key));
  return it == object_.end() ? nullptr : &*it;
}

bool ConfigFields::Has(absl::string_view key) const {
  const Json* value = Find(key);
  return value != nullptr && !value->is_null();
}

std::string ConfigFields::Found(absl::string_view key) const {
  const Json* value = Find(key);
  return value == nullptr ? "nothing" : Describe(*value);
}

void ConfigFields::Fail(absl::string_view key, absl::string_view expected) {
  if (!status_.ok()) return;
  const std::string name = absl::StrCat(scope_, key);
  const std::string found = Found(key);
  status_ =
      MakeError(absl::StatusCode::kInvalidArgument, error_id::kModelConfig,
                absl::StrCat(what_, ": \"", name, "\" is ", found,
                             ", expected ", expected),
                {name, std::string(expected), found});
}

void ConfigFields::FailUnsupported(absl::string_view key,
                                   absl::string_view expected) {
  if (!status_.ok()) return;
  const std::string name = absl::StrCat(scope_, key);
  const std::string found = Found(key);
  status_ = MakeError(
      absl::StatusCode::kUnimplemented, error_id::kModelUnsupported,
      absl::StrCat(what_, ": \"", name, "\" is ", found,
                   ", which is not implemented; supported: ", expected),
      {name, std::string(expected), found});
}

int64_t ConfigFields::Int(absl::string_view key, int64_t fallback, int64_t min,
                          int64_t max) {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  int64_t number = 0;
  if (ToInt64(*value, &number) && number >= min && number <= max) {
    return number;
  }
  Fail(key, absl::StrCat("an integer from ", min, " to ", max));
  return fallback;
}

double ConfigFields::Number(absl::string_view key, double fallback, double min,
                            double max) {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (value->is_number()) {
    const double number = value->get<double>();
    if (std::isfinite(number) && number >= min && number <= max) return number;
  }
  Fail(key, absl::StrCat("a number from ", min, " to ", max));
  return fallback;
}

bool ConfigFields::Bool(absl::string_view key, bool fallback) {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  Fail(key, "true or false");
  return fallback;
}

std::string ConfigFields::Text(absl::string_view key,
                               absl::string_view fallback) {
  const Json* value = Find(key);
  if (value == nullptr) return std::string(fallback);
  if (value->is_string() &&
      value->get_ref<const std::string&>().size() <= kMaxTextSize) {
    return value->get<std::string>();
  }
  Fail(key, absl::StrCat("a text of at most ", kMaxTextSize, " bytes"));
  return std::string(fallback);
}

std::vector<int64_t> ConfigFields::TokenIds(absl::string_view key,
                                            std::vector<int64_t> fallback) {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (value->is_null()) return {};
  std::vector<int64_t> ids(1);
  if (ToInt64(*value, &ids[0])) return ids;
  if (value->is_array() && value->size() <= kMaxTokenIds) {
    ids.resize(value->size());
    size_t num_read = 0;
    while (num_read < ids.size() &&
           ToInt64((*value)[num_read], &ids[num_read])) {
      ++num_read;
    }
    if (num_read == ids.size()) return ids;
  }
  Fail(key, "a token id or a list of token ids");
  return fallback;
}

std::vector<std::string> ConfigFields::TextList(absl::string_view key,
                                                size_t max_size) {
  const Json* value = Find(key);
  if (value == nullptr || value->is_null()) return {};
  std::vector<std::string> texts;
  if (value->is_array() && value->size() <= max_size) {
    for (const Json& text : *value) {
      if (!text.is_string() ||
          text.get_ref<const std::string&>().size() > kMaxTextSize) {
        break;
      }
      texts.push_back(text.get<std::string>());
    }
    if (texts.size() == value->size()) return texts;
  }
  Fail(key, absl::StrCat("a list of at most ", max_size, " texts"));
  return {};
}

}  // namespace peft
