#include "peft_cc/methods/forms.h"

#include <algorithm>

namespace peft {
namespace {

bool IsScalableForm(const Form& form) {
  return std::holds_alternative<LowRank>(form) ||
         std::holds_alternative<Bias>(form) ||
         std::holds_alternative<MagnitudeScale>(form);
}

}  // namespace

bool IsScalable(const SiteProgram& program) {
  return std::all_of(program.begin(), program.end(), IsScalableForm);
}

}  // namespace peft
