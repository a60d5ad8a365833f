#include "peft_cc/config/method_keys.h"

namespace peft {
namespace {

constexpr char kIgnored[] = "AdaLoRA ignores it, as in PEFT";

// What kRead keys may hold is checked where they are read.
constexpr ConfigKey kLoraKeys[] = {
    {"alora_invocation_tokens", KeyUse::kRead, kAnyType, ""},
    {"alpha_pattern", KeyUse::kRead, kAnyType, ""},
    {"arrow_config", KeyUse::kRefusedUnlessNull, kObjectOrNull,
     "Arrow routes each token to other adapters"},
    {"bias", KeyUse::kRead, kAnyType, ""},
    {"corda_config", KeyUse::kTraining, kObjectOrNull, ""},
    {"ensure_weight_tying", KeyUse::kRead, kAnyType, ""},
    {"eva_config", KeyUse::kTraining, kObjectOrNull, ""},
    {"exclude_modules", KeyUse::kRead, kAnyType, ""},
    {"fan_in_fan_out", KeyUse::kRead, kAnyType, ""},
    {"init_lora_weights", KeyUse::kRead, kAnyType, ""},
    {"kasa_config", KeyUse::kRefusedUnlessNull, kObjectOrNull,
     "KaSA truncates the base weights and scales each rank"},
    {"layer_replication", KeyUse::kRead, kAnyType, ""},
    {"layers_pattern", KeyUse::kRead, kAnyType, ""},
    {"layers_to_transform", KeyUse::kRead, kAnyType, ""},
    {"loftq_config", KeyUse::kTraining, kObjectOrNull, ""},
    {"lora_alpha", KeyUse::kRead, kAnyType, ""},
    {"lora_bias", KeyUse::kRead, kAnyType, ""},
    {"lora_dropout", KeyUse::kTraining, kNumberType, ""},
    {"lora_ga_config", KeyUse::kTraining, kObjectOrNull, ""},
    {"megatron_config", KeyUse::kRefusedUnlessEmpty, kObjectOrNull,
     "the adapter is for Megatron's parallel linears"},
    {"megatron_core", KeyUse::kTraining, kStringOrNull, ""},
    {"modules_to_save", KeyUse::kRead, kAnyType, ""},
    {"monteclora_config", KeyUse::kNoted, kObjectOrNull,
     "MonteCLoRA samples in training only; its own tensors are not used"},
    {"qalora_group_size", KeyUse::kTraining, kNumberType | kNullType, ""},
    {"r", KeyUse::kRead, kAnyType, ""},
    {"rank_pattern", KeyUse::kRead, kAnyType, ""},
    {"runtime_config", KeyUse::kNoted, kAnyType,
     "only has a meaning in the process that wrote it and is ignored"},
    {"target_modules", KeyUse::kRead, kAnyType, ""},
    {"target_parameters", KeyUse::kRead, kAnyType, ""},
    {"trainable_token_indices", KeyUse::kRead, kAnyType, ""},
    {"use_bdlora", KeyUse::kRefusedUnlessNull, kObjectOrNull,
     "BD-LoRA's factors are block-diagonal"},
    {"use_dora", KeyUse::kRead, kAnyType, ""},
    {"use_qalora", KeyUse::kRefusedUnlessEmpty, kFlag,
     "QA-LoRA averages groups of inputs"},
    {"use_rslora", KeyUse::kRead, kAnyType, ""},
    {"velora_config", KeyUse::kNoted, kObjectOrNull,
     "VeLoRA compresses gradients in training only"},
};

// AdaLoRA has all of LoRA's keys and ignores many.
constexpr ConfigKey kAdaLoraKeys[] = {
    {"alora_invocation_tokens", KeyUse::kNoted, kListOrNull, kIgnored},
    {"alpha_pattern", KeyUse::kNoted, kObjectOrNull, kIgnored},
    {"beta1", KeyUse::kTraining, kNumberType, ""},
    {"beta2", KeyUse::kTraining, kNumberType, ""},
    {"deltaT", KeyUse::kTraining, kNumberType, ""},
    {"init_lora_weights", KeyUse::kTraining, kFlag | kStringType, ""},
    {"init_r", KeyUse::kRead, kAnyType, ""},
    {"loftq_config", KeyUse::kRead, kAnyType, ""},
    {"lora_bias", KeyUse::kNoted, kFlag, kIgnored},
    {"orth_reg_weight", KeyUse::kTraining, kNumberType, ""},
    {"target_r", KeyUse::kTraining, kNumberType, ""},
    {"tfinal", KeyUse::kTraining, kNumberType, ""},
    {"tinit", KeyUse::kTraining, kNumberType, ""},
    {"total_step", KeyUse::kTraining, kNumberType | kNullType, ""},
    {"use_rslora", KeyUse::kNoted, kFlag, kIgnored},
};

constexpr ConfigKey kIa3Keys[] = {
    {"exclude_modules", KeyUse::kRead, kAnyType, ""},
    {"fan_in_fan_out", KeyUse::kRead, kAnyType, ""},
    {"feedforward_modules", KeyUse::kRead, kAnyType, ""},
    {"init_ia3_weights", KeyUse::kTraining, kFlag, ""},
    {"modules_to_save", KeyUse::kRead, kAnyType, ""},
    {"target_modules", KeyUse::kRead, kAnyType, ""},
};

}  // namespace

ConfigKeys LoraKeys() { return kLoraKeys; }
ConfigKeys AdaLoraKeys() { return kAdaLoraKeys; }
ConfigKeys Ia3Keys() { return kIa3Keys; }

}  // namespace peft
