#include "hub/transport.h"

#include "absl/strings/match.h"

namespace peft {
namespace hub {

absl::string_view FindField(const HeaderFields& fields,
                            absl::string_view name) {
  for (const auto& [field, value] : fields) {
    if (absl::EqualsIgnoreCase(field, name)) return value;
  }
  return "";
}

}  // namespace hub
}  // namespace peft
