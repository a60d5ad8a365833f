// Answers of servers that mean ill. The first byte says what was asked and how
// the rest is split.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "hub/response_reader.h"

namespace {

using peft::hub::HttpResponse;
using peft::hub::ResponseReader;

struct Outcome {
  bool ok = false;
  HttpResponse response;
  std::string body;
};

// More than a fuzz input needs to show a bug; gzip can make gigabytes.
constexpr size_t kMaxBody = 8 << 20;

Outcome Read(absl::Span<const uint8_t> bytes, bool has_body, size_t size) {
  Outcome outcome;
  const auto on_response = [&](const HttpResponse& response) {
    outcome.response = response;
    return absl::OkStatus();
  };
  const auto sink = [&](absl::Span<const uint8_t> part) {
    if (part.empty() || outcome.response.status == 0) std::abort();
    if (outcome.body.size() + part.size() > kMaxBody) {
      return absl::OutOfRangeError("");
    }
    outcome.body.append(part.begin(), part.end());
    return absl::OkStatus();
  };
  ResponseReader::Options options;
  options.has_body = has_body;
  options.max_header_bytes = 4096;
  ResponseReader reader(options, on_response, sink);
  absl::Status status;
  while (status.ok() && !reader.is_done() && !bytes.empty()) {
    const absl::Span<uint8_t> space = reader.space();
    if (space.empty()) std::abort();
    const size_t count = std::min({size, bytes.size(), space.size()});
    std::memcpy(space.data(), bytes.data(), count);
    bytes.remove_prefix(count);
    status = reader.Commit(count);
  }
  if (status.ok() && !reader.is_done()) status = reader.CommitEnd();
  outcome.ok = status.ok();
  if (outcome.ok && !reader.is_done()) std::abort();
  if (!has_body && !outcome.body.empty()) std::abort();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool has_body = (data[0] & 1) != 0;
  const size_t part = 1 + (data[0] >> 1);
  const absl::Span<const uint8_t> bytes(data + 1, size - 1);
  const Outcome whole = Read(bytes, has_body, size);
  const Outcome parts = Read(bytes, has_body, part);
  // How the bytes are split changes nothing.
  if (whole.ok != parts.ok) std::abort();
  if (whole.ok && (whole.response.status != parts.response.status ||
                   whole.response.fields != parts.response.fields ||
                   whole.body != parts.body)) {
    std::abort();
  }
  return 0;
}
