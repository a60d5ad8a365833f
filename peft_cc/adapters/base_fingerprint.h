// Whether the weights below an adapter are those that it was saved over.
#ifndef PEFT_CC_ADAPTERS_BASE_FINGERPRINT_H_
#define PEFT_CC_ADAPTERS_BASE_FINGERPRINT_H_

#include <string>

#include "absl/status/status.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/load_report.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// The key of the fingerprint in the metadata of adapter_model.safetensors.
inline constexpr char kBaseFingerprintKey[] = "peft_cc.base_fingerprint";

// "v1:" and 16 hex digits: a hash of the names and shapes of the sites that
// `adapter` changes and of a sample of their weights, four runs of 64 elements
// spread over each. Whole weights would have to be read from the disk on each
// load; another training changes more than a sample can miss. Elements are
// rounded to bf16, and those under 2^-14 count as 0, so that a base that was
// converted from or to bf16 keeps its fingerprint.
std::string BaseFingerprint(const SiteTable& sites, const Adapter& adapter);

// INVALID_ARGUMENT (BASE_MISMATCH) where `recorded`, that of the file, is not
// the fingerprint of `sites`; with `lenient` a line in the report. A version
// that is not known is a line, too. An empty text is none: nothing to check.
absl::Status CheckBaseFingerprint(const std::string& recorded,
                                  const SiteTable& sites,
                                  const Adapter& adapter, bool lenient,
                                  LoadReport& report);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_BASE_FINGERPRINT_H_
