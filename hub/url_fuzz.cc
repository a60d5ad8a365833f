// URLs and redirects that strangers wrote.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "hub/url.h"

namespace {

// What is written must be read as the same, and fit into a request's line.
void CheckRoundTrip(const peft::hub::Url& url) {
  const std::string text = url.ToString();
  const auto again = peft::hub::ParseUrl(text);
  if (!again.ok() || !again->HasOriginOf(url) || again->target != url.target) {
    std::abort();
  }
  for (const char c : text) {
    if (c <= ' ' || c > '~') std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto url = peft::hub::ParseUrl(text);
  if (url.ok()) CheckRoundTrip(*url);
  const auto base = peft::hub::ParseUrl("https://host/a/b?c");
  const auto resolved = peft::hub::ResolveUrl(*base, text);
  if (resolved.ok()) CheckRoundTrip(*resolved);
  return 0;
}
