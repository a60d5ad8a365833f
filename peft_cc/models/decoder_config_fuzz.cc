// Any bytes as a config.json, and as a generation_config.json after it.
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "peft_cc/models/decoder_config.h"
#include "peft_cc/models/description.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = peft::ParseDecoderConfig(text, "config.json");
  if (config.ok()) {
    // What was accepted can be described.
    if (config->num_hidden_layers <= 4) peft::DescribeDecoder(*config);
    peft::RopeFrequencies rope(config->rope, config->head_dim,
                               config->max_position_embeddings);
    if (!rope.IsFinite()) __builtin_trap();
  }
  peft::DecoderConfig tokens;
  (void)peft::ApplyGenerationConfig(text, "generation_config.json", tokens);
  return 0;
}
