// Arrays of structs that grow. Those of an older or newer program are of
// another size, so their elements are not where the compiler thinks.
#ifndef PEFT_C_STRUCT_ARRAY_H_
#define PEFT_C_STRUCT_ARRAY_H_

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_c/arguments.h"
#include "peft_cc/base/error.h"

namespace peft {

// Calls read(name, element) for each struct of the array `argument`, where
// `name` is that of the element; stops at the first error. INVALID_ARGUMENT
// (ARGUMENT) where their sizes differ.
template <typename Struct, typename Read>
absl::Status ForEachStruct(absl::string_view argument, const Struct* structs,
                           size_t count, Read read) {
  PEFT_RETURN_IF_ERROR(CheckArray(argument, structs, count));
  const char* element = reinterpret_cast<const char*>(structs);
  size_t first_size = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::string name = absl::StrCat(argument, "[", i, "]");
    size_t size = 0;
    std::memcpy(&size, element, sizeof(size));
    if (i == 0) first_size = size;
    if (size != first_size || size % alignof(Struct) != 0) {
      return BadArgument(
          absl::StrCat(name, ".struct_size"),
          absl::StrCat("is ", size, ", expected that of ", argument,
                       "[0], a multiple of ", alignof(Struct)));
    }
    PEFT_RETURN_IF_ERROR(read(name, reinterpret_cast<const Struct*>(element)));
    element += size;
  }
  return absl::OkStatus();
}

}  // namespace peft

#endif  // PEFT_C_STRUCT_ARRAY_H_
