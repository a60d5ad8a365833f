#include "peft_cc/adapters/eviction.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// Bytes and adapters together.
struct Usage {
  int64_t bytes = 0;
  int64_t adapters = 0;

  bool Fits(const AdapterLimit& limit) const {
    return (limit.max_bytes == 0 || bytes <= limit.max_bytes) &&
           (limit.max_adapters == 0 || adapters <= limit.max_adapters);
  }
};

std::string LimitText(const AdapterLimit& limit) {
  const auto text = [](int64_t value) {
    return value == 0 ? std::string("any number of") : absl::StrCat(value);
  };
  return absl::StrCat("at most ", text(limit.max_bytes), " bytes and ",
                      text(limit.max_adapters), " adapters");
}

absl::Status LimitError(const RoomWanted& wanted, const Usage& kept,
                        const AdapterLimit& limit) {
  const std::string needed =
      absl::StrCat(kept.bytes + wanted.bytes, " bytes and ",
                   kept.adapters + wanted.adapters, " adapters");
  return MakeError(
      absl::StatusCode::kResourceExhausted, error_id::kAdapterLimit,
      absl::StrCat("the limit of the model's adapters is ", LimitText(limit),
                   "; wanted are ", wanted.bytes, " bytes for ",
                   wanted.adapters,
                   " more, and those that must stay (active, "
                   "pinned, trainable or held by an activation) have ",
                   kept.bytes, " bytes in ", kept.adapters,
                   "; delete or unpin some, or raise the limit"),
      {"", LimitText(limit), needed});
}

}  // namespace

absl::StatusOr<std::vector<size_t>> ChooseEvictions(
    absl::Span<const Resident> residents, const RoomWanted& wanted,
    const AdapterLimit& limit) {
  Usage usage = {wanted.bytes, wanted.adapters};
  std::vector<size_t> candidates;
  for (size_t i = 0; i < residents.size(); ++i) {
    usage.bytes += residents[i].bytes;
    ++usage.adapters;
    if (residents[i].can_go) candidates.push_back(i);
  }
  std::sort(candidates.begin(), candidates.end(), [&](size_t a, size_t b) {
    return residents[a].last_use < residents[b].last_use;
  });
  std::vector<size_t> evicted;
  for (const size_t i : candidates) {
    if (usage.Fits(limit)) break;
    evicted.push_back(i);
    usage.bytes -= residents[i].bytes;
    --usage.adapters;
  }
  if (usage.Fits(limit)) return evicted;
  return LimitError(
      wanted, {usage.bytes - wanted.bytes, usage.adapters - wanted.adapters},
      limit);
}

}  // namespace peft
