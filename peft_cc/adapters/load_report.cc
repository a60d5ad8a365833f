#include "peft_cc/adapters/load_report.h"

#include <algorithm>

namespace peft {

int64_t LoadReport::Count(ReportKind kind) const {
  return std::count_if(
      lines.begin(), lines.end(),
      [kind](const ReportLine& line) { return line.kind == kind; });
}

}  // namespace peft
