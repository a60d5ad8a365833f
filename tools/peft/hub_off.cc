// Commands of the Hub, in a build without network code, and without the hashes
// that name blobs (--define hub=off).
#include "tools/peft/commands.h"
#include "tools/peft/handles.h"

namespace peft_tool {

int RunCache(const std::vector<std::string>& words) {
  static_cast<void>(words);
  return Fail("cache: this build has no network code [UNIMPLEMENTED]");
}

int RunDownload(const std::vector<std::string>& words) {
  static_cast<void>(words);
  return Fail("download: this build has no network code [UNIMPLEMENTED]");
}

}  // namespace peft_tool
