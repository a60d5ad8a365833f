#include "peft_cc/models/decoder_family.h"

namespace peft {
namespace {

DecoderFamily Llama() {
  DecoderFamily family;
  family.model_type = "llama";
  family.intermediate_size = 11008;
  family.max_position_embeddings = 2048;
  family.heads_divide_hidden = true;
  family.reads_attention_bias = true;
  family.reads_mlp_bias = true;
  family.eos_token_ids = {2};
  return family;
}

DecoderFamily Mistral() {
  DecoderFamily family;
  family.model_type = "mistral";
  family.intermediate_size = 14336;
  family.num_key_value_heads = 8;
  family.max_position_embeddings = 131072;
  family.windows = WindowRule::kAllLayers;
  family.eos_token_ids = {2};
  return family;
}

DecoderFamily Qwen2() {
  DecoderFamily family;
  family.model_type = "qwen2";
  family.vocab_size = 151936;
  family.intermediate_size = 22016;
  family.num_key_value_heads = 32;
  family.max_position_embeddings = 32768;
  family.always_qkv_bias = true;
  family.windows = WindowRule::kByLayer;
  return family;
}

DecoderFamily Qwen3() {
  DecoderFamily family = Qwen2();
  family.model_type = "qwen3";
  family.head_dim = 128;
  family.always_qkv_bias = false;
  family.reads_attention_bias = true;
  family.qk_norm = true;
  return family;
}

}  // namespace

absl::Span<const DecoderFamily> DecoderFamilies() {
  static const auto& families =
      *new std::vector<DecoderFamily>{Llama(), Mistral(), Qwen2(), Qwen3()};
  return families;
}

}  // namespace peft
