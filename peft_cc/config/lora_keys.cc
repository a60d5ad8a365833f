#include "peft_cc/config/lora_keys.h"

namespace peft {
namespace {

// What kRead keys may hold is checked where they are read.
constexpr ConfigKey kKeys[] = {
    {"alora_invocation_tokens", KeyUse::kRefusedUnlessEmpty, kListOrNull,
     "activated LoRA starts at its invocation tokens"},
    {"alpha_pattern", KeyUse::kRead, kAnyType, ""},
    {"arrow_config", KeyUse::kRefusedUnlessNull, kObjectOrNull,
     "Arrow routes each token to other adapters"},
    {"auto_mapping", KeyUse::kTraining, kObjectOrNull, ""},
    {"base_model_name_or_path", KeyUse::kRead, kAnyType, ""},
    {"bias", KeyUse::kRead, kAnyType, ""},
    {"corda_config", KeyUse::kTraining, kObjectOrNull, ""},
    {"ensure_weight_tying", KeyUse::kRead, kAnyType, ""},
    {"eva_config", KeyUse::kTraining, kObjectOrNull, ""},
    {"exclude_modules", KeyUse::kRead, kAnyType, ""},
    {"fan_in_fan_out", KeyUse::kRead, kAnyType, ""},
    {"inference_mode", KeyUse::kRead, kAnyType, ""},
    {"init_lora_weights", KeyUse::kRead, kAnyType, ""},
    {"kasa_config", KeyUse::kRefusedUnlessNull, kObjectOrNull,
     "KaSA truncates the base weights and scales each rank"},
    {"layer_replication", KeyUse::kRefusedUnlessEmpty, kListOrNull,
     "the base model's layers are replicated"},
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
    {"peft_type", KeyUse::kRead, kAnyType, ""},
    {"peft_version", KeyUse::kRead, kAnyType, ""},
    {"qalora_group_size", KeyUse::kTraining, kNumberType | kNullType, ""},
    {"r", KeyUse::kRead, kAnyType, ""},
    {"rank_pattern", KeyUse::kRead, kAnyType, ""},
    {"revision", KeyUse::kTraining, kStringOrNull, ""},
    {"runtime_config", KeyUse::kNoted, kAnyType,
     "only has a meaning in the process that wrote it and is ignored"},
    {"target_modules", KeyUse::kRead, kAnyType, ""},
    {"target_parameters", KeyUse::kRead, kAnyType, ""},
    {"task_type", KeyUse::kRead, kAnyType, ""},
    {"trainable_token_indices", KeyUse::kRead, kAnyType, ""},
    {"use_bdlora", KeyUse::kRefusedUnlessNull, kObjectOrNull,
     "BD-LoRA's factors are block-diagonal"},
    {"use_dora", KeyUse::kRefusedUnlessEmpty, kFlag,
     "DoRA rescales the base weights by a learned magnitude"},
    {"use_qalora", KeyUse::kRefusedUnlessEmpty, kFlag,
     "QA-LoRA averages groups of inputs"},
    {"use_rslora", KeyUse::kRead, kAnyType, ""},
    {"velora_config", KeyUse::kNoted, kObjectOrNull,
     "VeLoRA compresses gradients in training only"},
};

}  // namespace

ConfigKeys LoraKeys() { return kKeys; }

}  // namespace peft
