#include "peft_cc/models/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr char kPurpose[] = "the KV cache";
// Smaller steps would only make the first tokens of a sequence slower.
constexpr int64_t kMinCapacity = 64;

// Rows of a wider buffer to rows without gaps.
void CopyRows(const kernels::ConstRows& rows, float* destination) {
  for (int64_t i = 0; i < rows.rows; ++i) {
    std::memcpy(destination + i * rows.cols, rows.data + i * rows.stride,
                rows.cols * sizeof(float));
  }
}

}  // namespace

KvCache::KvCache(int num_layers, int64_t width)
    : width_(width), layers_(num_layers) {}

// Layers grow one after another, so that only one of them is in memory twice.
absl::Status KvCache::GrowLayer(Layer& layer, int64_t batch, int64_t capacity) {
  if (layer.batch == batch && layer.capacity >= capacity) {
    return absl::OkStatus();
  }
  const int64_t size = CheckedProduct({batch, capacity, width_});
  Layer grown;
  grown.batch = batch;
  grown.capacity = capacity;
  PEFT_RETURN_IF_ERROR(grown.keys.Reserve(size, kPurpose));
  PEFT_RETURN_IF_ERROR(grown.values.Reserve(size, kPurpose));
  for (int64_t row = 0; row < batch && length_ > 0; ++row) {
    const int64_t to = row * capacity * width_;
    const int64_t from = row * layer.capacity * width_;
    const size_t bytes = length_ * width_ * sizeof(float);
    std::memcpy(grown.keys.data() + to, layer.keys.data() + from, bytes);
    std::memcpy(grown.values.data() + to, layer.values.data() + from, bytes);
  }
  layer = std::move(grown);
  return absl::OkStatus();
}

absl::Status KvCache::GrowTokens(int64_t batch, int64_t capacity) {
  const int64_t size = CheckedProduct({batch, capacity});
  if (size < 0) return OutOfMemory(kPurpose);
  std::unique_ptr<uint8_t[]> mask(new (std::nothrow) uint8_t[size]);
  std::unique_ptr<int64_t[]> ids(new (std::nothrow) int64_t[size]);
  if (mask == nullptr || ids == nullptr) return OutOfMemory(kPurpose);
  for (int64_t row = 0; row < batch && length_ > 0; ++row) {
    std::copy_n(mask_.get() + row * capacity_, length_,
                mask.get() + row * capacity);
    std::copy_n(ids_.get() + row * capacity_, length_,
                ids.get() + row * capacity);
  }
  mask_ = std::move(mask);
  ids_ = std::move(ids);
  mask_batch_ = batch;
  capacity_ = capacity;
  return absl::OkStatus();
}

absl::Status KvCache::Reserve(int64_t batch, int64_t num_positions,
                              int64_t at_least) {
  if (mask_batch_ == batch && capacity_ >= num_positions) {
    return absl::OkStatus();
  }
  // Layers of two batch sizes must never pass for reserved, should growing one
  // of them fail.
  if (mask_batch_ != batch) mask_batch_ = 0;
  int64_t capacity = std::max(num_positions, at_least);
  if (at_least == 0) {
    capacity = std::max(kMinCapacity, num_positions + num_positions / 2);
  }
  for (Layer& layer : layers_) {
    PEFT_RETURN_IF_ERROR(GrowLayer(layer, batch, capacity));
  }
  return GrowTokens(batch, capacity);
}

int64_t KvCache::FindLast(int64_t row, absl::Span<const int64_t> tokens,
                          int64_t end) const {
  const int64_t* const begin = ids_.get() + row * capacity_;
  const int64_t* const last = begin + end;
  const int64_t* const found =
      std::find_end(begin, last, tokens.begin(), tokens.end());
  return found == last ? -1 : found - begin;
}

void KvCache::Write(int layer, int64_t row, int64_t first,
                    const kernels::ConstRows& keys,
                    const kernels::ConstRows& values) {
  Layer& target = layers_[layer];
  const int64_t offset = (row * target.capacity + first) * width_;
  CopyRows(keys, target.keys.data() + offset);
  CopyRows(values, target.values.data() + offset);
}

kernels::KvView KvCache::View(int layer, int64_t row, bool masked) const {
  const Layer& source = layers_[layer];
  const int64_t offset = row * source.capacity * width_;
  kernels::KvView view;
  view.keys = source.keys.data() + offset;
  view.values = source.values.data() + offset;
  view.stride = width_;
  view.mask = masked ? mask(row) : nullptr;
  return view;
}

void KvCache::Commit(int64_t batch, int64_t num_positions, bool has_padding) {
  batch_ = batch;
  length_ += num_positions;
  has_padding_ = has_padding_ || has_padding;
}

void KvCache::Clear() {
  batch_ = 0;
  length_ = 0;
  has_padding_ = false;
}

}  // namespace peft
