#include "peft_cc/config/default_targets.h"

#include <optional>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/types/span.h"

namespace peft {
namespace {

struct DefaultTargetsEntry {
  absl::string_view model_type;
  absl::string_view targets;  // with commas between; a regex for gemma4
};

constexpr DefaultTargetsEntry kLora[] = {
    {"bart", "q_proj,v_proj"},
    {"bert", "query,value"},
    {"blip-2", "q,v,q_proj,v_proj"},
    {"bloom", "query_key_value"},
    {"btlm", "c_proj,c_attn"},
    {"chatglm", "query_key_value"},
    {"codegen", "qkv_proj"},
    {"deberta", "in_proj"},
    {"deberta-v2", "query_proj,value_proj"},
    {"electra", "query,value"},
    {"falcon", "query_key_value"},
    {"gemma", "q_proj,v_proj"},
    {"gemma2", "q_proj,v_proj"},
    {"gemma3_text", "q_proj,v_proj"},
    {"gemma4", R"(.*language_model\..*\.(q_proj|v_proj))"},
    {"gpt2", "c_attn"},
    {"gpt_bigcode", "c_attn"},
    {"gpt_neo", "q_proj,v_proj"},
    {"gpt_neox", "query_key_value"},
    {"gptj", "q_proj,v_proj"},
    {"layoutlm", "query,value"},
    {"llama", "q_proj,v_proj"},
    {"llama4", "q_proj,v_proj"},
    {"mistral", "q_proj,v_proj"},
    {"mixtral", "q_proj,v_proj"},
    {"mpt", "Wqkv"},
    {"mt5", "q,v"},
    {"nemotron_h", "q_proj,k_proj,v_proj,o_proj"},
    {"opt", "q_proj,v_proj"},
    {"phi", "q_proj,v_proj,fc1,fc2"},
    {"qwen2", "q_proj,v_proj"},
    {"qwen3", "q_proj,v_proj"},
    {"RefinedWeb", "query_key_value"},
    {"RefinedWebModel", "query_key_value"},
    {"roberta", "query,value"},
    {"rwkv", "key,value,receptance,output"},
    {"rwkv7", "r_proj,k_proj,v_proj,o_proj,key,value"},
    {"stablelm", "q_proj,v_proj"},
    {"t5", "q,v"},
    {"xlm-roberta", "query,value"},
};

constexpr DefaultTargetsEntry kAdaLora[] = {
    {"bart", "q_proj,k_proj,v_proj,out_proj,fc1,fc2"},
    {"bert", "query,value"},
    {"bloom", "query_key_value"},
    {"deberta", "in_proj"},
    {"deberta-v2", "query_proj,key_proj,value_proj,dense"},
    {"gemma", "q_proj,v_proj"},
    {"gemma2", "q_proj,v_proj"},
    {"gemma3_text", "q_proj,v_proj"},
    {"gemma4", R"(.*language_model\..*\.(q_proj|v_proj))"},
    {"gpt2", "c_attn"},
    {"gpt_bigcode", "c_attn"},
    {"gpt_neo", "q_proj,v_proj"},
    {"gpt_neox", "query_key_value"},
    {"gptj", "q_proj,v_proj"},
    {"llama", "q_proj,v_proj"},
    {"llama4", "q_proj,v_proj"},
    {"mt5", "q,k,v,o,wi_0,wi_1,wo"},
    {"nemotron_h", "q_proj,k_proj,v_proj,o_proj"},
    {"opt", "q_proj,k_proj,v_proj,out_proj,fc1,fc2"},
    {"qwen2", "q_proj,v_proj"},
    {"qwen3", "q_proj,v_proj"},
    {"roberta", "query,key,value,dense"},
    {"t5", "q,k,v,o,wi,wo"},
};

constexpr DefaultTargetsEntry kIa3[] = {
    {"bart", "q_proj,v_proj,fc2"},
    {"bert", "key,value,output.dense"},
    {"bloom", "query_key_value,mlp.dense_4h_to_h"},
    {"deberta", "in_proj,output.dense"},
    {"deberta-v2", "key_proj,value_proj,output.dense"},
    {"falcon", "query_key_value,dense_4h_to_h"},
    {"gemma", "q_proj,v_proj,down_proj"},
    {"gemma2", "q_proj,v_proj,down_proj"},
    {"gemma3_text", "q_proj,v_proj,down_proj"},
    {"gpt2", "c_attn,mlp.c_proj"},
    {"gpt_bigcode", "c_attn,mlp.c_proj"},
    {"gpt_neo", "q_proj,v_proj,c_proj"},
    {"gpt_neox", "query_key_value,dense_4h_to_h"},
    {"gptj", "q_proj,v_proj,fc_out"},
    {"llama", "k_proj,v_proj,down_proj"},
    {"llama4", "q_proj,v_proj,down_proj"},
    {"mistral", "k_proj,v_proj,down_proj"},
    {"mixtral", "k_proj,v_proj,w2"},
    {"mt5", "k,v,wi_1"},
    {"opt", "q_proj,k_proj,fc2"},
    {"phi", "q_proj,v_proj,fc2"},
    {"qwen2", "q_proj,v_proj,down_proj"},
    {"qwen3", "q_proj,v_proj,down_proj"},
    {"RefinedWeb", "query_key_value,dense_4h_to_h"},
    {"RefinedWebModel", "query_key_value,dense_4h_to_h"},
    {"roberta", "key,value,output.dense"},
    {"t5", "k,v,wo"},
};

constexpr DefaultTargetsEntry kIa3Feedforward[] = {
    {"bart", "fc2"},
    {"bert", "output.dense"},
    {"bloom", "mlp.dense_4h_to_h"},
    {"deberta", "output.dense"},
    {"deberta-v2", "output.dense"},
    {"falcon", "dense_4h_to_h"},
    {"gemma", "down_proj"},
    {"gemma2", "down_proj"},
    {"gemma3_text", "down_proj"},
    {"gpt2", "mlp.c_proj"},
    {"gpt_bigcode", "mlp.c_proj"},
    {"gpt_neo", "c_proj"},
    {"gpt_neox", "dense_4h_to_h"},
    {"gptj", "fc_out"},
    {"llama", "down_proj"},
    {"llama4", "down_proj"},
    {"mistral", "down_proj"},
    {"mixtral", "w2"},
    {"mt5", ""},
    {"opt", "fc2"},
    {"phi", "fc2"},
    {"qwen2", "down_proj"},
    {"qwen3", "down_proj"},
    {"RefinedWeb", "dense_4h_to_h"},
    {"RefinedWebModel", "dense_4h_to_h"},
    {"roberta", "output.dense"},
    {"t5", "wo"},
};

std::optional<ModuleSelector> Find(
    absl::Span<const DefaultTargetsEntry> defaults,
    absl::string_view model_type) {
  for (const DefaultTargetsEntry& entry : defaults) {
    if (entry.model_type != model_type) continue;
    ModuleSelector selector;
    selector.is_regex = model_type == "gemma4";
    if (selector.is_regex) {
      selector.regex = std::string(entry.targets);
    } else {
      selector.names = absl::StrSplit(entry.targets, ',', absl::SkipEmpty());
    }
    return selector;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ModuleSelector> DefaultTargets(absl::string_view peft_type,
                                             absl::string_view model_type) {
  if (peft_type == "LORA") return Find(kLora, model_type);
  if (peft_type == "ADALORA") return Find(kAdaLora, model_type);
  if (peft_type == "IA3") return Find(kIa3, model_type);
  return std::nullopt;
}

std::optional<ModuleSelector> DefaultFeedforward(absl::string_view model_type) {
  return Find(kIa3Feedforward, model_type);
}

}  // namespace peft
