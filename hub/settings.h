// What the environment says about the Hub, under huggingface_hub's names and
// with its precedence (constants.py of 2.4), so that a program finds the cache
// that Python filled.
#ifndef HUB_SETTINGS_H_
#define HUB_SETTINGS_H_

#include <string>

#include "absl/functional/function_ref.h"

namespace peft {
namespace hub {

// Read once; later changes of the environment have no effect on it.
struct Settings {
  // HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub. HF_HOME is
  // ~/.cache/huggingface by default, or lies in $XDG_CACHE_HOME.
  std::string cache_dir;
  // HF_TOKEN_PATH, else $HF_HOME/token.
  std::string token_path;
  // HF_TOKEN, else HUGGING_FACE_HUB_TOKEN; "" for none. Trimmed.
  std::string token;
  // HF_ENDPOINT without slashes at its end.
  std::string endpoint;
  // HF_HUB_OFFLINE, or where that is empty TRANSFORMERS_OFFLINE: no request.
  bool offline = false;
  // HF_HUB_DISABLE_IMPLICIT_TOKEN: a token is sent only where one is given.
  bool implicit_token = true;
  // HF_HUB_DISABLE_SYMLINKS: snapshots hold files instead of links.
  bool symlinks = true;
};

// The value of a variable, null where it is not set. As getenv.
using Environment = absl::FunctionRef<const char*(const char* name)>;

// Leading "~" and "~user", and "$NAME" and "${NAME}", are replaced in paths as
// Python's os.path does it.
Settings SettingsFrom(Environment environment);

// SettingsFrom(getenv). Not while another thread changes the environment.
Settings SettingsFromProcess();

// `text` as a token: without line ends, and blanks around it.
std::string CleanToken(const std::string& text);

}  // namespace hub
}  // namespace peft

#endif  // HUB_SETTINGS_H_
