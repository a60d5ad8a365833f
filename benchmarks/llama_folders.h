// A Llama of 135M parameters (SmolLM's shape) with random weights, and a LoRA
// adapter of r = 16 on all seven linears of each layer, as folders.
#ifndef BENCHMARKS_LLAMA_FOLDERS_H_
#define BENCHMARKS_LLAMA_FOLDERS_H_

#include <cstdint>
#include <string>

#include "peft_cc/base/dtype.h"

namespace peft {

// Folders of their own below the temporary folder, removed with the object.
class LlamaFolders {
 public:
  // The base's weights are of `dtype`, F32 or BF16, the adapter's F32.
  explicit LlamaFolders(DType dtype);
  LlamaFolders(const LlamaFolders&) = delete;
  LlamaFolders& operator=(const LlamaFolders&) = delete;
  ~LlamaFolders();

  std::string base() const { return folder_ + "/base"; }
  std::string adapter() const { return folder_ + "/adapter"; }
  // Bytes of weights that one token reads: all of them, as the head is tied to
  // the embedding.
  int64_t base_bytes() const { return base_bytes_; }
  int64_t adapter_bytes() const { return adapter_bytes_; }

 private:
  void WriteBase(DType dtype);
  void WriteAdapter();

  std::string folder_;
  int64_t base_bytes_ = 0;
  int64_t adapter_bytes_ = 0;
};

// Floating-point operations of a forward of `tokens` tokens from an empty cache
// with logits of the last one only: those of all matrix products, half of the
// attention's square included.
double ForwardFlops(int64_t tokens, bool with_adapter);

}  // namespace peft

#endif  // BENCHMARKS_LLAMA_FOLDERS_H_
