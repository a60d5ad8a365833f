#include "peft_cc/config/default_targets.h"

#include <optional>
#include <string>

#include "absl/strings/str_split.h"

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

}  // namespace

std::optional<ModuleSelector> DefaultTargets(absl::string_view peft_type,
                                             absl::string_view model_type) {
  if (peft_type != "LORA") return std::nullopt;
  for (const DefaultTargetsEntry& entry : kLora) {
    if (entry.model_type != model_type) continue;
    ModuleSelector selector;
    selector.is_regex = model_type == "gemma4";
    if (selector.is_regex) {
      selector.regex = std::string(entry.targets);
    } else {
      selector.names = absl::StrSplit(entry.targets, ',');
    }
    return selector;
  }
  return std::nullopt;
}

}  // namespace peft
