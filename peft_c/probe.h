// Probe reports at the C ABI.
#ifndef PEFT_C_PROBE_H_
#define PEFT_C_PROBE_H_

#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/adapters/probe.h"

namespace peft {

template <>
struct HandleTraits<peft_probe_report_t> {
  using Object = const ProbeReport;
  static constexpr HandleKind kKind = HandleKind::kProbeReport;
};

}  // namespace peft

#endif  // PEFT_C_PROBE_H_
