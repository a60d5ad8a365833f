// What the tables of a model are indexed with, for the tokens of a chunk.
#ifndef PEFT_CC_MODELS_CHUNK_TOKENS_H_
#define PEFT_CC_MODELS_CHUNK_TOKENS_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peft_cc/models/description.h"
#include "peft_cc/models/forward_batch.h"

namespace peft {

// Ids, positions and token types, batch row after batch row in the order of the
// plans. Thread-compatible.
class ChunkTokens {
 public:
  // Makes room for chunks of `tokens` tokens. RESOURCE_EXHAUSTED
  // (OUT_OF_MEMORY), with `purpose` as FloatBuffer::Reserve has it.
  absl::Status Reserve(int64_t tokens, absl::string_view purpose);

  // Reads what `batch` says of the chunk's tokens, for which there must be
  // room. Positions that it leaves out are counted on from `cached` tokens.
  void Gather(const ForwardBatch& batch, const ForwardChunk& chunk,
              int64_t cached);

  // Those of the last Gather, by token.
  const int64_t* IndexesOf(TokenSource source) const;
  absl::Span<const int64_t> positions() const {
    return {positions_.get(), static_cast<size_t>(tokens_)};
  }

 private:
  int64_t reserved_ = 0;
  int64_t tokens_ = 0;
  std::unique_ptr<int64_t[]> ids_;
  std::unique_ptr<int64_t[]> positions_;
  std::unique_ptr<int64_t[]> token_types_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_CHUNK_TOKENS_H_
