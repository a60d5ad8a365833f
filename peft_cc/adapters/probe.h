// Does an adapter do anything? Random input through each of its layers.
#ifndef PEFT_CC_ADAPTERS_PROBE_H_
#define PEFT_CC_ADAPTERS_PROBE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// How an adapter is probed.
struct ProbeOptions {
  uint64_t seed = 0;  // equal seeds give equal inputs
  int64_t rows = 16;  // of random input for each site
};

// What an adapter changes in the outputs of one site, over all rows.
struct ProbeLine {
  std::string site;
  double base_norm = 0;   // of the base's output without its bias
  double delta_norm = 0;  // of what the adapter adds to it
  double Ratio() const;   // infinite where only base_norm is 0
};

// The sites that the adapter has a program for, in module order.
struct ProbeReport {
  std::vector<ProbeLine> lines;

  // Over all lines: the ratio of the norms, the largest ratio of a line, and
  // the lines whose outputs are unchanged.
  double Ratio() const;
  double MaxRatio() const;
  int64_t NumUnchanged() const;
};

// The adapter acts alone, with scale 1, on the base's weights. Its gates are
// open. A table gets random ids, and those whose rows the adapter replaces.
// `name` is for messages. RESOURCE_EXHAUSTED (OUT_OF_MEMORY) as a rule only;
// also fails as Plan::Create.
absl::StatusOr<ProbeReport> ProbeAdapter(const SiteTable& sites,
                                         const std::string& name,
                                         std::shared_ptr<const Adapter> adapter,
                                         const ProbeOptions& options,
                                         kernels::ThreadPool& pool);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_PROBE_H_
