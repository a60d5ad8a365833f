#include "peft_cc/models/chunk_tokens.h"

#include <new>
#include <utility>

#include "peft_cc/models/float_buffer.h"

namespace peft {

absl::Status ChunkTokens::Reserve(int64_t tokens, absl::string_view purpose) {
  if (tokens <= reserved_) return absl::OkStatus();
  std::unique_ptr<int64_t[]> ids(new (std::nothrow) int64_t[tokens]);
  std::unique_ptr<int64_t[]> positions(new (std::nothrow) int64_t[tokens]);
  std::unique_ptr<int64_t[]> token_types(new (std::nothrow) int64_t[tokens]);
  if (ids == nullptr || positions == nullptr || token_types == nullptr) {
    return OutOfMemory(purpose);
  }
  ids_ = std::move(ids);
  positions_ = std::move(positions);
  token_types_ = std::move(token_types);
  reserved_ = tokens;
  return absl::OkStatus();
}

void ChunkTokens::Gather(const ForwardBatch& batch, const ForwardChunk& chunk,
                         int64_t cached) {
  tokens_ = chunk.tokens();
  for (int64_t i = 0; i < tokens_; ++i) {
    const int64_t row = chunk.first_row + i / chunk.length;
    const int64_t position = chunk.first + i % chunk.length;
    const int64_t from = batch.plans->RowAt(row) * batch.length + position;
    ids_[i] = batch.ids[from];
    positions_[i] = batch.position_ids == nullptr ? cached + position
                                                  : batch.position_ids[from];
    token_types_[i] =
        batch.token_type_ids == nullptr ? 0 : batch.token_type_ids[from];
  }
}

const int64_t* ChunkTokens::IndexesOf(TokenSource source) const {
  switch (source) {
    case TokenSource::kPositions:
      return positions_.get();
    case TokenSource::kTokenTypes:
      return token_types_.get();
    case TokenSource::kIds:
      break;
  }
  return ids_.get();
}

}  // namespace peft
