// Weights in the SDK's own blocks, as `peft quantize` writes them.
#ifndef PEFT_CC_MODELS_BLOCK_WEIGHTS_H_
#define PEFT_CC_MODELS_BLOCK_WEIGHTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What weights are made to when a model is opened. Values are part of the C ABI
// (`PEFT_WEIGHT_FORMAT_*`).
enum class WeightFormat : int32_t {
  kAsStored = 0,
  kQ8 = 1,  // 8 bits and a scale for each 32
  kQ4 = 2,  // 4 bits and a scale for each 32
};

// Memory for the codes of many weights in one piece, so that it is in huge
// pages, which decoding reads twice as fast. It lives as long as some of them.
class CodeMemory {
 public:
  // Bytes that the codes and scales of `weight` take.
  static int64_t SizeOf(const Tensor& weight, WeightFormat format);
  // Room for as many bytes. RESOURCE_EXHAUSTED (OUT_OF_MEMORY) without.
  static absl::StatusOr<CodeMemory> Create(int64_t size);

  // The next `size` bytes, from a cache line on. They must be there.
  std::shared_ptr<uint8_t> Take(int64_t size);

 private:
  explicit CodeMemory(std::shared_ptr<uint8_t> rest) : rest_(std::move(rest)) {}

  std::shared_ptr<uint8_t> rest_;
};

// The codes of a matrix of F32, BF16 or F16 whose rows are whole blocks, in
// `memory`. INVALID_ARGUMENT (MODEL_WEIGHTS) where `name`, as it is called in
// messages, holds a NaN or an infinity.
absl::StatusOr<Tensor> QuantizeWeight(const std::string& name,
                                      const Tensor& weight, WeightFormat format,
                                      kernels::ThreadPool& pool,
                                      CodeMemory& memory);

// What a file has of a quantised weight under "X" and "X.scales", sharing its
// memory.
Tensor StoredCodes(const Tensor& weight);
Tensor StoredScales(const Tensor& weight);

// Puts a matrix of codes under "X" in the place of each "X" and "X.scales".
// INVALID_ARGUMENT (MODEL_WEIGHTS) names a tensor that is wrong.
absl::Status AssembleBlocks(TensorMap& tensors);

}  // namespace peft

#endif  // PEFT_CC_MODELS_BLOCK_WEIGHTS_H_
