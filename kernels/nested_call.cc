#include "kernels/nested_call.h"

namespace peft {
namespace kernels {

thread_local bool NestedCall::inside_ = false;

}  // namespace kernels
}  // namespace peft
