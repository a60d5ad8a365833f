#include "peft_cc/adapters/adapter_source.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// The Hub's limit for an owner with a name.
constexpr size_t kMaxHubId = 96;

bool IsHubName(absl::string_view name) {
  if (name.empty() || name[0] == '.' || name[0] == '-') return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '-' && c != '_' && c != '.') {
      return false;
    }
  }
  return !absl::StrContains(name, "..") && !absl::StrContains(name, "--");
}

// "owner/name" as the Hub allows it.
bool IsHubId(absl::string_view path) {
  const size_t slash = path.find('/');
  return path.size() <= kMaxHubId && slash != absl::string_view::npos &&
         IsHubName(path.substr(0, slash)) && IsHubName(path.substr(slash + 1));
}

}  // namespace

std::string HubOptions::Given() const {
  std::vector<absl::string_view> given;
  if (!revision.empty()) given.push_back("revision");
  if (!token.empty()) given.push_back("token");
  if (!cache_dir.empty()) given.push_back("cache_dir");
  if (!proxies.empty()) given.push_back("proxies");
  if (local_files_only) given.push_back("local_files_only");
  if (force_download) given.push_back("force_download");
  return absl::StrJoin(given, ", ");
}

// A proxy may carry a password: messages do not repeat it.
absl::Status CheckHubOptions(const HubOptions& options) {
  for (size_t i = 0; i < options.proxies.size(); ++i) {
    const size_t equals = options.proxies[i].find('=');
    if (equals != std::string::npos && equals > 0 &&
        equals + 1 < options.proxies[i].size()) {
      continue;
    }
    const std::string name = absl::StrCat("options.proxies[", i, "]");
    return ArgumentError(absl::StrCat(name,
                                      " is not of the form scheme=URL, as in "
                                      "https=http://10.0.0.1:3128"),
                         {name, "scheme=URL", ""});
  }
  return absl::OkStatus();
}

absl::Status CheckIsLocal(const std::string& path, const HubOptions& options) {
  if (DirectoryExists(path) || FileExists(path)) return absl::OkStatus();
  if (!IsHubId(path) && options.Given().empty()) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
      absl::StrCat("there is no folder ", Quoted(path),
                   ", and as a Hub id it cannot be fetched: this version has "
                   "no Hub client; download the adapter (hf download ",
                   Quoted(path), ") and give its folder"),
      {path, "a local folder", ""});
}

}  // namespace peft
