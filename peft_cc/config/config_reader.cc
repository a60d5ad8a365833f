#include "peft_cc/config/config_reader.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// Longer lists of names are no list of modules.
constexpr size_t kMaxListSize = 1 << 18;

// Doubles above hold no fractions: nothing tells 2^53 from 2^53 + 1.
constexpr double kMaxExactDouble = 9007199254740992.0;

absl::string_view TypeName(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    case Json::value_t::number_float:
      return "a number";
    default:
      return "an integer";
  }
}

}  // namespace

absl::Status ConfigError(absl::string_view key, absl::string_view problem) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("adapter_config.json: ", Quoted(key), " ", problem),
      {std::string(key), "", ""});
}

absl::Status ConfigTypeError(absl::string_view key, const Json& value,
                             absl::string_view expected) {
  const std::string found = DescribeJson(value);
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat("adapter_config.json: ", Quoted(key), " is ",
                                found, ", expected ", expected),
                   {std::string(key), std::string(expected), found});
}

std::string DescribeJson(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_structured()) {
    return absl::StrCat(TypeName(value), " of ", value.size());
  }
  if (value.is_string()) {
    return absl::StrCat("the string ",
                        Quoted(value.get_ref<const std::string&>(), 60));
  }
  return DumpJson(value);
}

bool IsEmptyValue(const Json& value) {
  if (value.is_null()) return true;
  if (value.is_structured()) return value.empty();
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_number() && value.get<double>() == 0;
}

const Json* ConfigReader::Find(absl::string_view key) const {
  const auto found = json_.find(std::string(key));
  return found == json_.end() ? nullptr : &*found;
}

const Json* ConfigReader::FindValue(absl::string_view key) const {
  const Json* value = Find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

absl::Status ConfigReader::ReadBool(absl::string_view key, bool* out) {
  const Json* value = Find(key);
  if (value == nullptr) return absl::OkStatus();
  if (value->is_boolean()) {
    *out = value->get<bool>();
  } else if (value->is_null()) {
    *out = false;
  } else if (value->is_number_integer() && (*value == 0 || *value == 1)) {
    *out = *value == 1;
    Note(absl::StrCat(Quoted(key), " is ", DumpJson(*value), ", taken as ",
                      *out ? "true" : "false"));
  } else {
    return ConfigTypeError(key, *value, "true or false");
  }
  return absl::OkStatus();
}

absl::Status ConfigReader::ReadString(absl::string_view key, std::string* out) {
  const Json* value = FindValue(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_string()) return ConfigTypeError(key, *value, "a string");
  *out = value->get<std::string>();
  return absl::OkStatus();
}

absl::Status ConfigReader::ReadInt(absl::string_view key, int64_t* out) {
  const Json* value = Find(key);
  return value == nullptr ? absl::OkStatus() : ToInt(key, *value, out);
}

absl::Status ConfigReader::ReadNumber(absl::string_view key, double* out) {
  const Json* value = Find(key);
  return value == nullptr ? absl::OkStatus() : ToNumber(key, *value, out);
}

absl::Status ConfigReader::ReadRank(absl::string_view key, int64_t* out) {
  const Json* value = Find(key);
  return value == nullptr ? absl::OkStatus() : ToRank(key, *value, out);
}

absl::Status ConfigReader::ReadInts(absl::string_view key,
                                    std::vector<int64_t>* out) {
  const Json* value = FindValue(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_array()) {
    return ConfigTypeError(key, *value, "a list of integers");
  }
  out->resize(value->size());
  for (size_t i = 0; i < out->size(); ++i) {
    PEFT_RETURN_IF_ERROR(
        ToInt(absl::StrCat(key, "[", i, "]"), (*value)[i], &(*out)[i]));
  }
  return absl::OkStatus();
}

absl::Status ConfigReader::ReadStrings(
    absl::string_view key, std::optional<std::vector<std::string>>* out) {
  const Json* value = FindValue(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_array()) {
    return ConfigTypeError(key, *value, "a list of strings");
  }
  if (value->size() > kMaxListSize) {
    return ConfigError(key,
                       absl::StrCat("has ", value->size(), " entries, at most ",
                                    kMaxListSize, " are allowed"));
  }
  out->emplace();
  for (const Json& entry : *value) {
    if (!entry.is_string()) {
      return ConfigTypeError(absl::StrCat(key, "[", (*out)->size(), "]"), entry,
                             "a string");
    }
    (*out)->push_back(entry.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ConfigReader::ToInt(absl::string_view key, const Json& value,
                                 int64_t* out) {
  constexpr char kExpected[] = "an integer";
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > INT64_MAX) return ConfigTypeError(key, value, kExpected);
    *out = static_cast<int64_t>(number);
    return absl::OkStatus();
  }
  if (value.is_number_integer()) {
    *out = value.get<int64_t>();
    return absl::OkStatus();
  }
  if (!value.is_number_float()) return ConfigTypeError(key, value, kExpected);
  const double number = value.get<double>();
  if (std::trunc(number) != number || std::abs(number) > kMaxExactDouble) {
    return ConfigTypeError(key, value, kExpected);
  }
  *out = static_cast<int64_t>(number);
  Note(absl::StrCat(Quoted(key), " is ", DumpJson(value), ", taken as ", *out));
  return absl::OkStatus();
}

absl::Status ConfigReader::ToRank(absl::string_view key, const Json& value,
                                  int64_t* out) {
  constexpr int64_t kMaxRank = std::numeric_limits<int32_t>::max();
  PEFT_RETURN_IF_ERROR(ToInt(key, value, out));
  if (*out >= 1 && *out <= kMaxRank) return absl::OkStatus();
  return ConfigTypeError(key, value,
                         absl::StrCat("a rank from 1 to ", kMaxRank));
}

absl::Status ConfigReader::ToNumber(absl::string_view key, const Json& value,
                                    double* out) {
  if (!value.is_number()) return ConfigTypeError(key, value, "a number");
  *out = value.get<double>();
  if (!std::isfinite(*out)) {
    return ConfigTypeError(key, value, "a finite number");
  }
  return absl::OkStatus();
}

}  // namespace peft
