// Any bytes as a config.json, also where a program has chosen the head, and as
// a generation_config.json after it.
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "peft_cc/models/model_family.h"
#include "peft_cc/models/rope.h"

namespace {

// What was accepted can be described, whatever the weight files hold.
void Describe(peft::FamilyConfig config, bool has_weights) {
  const peft::ModelConfig& core = peft::CoreOf(config);
  if (core.num_hidden_layers > 4) return;
  const peft::Description description = peft::DescribeModel(
      [&](const std::string&) { return has_weights; }, config);
  for (const peft::BufferInfo& buffer : description.buffers) {
    if (buffer.width < 1) __builtin_trap();
  }
  for (const peft::WeightInfo& weight : description.weights) {
    for (const int64_t size : weight.shape) {
      if (size < 1) __builtin_trap();
    }
  }
  const bool has_logits = description.logits_buffer >= 0;
  if (has_logits != (core.task != peft::ModelTask::kBase)) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = peft::ParseModelConfig(text, "config.json");
  if (config.ok()) {
    const peft::ModelConfig& core = peft::CoreOf(*config);
    if (core.positions == peft::PositionKind::kRotary) {
      peft::RopeFrequencies rope(core.rope, core.head_dim,
                                 core.max_position_embeddings);
      if (!rope.IsFinite()) __builtin_trap();
    }
    Describe(*config, false);
    Describe(*config, true);
  }
  peft::HeadChoice head;
  head.task = peft::ModelTask::kSequenceClassification;
  const auto chosen = peft::ParseModelConfig(text, "config.json", head);
  if (chosen.ok()) Describe(*chosen, false);
  peft::ModelConfig tokens;
  (void)peft::ApplyGenerationConfig(text, "generation_config.json", tokens);
  return 0;
}
