// Parses configs that strangers wrote, and matches them with a few modules.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/config/lora_ranks.h"
#include "peft_cc/config/target_matcher.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto strict = peft::ParseAdapterConfig(text);
  peft::AdapterConfigOptions options;
  options.lenient = true;
  options.inspect_only = true;
  const auto config = peft::ParseAdapterConfig(text, options);
  if (strict.ok() && !config.ok()) std::abort();
  if (!config.ok() || !config->lora.has_value()) return 0;
  const std::vector<peft::ModuleInfo> modules = {
      {"", false, false},
      {"model.embed_tokens", false, false},
      {"model.layers.0.self_attn", false, false},
      {"model.layers.0.self_attn.q_proj", true, false},
      {"model.layers.11.mlp.down_proj", true, false},
      {"lm_head", true, true},
  };
  std::vector<std::string> notes;
  const auto names = peft::MatchTargets(config->targets, config->base.peft_type,
                                        modules, "llama", &notes);
  if (!names.ok()) return 0;
  const auto ranks = peft::FindLoraRanks(*config->lora, *names, &notes);
  if (!ranks.ok()) return 0;
  for (const peft::LoraRank& rank : *ranks) {
    if (rank.r < 1) std::abort();
  }
  return 0;
}
