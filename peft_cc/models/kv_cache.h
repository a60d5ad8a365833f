// Keys and values of the positions that a session has seen.
#ifndef PEFT_CC_MODELS_KV_CACHE_H_
#define PEFT_CC_MODELS_KV_CACHE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/nn.h"
#include "kernels/view.h"
#include "peft_cc/models/float_buffer.h"

namespace peft {

// f32 keys and values per layer and batch row, position-major, and per row the
// tokens and which positions are padding. Positions from length() on are
// scratch: a forward writes them and commits when it is through, so that one
// that fails has changed nothing. Thread-compatible.
class KvCache {
 public:
  // `width` is kv_heads * head_dim.
  KvCache(int num_layers, int64_t width);

  int64_t batch() const { return batch_; }    // 0 while empty
  int64_t length() const { return length_; }  // committed positions
  // Positions that there is room for.
  int64_t capacity() const { return capacity_; }
  // Whether any committed position is masked.
  bool has_padding() const { return has_padding_; }

  // Makes room for positions [0, num_positions) of `batch` rows, keeping what
  // is committed. Reserves `at_least` positions, or half more than what is
  // asked for when that is 0, so that a growing sequence rarely copies.
  // `batch` is batch() unless the cache is empty. RESOURCE_EXHAUSTED
  // (OUT_OF_MEMORY) leaves the cache as it was.
  absl::Status Reserve(int64_t batch, int64_t num_positions, int64_t at_least);

  // Copies `keys` and `values` to positions `first` and following of batch row
  // `row` of `layer`.
  void Write(int layer, int64_t row, int64_t first,
             const kernels::ConstRows& keys, const kernels::ConstRows& values);

  // The token at position `position` of batch row `row`, and whether it may be
  // attended to.
  void WriteToken(int64_t row, int64_t position, int64_t id, bool visible) {
    ids_[row * capacity_ + position] = id;
    mask_[row * capacity_ + position] = visible;
  }

  // Where `tokens` last stand in sequence among the first `end` written tokens
  // of batch row `row`: their first position, or -1.
  int64_t FindLast(int64_t row, absl::Span<const int64_t> tokens,
                   int64_t end) const;

  // The mask of batch row `row`.
  const uint8_t* mask(int64_t row) const {
    return mask_.get() + row * capacity_;
  }

  // What attention of `layer` reads of batch row `row`; without the mask
  // unless `masked`, for speed where there is no padding.
  kernels::KvView View(int layer, int64_t row, bool masked) const;

  // Makes `num_positions` more positions of `batch` rows part of the cache.
  void Commit(int64_t batch, int64_t num_positions, bool has_padding);

  // Forgets all positions; keeps the memory.
  void Clear();

 private:
  struct Layer {
    FloatBuffer keys;    // (batch, capacity, width)
    FloatBuffer values;  // the same
    int64_t batch = 0;
    int64_t capacity = 0;  // may be ahead of the cache's after a failed growth
  };

  absl::Status GrowLayer(Layer& layer, int64_t batch, int64_t capacity);
  absl::Status GrowTokens(int64_t batch, int64_t capacity);

  int64_t width_;
  std::vector<Layer> layers_;
  std::unique_ptr<uint8_t[]> mask_;  // (mask_batch_, capacity_)
  std::unique_ptr<int64_t[]> ids_;   // the same
  int64_t mask_batch_ = 0;
  int64_t batch_ = 0;
  int64_t length_ = 0;
  int64_t capacity_ = 0;
  bool has_padding_ = false;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_KV_CACHE_H_
