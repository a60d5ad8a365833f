// Translates, compiles and runs patterns that strangers wrote.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "peft_cc/config/python_regex.h"

// The input is a pattern, a NUL and a text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  const absl::string_view pattern = input.substr(0, end);
  const absl::string_view text = end == absl::string_view::npos
                                     ? "model.layers.0.q_proj"
                                     : input.substr(end + 1);
  const auto regex = peft::PythonRegex::Compile(pattern);
  if (!regex.ok()) return 0;
  const auto full = regex->FullMatch(text);
  const auto match = regex->Match(text);
  const auto found = regex->Search(text);
  // What matches the whole text matches at its start, and is found.
  if (full.ok() && *full && match.ok() && !*match) std::abort();
  if (match.ok() && *match && found.ok() && !*found) std::abort();
  return 0;
}
