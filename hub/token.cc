#include "hub/token.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"

namespace peft {
namespace hub {
namespace {

constexpr uint64_t kMaxToken = 64 << 10;

// The message names where the token is from, never what it is.
absl::StatusOr<std::string> Checked(std::string token,
                                    absl::string_view source) {
  if (std::all_of(token.begin(), token.end(),
                  [](char c) { return absl::ascii_isgraph(c); })) {
    return token;
  }
  return ArgumentError(
      absl::StrCat("the token of ", source,
                   " holds blanks or bytes that are not ASCII; expected the "
                   "text that the Hub shows, hf_..."),
      {std::string(source), "hf_...", ""});
}

}  // namespace

absl::StatusOr<std::string> FindToken(const Settings& settings,
                                      const std::string& given) {
  const std::string own = CleanToken(given);
  if (!own.empty()) return Checked(own, "the options");
  if (!settings.implicit_token) return std::string();
  if (!settings.token.empty()) {
    return Checked(settings.token, "the environment");
  }
  const absl::StatusOr<std::string> file =
      ReadTextFile(settings.token_path, kMaxToken);
  if (absl::IsNotFound(file.status())) return std::string();
  PEFT_RETURN_IF_ERROR(WithContext(file.status(), "the token file"));
  return Checked(CleanToken(*file), settings.token_path);
}

absl::Status WithoutToken(const absl::Status& status, absl::string_view token) {
  if (token.empty() || status.ok()) return status;
  const auto clean = [&](absl::string_view text) {
    return absl::StrReplaceAll(text, {{token, "***"}});
  };
  const ErrorDetails details = GetErrorDetails(status);
  return MakeError(
      status.code(), ErrorId(status), clean(status.message()),
      {clean(details.tensor), clean(details.expected), clean(details.found)});
}

}  // namespace hub
}  // namespace peft
