// Of programs that link the library's objects: malloc is their own.

#include "peft_c/allocator.h"

namespace peft {

const bool kMallocIsWrapped = false;

}  // namespace peft
