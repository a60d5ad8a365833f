// Commands of the Hub, in a build without network code (--define hub=off).
#include "tools/peft/commands.h"
#include "tools/peft/handles.h"

namespace peft_tool {

int RunDownload(const std::vector<std::string>& words) {
  static_cast<void>(words);
  return Fail("download: this build has no network code [UNIMPLEMENTED]");
}

}  // namespace peft_tool
