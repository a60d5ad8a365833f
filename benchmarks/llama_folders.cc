#include "benchmarks/llama_folders.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/models/model.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {
namespace {

constexpr int kLayers = 30;
constexpr int64_t kHidden = 576;
constexpr int64_t kVocabulary = 49152;
constexpr int64_t kRank = 16;

struct Linear {
  const char* name;
  int64_t in;
  int64_t out;
};
constexpr Linear kLinears[] = {
    {"self_attn.q_proj", 576, 576}, {"self_attn.k_proj", 576, 192},
    {"self_attn.v_proj", 576, 192}, {"self_attn.o_proj", 576, 576},
    {"mlp.gate_proj", 576, 1536},   {"mlp.up_proj", 576, 1536},
    {"mlp.down_proj", 1536, 576},
};

constexpr char kBaseConfig[] = R"({
  "architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
  "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
  "head_dim": 64, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
  "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true})";
constexpr char kAdapterConfig[] = R"({
  "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 16, "lora_alpha": 32,
  "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                     "up_proj", "down_proj"]})";

void Check(bool ok) {
  if (!ok) std::abort();
}

// Small values that differ: what they are does not matter, as long as no sum
// overflows or becomes subnormal.
Tensor RandomTensor(DType dtype, std::vector<int64_t> shape) {
  static std::minstd_rand random(1);
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(dtype, std::move(shape), &data);
  std::vector<float> values(tensor.num_elements());
  for (float& value : values) {
    value = (static_cast<float>(random() % 4096) - 2048) * 1e-5f;
  }
  Check(ConvertFromF32(values.data(), tensor.num_elements(), dtype, data));
  return tensor;
}

// Returns the bytes of all tensors.
int64_t Write(const std::string& folder, const std::string& name,
              const TensorMap& tensors) {
  int64_t bytes = 0;
  for (const auto& entry : tensors) bytes += entry.second.size_bytes();
  Check(WriteSafetensors(absl::StrCat(folder, "/", name), tensors, {}).ok());
  return bytes;
}

Tensor Bytes(int64_t count, const char* text = nullptr) {
  static std::minstd_rand random(2);
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kU8, {count}, &data);
  auto* const bytes = static_cast<uint8_t*>(data);
  for (int64_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<uint8_t>(text == nullptr ? random() >> 8 : text[i]);
  }
  return tensor;
}

// A weight as bitsandbytes stores it, with scales that are quantised too.
void AddNF4(const std::string& name, int64_t out, int64_t in,
            TensorMap& tensors) {
  const int64_t blocks = out * in / 64;
  const std::string state = absl::StrCat(
      R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", )",
      R"("shape": [)", out, ", ", in, R"(], "nested_blocksize": 256, )",
      R"("nested_dtype": "float32", "nested_offset": 0.02})");
  tensors[name] = Bytes(out * in / 2);
  tensors[name + ".absmax"] = Bytes(blocks);
  tensors[name + ".quant_map"] = RandomTensor(DType::kF32, {16});
  tensors[name + ".nested_absmax"] =
      RandomTensor(DType::kF32, {(blocks + 255) / 256});
  tensors[name + ".nested_quant_map"] = RandomTensor(DType::kF32, {256});
  tensors[name + ".quant_state.bitsandbytes__nf4"] =
      Bytes(static_cast<int64_t>(state.size()), state.c_str());
}

std::string WithBitsAndBytes(std::string config) {
  config.pop_back();
  return config + R"(, "quantization_config": {"quant_method": "bitsandbytes",
    "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}})";
}

}  // namespace

LlamaFolders::LlamaFolders(BaseKind kind, DType adapter_dtype)
    : folder_(std::filesystem::temp_directory_path().string() +
              "/peft_llama_XXXXXX") {
  Check(mkdtemp(folder_.data()) != nullptr);
  if (kind == BaseKind::kQ4 || kind == BaseKind::kQ8) {
    WriteQuantizedBase(kind);
  } else {
    WriteBase(kind, base());
  }
  WriteAdapter(adapter_dtype);
}

LlamaFolders::~LlamaFolders() {
  std::error_code error;  // What cannot be removed stays.
  std::filesystem::remove_all(folder_, error);
}

void LlamaFolders::WriteQuantizedBase(BaseKind kind) {
  const std::string plain = folder_ + "/plain";
  WriteBase(BaseKind::kBF16, plain);
  ModelOptions options;
  options.weight_format =
      kind == BaseKind::kQ4 ? WeightFormat::kQ4 : WeightFormat::kQ8;
  options.quantize_head = true;
  absl::StatusOr<std::unique_ptr<Model>> model = Model::Open(plain, options);
  Check(model.ok());
  Check((*model)->WriteQuantized(base(), nullptr).ok());
  std::filesystem::remove_all(plain);
}

void LlamaFolders::WriteBase(BaseKind kind, const std::string& path) {
  const DType dtype = kind == BaseKind::kF32 ? DType::kF32 : DType::kBF16;
  std::filesystem::create_directory(path);
  std::ofstream(path + "/config.json")
      << (kind == BaseKind::kNF4 ? WithBitsAndBytes(kBaseConfig) : kBaseConfig);
  TensorMap tensors;
  tensors["model.embed_tokens.weight"] =
      RandomTensor(dtype, {kVocabulary, kHidden});
  tensors["model.norm.weight"] = RandomTensor(dtype, {kHidden});
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    for (const Linear& linear : kLinears) {
      const std::string name = absl::StrCat(prefix, linear.name, ".weight");
      if (kind == BaseKind::kNF4) {
        AddNF4(name, linear.out, linear.in, tensors);
      } else {
        tensors[name] = RandomTensor(dtype, {linear.out, linear.in});
      }
    }
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
      tensors[absl::StrCat(prefix, norm, ".weight")] =
          RandomTensor(dtype, {kHidden});
    }
  }
  Write(path, "model.safetensors", tensors);
}

void LlamaFolders::WriteAdapter(DType dtype) {
  std::filesystem::create_directory(adapter());
  std::ofstream(adapter() + "/adapter_config.json") << kAdapterConfig;
  TensorMap tensors;
  for (int layer = 0; layer < kLayers; ++layer) {
    for (const Linear& linear : kLinears) {
      const std::string prefix = absl::StrCat("base_model.model.model.layers.",
                                              layer, ".", linear.name);
      tensors[prefix + ".lora_A.weight"] =
          RandomTensor(dtype, {kRank, linear.in});
      tensors[prefix + ".lora_B.weight"] =
          RandomTensor(dtype, {linear.out, kRank});
    }
  }
  adapter_bytes_ = Write(adapter(), "adapter_model.safetensors", tensors);
}

double ForwardFlops(int64_t tokens, bool with_adapter) {
  double per_token = 0;
  for (const Linear& linear : kLinears) {
    per_token += static_cast<double>(linear.in * linear.out);
    if (with_adapter) {
      per_token += static_cast<double>(kRank * (linear.in + linear.out));
    }
  }
  // Scores and weighted values: each of width kHidden over half the square.
  const double attention = static_cast<double>(tokens * tokens * kHidden);
  return 2 * (kLayers * (static_cast<double>(tokens) * per_token + attention) +
              static_cast<double>(kVocabulary * kHidden));
}

}  // namespace peft
