#include "peft_cc/base/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace peft {
namespace {

// Payload keys; absl wants them to look like type URLs.
constexpr char kIdUrl[] = "peft/id";
constexpr char kTensorUrl[] = "peft/tensor";
constexpr char kExpectedUrl[] = "peft/expected";
constexpr char kFoundUrl[] = "peft/found";

constexpr size_t kMaxDetail = 4000;
constexpr absl::string_view kCut = "...";

bool IsContinuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

// `value` within kMaxDetail, cut between two characters.
std::string Clipped(absl::string_view value) {
  if (value.size() <= kMaxDetail) return std::string(value);
  size_t size = kMaxDetail - kCut.size();
  while (size > 0 && IsContinuation(value[size])) --size;
  return absl::StrCat(value.substr(0, size), kCut);
}

// A longer value would be a Cord of several blocks, and it leaks the first ones
// where there is no memory for another.
void SetPayload(absl::string_view url, absl::string_view value,
                absl::Status& status) {
  if (!value.empty()) status.SetPayload(url, absl::Cord(Clipped(value)));
}

std::string GetPayload(const absl::Status& status, absl::string_view url) {
  const absl::optional<absl::Cord> payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, absl::string_view id,
                       absl::string_view message, const ErrorDetails& details) {
  absl::Status status(code, message);
  SetPayload(kIdUrl, id, status);
  SetPayload(kTensorUrl, details.tensor, status);
  SetPayload(kExpectedUrl, details.expected, status);
  SetPayload(kFoundUrl, details.found, status);
  return status;
}

absl::Status ArgumentError(absl::string_view message,
                           const ErrorDetails& details) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kArgument,
                   message, details);
}

std::string ErrorId(const absl::Status& status) {
  if (status.ok()) return std::string();
  std::string id = GetPayload(status, kIdUrl);
  return id.empty() ? std::string(error_id::kInternal) : id;
}

ErrorDetails GetErrorDetails(const absl::Status& status) {
  return {GetPayload(status, kTensorUrl), GetPayload(status, kExpectedUrl),
          GetPayload(status, kFoundUrl)};
}

absl::Status WithContext(const absl::Status& status,
                         absl::string_view context) {
  if (status.ok()) return status;
  absl::Status result(status.code(),
                      absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload(
      [&result](absl::string_view url, const absl::Cord& payload) {
        result.SetPayload(url, payload);
      });
  return result;
}

}  // namespace peft
