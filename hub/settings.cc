#include "hub/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace peft {
namespace hub {
namespace {

constexpr char kEndpoint[] = "https://huggingface.co";
// The most that a passwd entry may need.
constexpr size_t kMaxPasswd = 1 << 16;

std::string WithoutSlashes(std::string path) {
  while (absl::EndsWith(path, "/")) path.pop_back();
  return path;
}

// The home folder of `user`, of this process's for "".
absl::optional<std::string> HomeOf(const std::string& user) {
  std::vector<char> buffer(kMaxPasswd);
  passwd entry;
  passwd* found = nullptr;
  if (user.empty()) {
    getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found);
  } else {
    getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  }
  if (found == nullptr || found->pw_dir == nullptr) return absl::nullopt;
  return std::string(found->pw_dir);
}

class Reader {
 public:
  explicit Reader(Environment environment) : environment_(environment) {}

  bool IsSet(const char* name) const { return environment_(name) != nullptr; }

  // `fallback` if it is not set. A variable that is set and empty is "".
  std::string Text(const char* name, absl::string_view fallback = "") const {
    const char* const value = environment_(name);
    return std::string(value == nullptr ? fallback : value);
  }

  // The same, `fallback` also if it is empty.
  std::string NonEmpty(const char* name,
                       absl::string_view fallback = "") const {
    const std::string value = Text(name);
    return value.empty() ? std::string(fallback) : value;
  }

  bool Bool(const char* name) const { return IsTrue(Text(name)); }

  static bool IsTrue(absl::string_view text) {
    const std::string upper = absl::AsciiStrToUpper(text);
    return upper == "1" || upper == "ON" || upper == "YES" || upper == "TRUE";
  }

  std::string Path(const char* name, absl::string_view fallback) const {
    return WithVariables(WithHome(Text(name, fallback)));
  }

 private:
  // os.path.expandvars.
  std::string WithVariables(absl::string_view path) const {
    std::string result;
    while (!path.empty()) {
      const size_t dollar = path.find('$');
      absl::StrAppend(&result, path.substr(0, dollar));
      if (dollar == absl::string_view::npos) break;
      path.remove_prefix(dollar);
      const size_t size = AppendVariable(path, &result);
      path.remove_prefix(size);
    }
    return result;
  }

  // `text` begins with '$'. Appends the value of the variable, or what stands
  // there for one that is not set, and returns how much of text that was.
  size_t AppendVariable(absl::string_view text, std::string* result) const {
    size_t begin = 1;
    size_t end = 1;
    size_t size = 1;
    if (absl::StartsWith(text, "${")) {
      begin = 2;
      end = text.find('}');
      size = end + 1;
    } else {
      while (end < text.size() &&
             (absl::ascii_isalnum(text[end]) || text[end] == '_')) {
        ++end;
      }
      size = end;
    }
    if (end == absl::string_view::npos || end == begin) {
      absl::StrAppend(result, "$");
      return 1;
    }
    const std::string name(text.substr(begin, end - begin));
    const char* const value = environment_(name.c_str());
    absl::StrAppend(result, value == nullptr ? text.substr(0, size) : value);
    return size;
  }

  // os.path.expanduser.
  std::string WithHome(const std::string& path) const {
    if (path.empty() || path[0] != '~') return path;
    const size_t end = std::min(path.find('/'), path.size());
    const std::string user = path.substr(1, end - 1);
    absl::optional<std::string> home =
        user.empty() && IsSet("HOME") ? Text("HOME") : HomeOf(user);
    if (!home.has_value()) return path;
    const std::string expanded =
        absl::StrCat(WithoutSlashes(*home), path.substr(end));
    return expanded.empty() ? "/" : expanded;
  }

  Environment environment_;
};

// os.path.join for a last part that is relative.
std::string Join(const std::string& folder, absl::string_view name) {
  if (folder.empty() || absl::EndsWith(folder, "/")) {
    return absl::StrCat(folder, name);
  }
  return absl::StrCat(folder, "/", name);
}

}  // namespace

std::string CleanToken(const std::string& text) {
  const std::string one_line =
      absl::StrReplaceAll(text, {{"\r", ""}, {"\n", ""}});
  return std::string(absl::StripAsciiWhitespace(one_line));
}

Settings SettingsFrom(Environment environment) {
  const Reader reader(environment);
  const std::string home = reader.Path(
      "HF_HOME",
      Join(reader.Text("XDG_CACHE_HOME", "~/.cache"), "huggingface"));
  Settings settings;
  settings.cache_dir = reader.Path(
      "HF_HUB_CACHE", reader.Text("HUGGINGFACE_HUB_CACHE", Join(home, "hub")));
  settings.token_path = reader.Path("HF_TOKEN_PATH", Join(home, "token"));
  settings.token = CleanToken(
      reader.NonEmpty("HF_TOKEN", reader.Text("HUGGING_FACE_HUB_TOKEN")));
  settings.endpoint = WithoutSlashes(reader.Text("HF_ENDPOINT", kEndpoint));
  settings.offline = Reader::IsTrue(
      reader.NonEmpty("HF_HUB_OFFLINE", reader.Text("TRANSFORMERS_OFFLINE")));
  settings.implicit_token = !reader.Bool("HF_HUB_DISABLE_IMPLICIT_TOKEN");
  settings.symlinks = !reader.Bool("HF_HUB_DISABLE_SYMLINKS");
  return settings;
}

Settings SettingsFromProcess() {
  return SettingsFrom(
      [](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace hub
}  // namespace peft
