#include "peft_cc/config/peft_types.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace peft {
namespace {

constexpr absl::string_view kPeftTypes[] = {
    "ADALORA",
    "ADAMSS",
    "ADAPTION_PROMPT",
    "BEFT",
    "BOFT",
    "C3A",
    "CARTRIDGE",
    "CPT",
    "DEFT",
    "DELORA",
    "FOURIERFT",
    "FROD",
    "GLORA",
    "GRALORA",
    "HIRA",
    "HRA",
    "IA3",
    "LILY",
    "LN_TUNING",
    "LOHA",
    "LOKR",
    "LORA",
    "MISS",
    "MULTITASK_PROMPT_TUNING",
    "OFT",
    "OSF",
    "PEANUT",
    "POLY",
    "PREFIX_TUNING",
    "PROMPT_TUNING",
    "PSOFT",
    "PVERA",
    "P_TUNING",
    "RANDLORA",
    "ROAD",
    "SHADOW",
    "SHIRA",
    "SUPERTUNING",
    "TINYLORA",
    "TRAINABLE_TOKENS",
    "UNILORA",
    "VBLORA",
    "VERA",
    "WAVEFT",
    "XLORA",
};
static_assert(std::size(kPeftTypes) == 45, "PeftType has 45 values");

constexpr absl::string_view kTaskTypes[] = {
    "CAUSAL_LM", "FEATURE_EXTRACTION", "QUESTION_ANS", "SEQ_2_SEQ_LM",
    "SEQ_CLS",   "TOKEN_CLS",
};

// The leading numbers of a version; a part that is no number ends it.
std::vector<int> VersionNumbers(absl::string_view version) {
  std::vector<int> numbers;
  for (const absl::string_view part : absl::StrSplit(version, '.')) {
    int number = 0;
    if (!absl::SimpleAtoi(part, &number)) break;
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

const char kNewestPeftVersion[] = "0.21.2";

bool IsPeftType(absl::string_view name) {
  return std::find(std::begin(kPeftTypes), std::end(kPeftTypes), name) !=
         std::end(kPeftTypes);
}

// The table holds literals, which end in NUL.
const char* PeftTypeText(absl::string_view name) {
  const auto* found =
      std::find(std::begin(kPeftTypes), std::end(kPeftTypes), name);
  return found == std::end(kPeftTypes) ? "" : found->data();
}

bool IsTaskType(absl::string_view name) {
  return std::find(std::begin(kTaskTypes), std::end(kTaskTypes), name) !=
         std::end(kTaskTypes);
}

bool IsNewerThanKnown(absl::string_view version) {
  return VersionNumbers(version) > VersionNumbers(kNewestPeftVersion);
}

}  // namespace peft
