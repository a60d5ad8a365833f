// What ParseJson accepts must survive a round trip through DumpJson.
#include <cstdlib>

#include "peft_cc/base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  for (bool allow_nan : {false, true}) {
    const auto json = peft::ParseJson(text, "fuzz", {}, allow_nan);
    if (!json.ok()) continue;
    const std::string dumped = peft::DumpJson(*json);
    const auto again = peft::ParseJson(dumped, "fuzz", {}, allow_nan);
    if (!again.ok() || peft::DumpJson(*again) != dumped) std::abort();
  }
  return 0;
}
