// A Llama of 135M parameters (SmolLM's shape) with random weights, and a LoRA
// adapter of r = 16 on all seven linears of each layer, as folders.
#ifndef BENCHMARKS_LLAMA_FOLDERS_H_
#define BENCHMARKS_LLAMA_FOLDERS_H_

#include <cstdint>
#include <string>

#include "peft_cc/base/dtype.h"

namespace peft {

// How a base's weights are stored.
enum class BaseKind {
  kF32,
  kBF16,
  kNF4,  // as bitsandbytes has it; head, embedding and norms in bf16
  kQ4,   // as `peft quantize` makes it of bf16, head included
  kQ8,
};

// Folders of their own below the temporary folder, removed with the object.
class LlamaFolders {
 public:
  explicit LlamaFolders(BaseKind kind, DType adapter_dtype = DType::kF32);
  LlamaFolders(const LlamaFolders&) = delete;
  LlamaFolders& operator=(const LlamaFolders&) = delete;
  ~LlamaFolders();

  std::string base() const { return folder_ + "/base"; }
  std::string adapter() const { return folder_ + "/adapter"; }
  int64_t adapter_bytes() const { return adapter_bytes_; }

 private:
  void WriteBase(BaseKind kind, const std::string& path);
  void WriteQuantizedBase(BaseKind kind);
  void WriteAdapter(DType dtype);

  std::string folder_;
  int64_t adapter_bytes_ = 0;
};

// Floating-point operations of a forward of `tokens` tokens from an empty cache
// with logits of the last one only: those of all matrix products, half of the
// attention's square included.
double ForwardFlops(int64_t tokens, bool with_adapter);

}  // namespace peft

#endif  // BENCHMARKS_LLAMA_FOLDERS_H_
