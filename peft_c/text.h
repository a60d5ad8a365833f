// Texts and lists of names that the library returns.
#ifndef PEFT_C_TEXT_H_
#define PEFT_C_TEXT_H_

#include <string>
#include <vector>

#include "peft_c/handle.h"
#include "peft_c/peft_c.h"

namespace peft {

template <>
struct HandleTraits<peft_string_t> {
  using Object = const std::string;
  static constexpr HandleKind kKind = HandleKind::kString;
};

template <>
struct HandleTraits<peft_string_list_t> {
  using Object = const std::vector<std::string>;
  static constexpr HandleKind kKind = HandleKind::kStringList;
};

}  // namespace peft

#endif  // PEFT_C_TEXT_H_
