// Load reports at the C ABI.
#ifndef PEFT_C_LOAD_REPORT_H_
#define PEFT_C_LOAD_REPORT_H_

#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/adapters/load_report.h"

namespace peft {

template <>
struct HandleTraits<peft_load_report_t> {
  using Object = LoadReport;
  static constexpr HandleKind kKind = HandleKind::kLoadReport;
};

}  // namespace peft

#endif  // PEFT_C_LOAD_REPORT_H_
