#include "peft_cc/methods/method_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/methods/adalora.h"
#include "peft_cc/methods/ia3.h"
#include "peft_cc/methods/lora.h"

namespace peft {
namespace {

constexpr SiteKind kLoraKinds[] = {SiteKind::kLinear,
                                   SiteKind::kConv1D,
                                   SiteKind::kEmbedding,
                                   SiteKind::kConvolution,
                                   SiteKind::kMultiheadAttention,
                                   SiteKind::kParameter};

// Which convolutions, the methods check themselves.
constexpr SiteKind kMatrixKinds[] = {SiteKind::kLinear, SiteKind::kConv1D,
                                     SiteKind::kConvolution};

constexpr MethodInfo kMethods[] = {
    {"LORA", "LoRA", "lora_", kLoraKinds,
     "a linear layer, an embedding, a convolution or a MultiheadAttention",
     MakeLora},
    {"ADALORA", "AdaLoRA", "lora_", kMatrixKinds, "a linear layer or a Conv2d",
     MakeAdaLora},
    {"IA3", "IA3", "ia3_", kMatrixKinds, "a linear layer, a Conv2d or a Conv3d",
     MakeIa3},
};

}  // namespace

absl::Span<const MethodInfo> Methods() { return kMethods; }

const MethodInfo* FindMethod(absl::string_view peft_type) {
  for (const MethodInfo& method : kMethods) {
    if (method.peft_type == peft_type) return &method;
  }
  return nullptr;
}

std::string MethodNames(absl::string_view separator) {
  return absl::StrJoin(kMethods, separator,
                       [](std::string* out, const MethodInfo& method) {
                         absl::StrAppend(out, method.peft_type);
                       });
}

}  // namespace peft
