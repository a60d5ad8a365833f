// The token that requests carry, and keeping it out of messages.
#ifndef HUB_TOKEN_H_
#define HUB_TOKEN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/settings.h"

namespace peft {
namespace hub {

// `given` if it is not empty, else the environment's, else what the token file
// holds; "" for none, and where implicit tokens are off and none is given.
// Fails with INVALID_ARGUMENT (ARGUMENT) for one that no header can carry, and
// with ReadTextFile's error for a file that is there and cannot be read.
absl::StatusOr<std::string> FindToken(const Settings& settings,
                                      const std::string& given);

// `status` with "***" wherever its message or details repeat `token`.
absl::Status WithoutToken(const absl::Status& status, absl::string_view token);

}  // namespace hub
}  // namespace peft

#endif  // HUB_TOKEN_H_
