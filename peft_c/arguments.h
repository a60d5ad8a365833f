// Checks of what programs pass through the C ABI. Every failure is
// INVALID_ARGUMENT (ARGUMENT) where no other id is said.
#ifndef PEFT_C_ARGUMENTS_H_
#define PEFT_C_ARGUMENTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// The most elements of an array of names or options. More is taken for a
// negative number that became a size_t.
inline constexpr size_t kMaxCount = size_t{1} << 20;

// The error of an argument that is wrong: "argument <name> <problem>".
absl::Status BadArgument(absl::string_view name, absl::string_view problem);

// Sets `*out` to null or zero, so that a failure leaves it so.
template <typename Value>
absl::Status ClearOut(absl::string_view name, Value* out) {
  if (out == nullptr) return BadArgument(name, "is NULL");
  *out = Value();
  return absl::OkStatus();
}

// The text: not null and valid UTF-8, else UTF8.
absl::StatusOr<std::string> TextArgument(absl::string_view name,
                                         const char* text);

// As TextArgument, and `fallback` for null.
absl::StatusOr<std::string> OptionalText(absl::string_view name,
                                         const char* text,
                                         absl::string_view fallback);

// The texts of an array of them.
absl::StatusOr<std::vector<std::string>> TextArray(absl::string_view name,
                                                   const char* const* texts,
                                                   size_t count);

// An int32_t that is 0 or 1.
absl::StatusOr<bool> FlagArgument(absl::string_view name, int32_t value);

// INVALID_ARGUMENT when an array has too many elements, or some and no address.
absl::Status CheckArray(absl::string_view name, const void* data, size_t count,
                        size_t max_count = kMaxCount);

// The elements of a checked array; empty for count 0, whatever `data` is.
template <typename Element>
absl::StatusOr<absl::Span<const Element>> ArrayArgument(absl::string_view name,
                                                        const Element* data,
                                                        size_t count) {
  absl::Status status = CheckArray(name, data, count);
  if (!status.ok()) return status;
  return absl::Span<const Element>(count == 0 ? nullptr : data, count);
}

}  // namespace peft

#endif  // PEFT_C_ARGUMENTS_H_
