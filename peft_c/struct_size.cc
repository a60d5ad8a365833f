#include "peft_c/struct_size.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {

absl::Status CheckStructSize(absl::string_view argument, size_t found,
                             size_t first) {
  // No struct ends within a pointer: half of one would lead nowhere.
  const bool is_whole = found % alignof(size_t) == 0;
  if (found >= first && found <= kMaxStructSize && is_whole) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kStructSize,
      absl::StrCat("argument ", argument, ": struct_size is ", found,
                   ", expected at least ", first, " and a multiple of ",
                   alignof(size_t),
                   "; fill the struct with its _INIT macro or _init function"),
      {std::string(argument), absl::StrCat("at least ", first),
       absl::StrCat(found)});
}

absl::Status CheckUnknownBytes(absl::string_view argument, const void* data,
                               size_t known, size_t struct_size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = known; i < struct_size; ++i) {
    if (bytes[i] == 0) continue;
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kStructSize,
        absl::StrCat("argument ", argument, ": byte ", i,
                     " is set and this library knows ", known,
                     " bytes only; it is older than the program's header: "
                     "update the library or leave the newer fields zero"),
        {std::string(argument), absl::StrCat("at most ", known),
         absl::StrCat(struct_size)});
  }
  return absl::OkStatus();
}

absl::Status NullStruct(absl::string_view argument) {
  return ArgumentError(absl::StrCat("argument ", argument, " is NULL"),
                       {std::string(argument), "a struct", "NULL"});
}

}  // namespace peft
