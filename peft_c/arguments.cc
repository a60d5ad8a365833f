#include "peft_c/arguments.h"

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status BadText(absl::string_view name, absl::string_view problem) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kUtf8,
                   absl::StrCat("argument ", name, " ", problem),
                   {std::string(name), "UTF-8 text", std::string(problem)});
}

}  // namespace

absl::Status BadArgument(absl::string_view name, absl::string_view problem) {
  return ArgumentError(absl::StrCat("argument ", name, " ", problem),
                       {std::string(name)});
}

absl::StatusOr<std::string> TextArgument(absl::string_view name,
                                         const char* text) {
  if (text == nullptr) return BadText(name, "is NULL, expected a text");
  const absl::string_view view(text);
  const size_t valid = ValidUtf8Prefix(view);
  if (valid == view.size()) return std::string(view);
  return BadText(name, absl::StrCat("is not UTF-8 from byte ", valid,
                                    " on: ", Quoted(view)));
}

absl::StatusOr<std::string> OptionalText(absl::string_view name,
                                         const char* text,
                                         absl::string_view fallback) {
  if (text == nullptr) return std::string(fallback);
  return TextArgument(name, text);
}

absl::StatusOr<std::vector<std::string>> TextArray(absl::string_view name,
                                                   const char* const* texts,
                                                   size_t count) {
  PEFT_RETURN_IF_ERROR(CheckArray(name, texts, count));
  std::vector<std::string> result;
  result.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    PEFT_ASSIGN_OR_RETURN(
        std::string text,
        TextArgument(absl::StrCat(name, "[", i, "]"), texts[i]));
    result.push_back(std::move(text));
  }
  return result;
}

absl::StatusOr<bool> FlagArgument(absl::string_view name, int32_t value) {
  if (value == 0 || value == 1) return value == 1;
  return BadArgument(name, absl::StrCat("is ", value, ", expected 0 or 1"));
}

absl::Status CheckArray(absl::string_view name, const void* data, size_t count,
                        size_t max_count) {
  if (count > max_count) {
    return BadArgument(
        name,
        absl::StrCat("has ", count, " elements, expected at most ", max_count));
  }
  if (count > 0 && data == nullptr) {
    return BadArgument(name,
                       absl::StrCat("is NULL, expected ", count, " elements"));
  }
  return absl::OkStatus();
}

}  // namespace peft
