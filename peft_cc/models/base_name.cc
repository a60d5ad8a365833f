#include "peft_cc/models/base_name.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace peft {
namespace {

absl::string_view WithoutSlash(absl::string_view path) {
  while (path.size() > 1 && absl::ConsumeSuffix(&path, "/")) {
  }
  return path;
}

absl::string_view LastPart(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

bool SameName(absl::string_view a, absl::string_view b) {
  return a == b || LastPart(a) == LastPart(b);
}

}  // namespace

bool MayBeBase(absl::string_view named, absl::string_view folder,
               absl::string_view own_name) {
  const absl::string_view name = WithoutSlash(named);
  if (name.empty() || SameName(name, WithoutSlash(folder))) return true;
  if (!own_name.empty() && SameName(name, WithoutSlash(own_name))) return true;
  return absl::StrContains(
      absl::StrCat(folder, "/"),
      absl::StrCat("/models--", absl::StrReplaceAll(name, {{"/", "--"}}), "/"));
}

}  // namespace peft
