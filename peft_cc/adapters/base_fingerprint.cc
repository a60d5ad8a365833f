#include "peft_cc/adapters/base_fingerprint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr char kVersion[] = "v1:";
constexpr int64_t kRuns = 4;
constexpr int64_t kRunLength = 64;
// The smallest normal number of f16.
constexpr float kSmallest = 0x1p-14f;

// FNV-1a. Nobody gains by a forged fingerprint: a writer of the file could
// leave it out.
class Hash {
 public:
  void Add(uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) AddByte((value >> (8 * byte)) & 255);
  }
  void Add(const std::string& text) {
    Add(text.size());
    for (const char c : text) AddByte(static_cast<unsigned char>(c));
  }
  uint64_t value() const { return value_; }

 private:
  void AddByte(uint64_t byte) {
    value_ = (value_ ^ byte) * uint64_t{0x100000001b3};
  }

  uint64_t value_ = 0xcbf29ce484222325;
};

// Any dtype of weights.
void AddRun(const Tensor& tensor, int64_t begin, int64_t count, Hash& hash) {
  std::array<float, kRunLength> values = {};
  tensor.CopyF32(begin, count, values.data());
  for (int64_t i = 0; i < count; ++i) {
    hash.Add(F32ToBF16(std::abs(values[i]) < kSmallest ? 0.0f : values[i]));
  }
}

void AddSample(const Tensor& tensor, Hash& hash) {
  const int64_t count = tensor.num_elements();
  const int64_t last = std::max<int64_t>(count - kRunLength, 0);
  for (int64_t run = 0; run < kRuns; ++run) {
    const int64_t begin = last * run / (kRuns - 1);
    AddRun(tensor, begin, std::min(kRunLength, count - begin), hash);
  }
}

}  // namespace

std::string BaseFingerprint(const SiteTable& sites, const Adapter& adapter) {
  Hash hash;
  for (const Adapter::SiteEntry& entry : adapter.entries()) {
    const Site& site = sites.sites()[entry.site];
    if (site.weight.is_quantized()) return "";
    hash.Add(site.name);
    for (const int64_t size : site.weight.shape()) hash.Add(size);
    AddSample(site.weight, hash);
  }
  return absl::StrCat(kVersion, absl::Hex(hash.value(), absl::kZeroPad16));
}

absl::Status CheckBaseFingerprint(const std::string& recorded,
                                  const SiteTable& sites,
                                  const Adapter& adapter, bool lenient,
                                  LoadReport& report) {
  if (recorded.empty()) return absl::OkStatus();
  if (!absl::StartsWith(recorded, kVersion)) {
    report.lines.push_back(
        {ReportKind::kNote, kBaseFingerprintKey,
         absl::StrCat("is ", Quoted(recorded),
                      ", which this version does not know: whether the base "
                      "is the right one was not checked")});
    return absl::OkStatus();
  }
  const std::string found = BaseFingerprint(sites, adapter);
  if (found == recorded) return absl::OkStatus();
  if (found.empty()) {
    report.lines.push_back(
        {ReportKind::kNote, kBaseFingerprintKey,
         "the base is quantised: whether it is the right one was not checked"});
    return absl::OkStatus();
  }
  const std::string problem = absl::StrCat(
      "the weights of the base are not those that the adapter was "
      "saved over: their fingerprint is ",
      found, ", and the file says ", Quoted(recorded));
  if (lenient) {
    report.lines.push_back(
        {ReportKind::kMismatched, kBaseFingerprintKey, problem});
    return absl::OkStatus();
  }
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kBaseMismatch,
                   absl::StrCat(problem,
                                "; open the base that it belongs to, or load "
                                "with lenient to use it on this one"),
                   {kBaseFingerprintKey, recorded, found});
}

}  // namespace peft
