// What loading an adapter found: nothing is skipped without a line here.
#ifndef PEFT_CC_ADAPTERS_LOAD_REPORT_H_
#define PEFT_CC_ADAPTERS_LOAD_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace peft {

// Values are part of the C ABI (`PEFT_REPORT_*`): never renumber.
enum class ReportKind : int32_t {
  kMatched = 1,     // a tensor that is used; detail: the module it adapts
  kMissing = 2,     // a tensor the config asks for and the file lacks
  kUnexpected = 3,  // a tensor of the file that nothing uses
  kMismatched = 4,  // a tensor of the wrong shape or dtype
  kIgnoredKey = 5,  // a config key that is not understood and was ignored
  kNote = 6,        // anything else worth knowing; name may be empty
};

// One thing that the load found.
struct ReportLine {
  ReportKind kind = ReportKind::kNote;
  std::string name;    // tensor name as in the file, or config key
  std::string detail;  // a sentence, or the module
};

// All that a load found, in the order in which it did.
struct LoadReport {
  std::string adapter_name;
  std::string peft_type;
  std::vector<ReportLine> lines;
  int64_t num_sites = 0;       // sites that the adapter changes
  int64_t num_parameters = 0;  // elements of the tensors in use
  int64_t size_bytes = 0;      // their bytes in memory

  // The number of lines of that kind.
  int64_t Count(ReportKind kind) const;
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_LOAD_REPORT_H_
