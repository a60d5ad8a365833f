#include "peft_cc/models/ops_together.h"

#include <algorithm>

#include "kernels/linear.h"

namespace peft {

int NumOpsTogether(absl::Span<const Op> ops, int first) {
  const Op& op = ops[first];
  if (op.kind != OpKind::kLinear) return 1;
  const int limit =
      std::min(first + kernels::kMaxLinears, static_cast<int>(ops.size()));
  int end = first + 1;
  while (end < limit && ops[end].kind == op.kind &&
         ops[end].input == op.input) {
    ++end;
  }
  return end - first;
}

}  // namespace peft
