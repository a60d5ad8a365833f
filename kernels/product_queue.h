// Products of a call that do not depend on each other, run together: one
// hand-out of work to the threads instead of one per product.
#ifndef KERNELS_PRODUCT_QUEUE_H_
#define KERNELS_PRODUCT_QUEUE_H_

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/even_mix.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// A row of x A^T in a workspace starts at a multiple of 64 bytes.
constexpr int64_t PaddedRank(int64_t rank) { return (rank + 15) / 16 * 16; }

// The term x W^T; `x_stride` is in floats.
cpu::Term TermOf(const MatrixView& weight, bool transposed, const float* x,
                 int64_t x_stride);

// Up to here reading the weights costs more than computing with them.
constexpr int64_t kFewRows = 8;

// Floats of workspace that PackInputs needs for a product of `rows` rows, or of
// fewer, with a weight: 0 for one that reads x itself.
int64_t PackedFloats(const MatrixView& weight, int64_t rows);

// Lays out the term's `rows` rows of x for its weight where that makes a
// product of few rows faster. Returns the end of what it used of the workspace.
// `earlier`, or null, is a term of as many rows whose layout is taken where it
// would be the same.
float* PackInputs(int64_t rows, float* workspace, const cpu::Term* earlier,
                  cpu::Term* term);

// Lives on the stack and allocates nothing. What is added runs at the latest
// with Run, which must be called last. Products do not depend on each other,
// but for those of a chain, each of which may need all before it in the chain,
// and those of later parts, which may need all of the parts before.
class ProductQueue {
 public:
  // Terms that one product has at most.
  static constexpr int kMaxTerms = 16;

  // `past_caches`: as in LinearTile, for all few rows.
  explicit ProductQueue(ThreadPool& pool, bool past_caches = false)
      : pool_(pool), past_caches_(past_caches) {}
  ProductQueue(const ProductQueue&) = delete;
  ProductQueue& operator=(const ProductQueue&) = delete;

  // Room for `count` (at most kMaxTerms) terms of the product that is added
  // next. Runs what is queued where there is no room left.
  cpu::Term* ReserveTerms(int count);

  // Adds the product over all rows and outputs of `tile`, with the terms
  // reserved before.
  void Add(const cpu::LinearTile& tile);

  // What is added between these is a chain, which one thread runs in order: few
  // rows, and not transposed.
  void BeginChain() { in_chain_ = is_head_ = true; }
  void EndChain() { in_chain_ = false; }

  // What is added from here on is a part that may need all before it.
  void BeginPart();

  // What is added from here on is chains that need nothing of what was added
  // before. They run between its pieces: where these compute more than they
  // read, as products of many rows do, they fetch the weights of chains.
  void BeginBetween();

  // Returns when all is computed.
  void Run();

  int num_threads() const { return pool_.num_threads(); }

 private:
  // Enough for three layers, as q, k and v are, of 64 groups of rows.
  static constexpr int kMaxProducts = 400;
  static constexpr int kAllTerms = 400;

  // A product over all outputs of one y, and how it is cut into pieces. Results
  // do not depend on the cut.
  struct Product {
    cpu::LinearTile all;
    bool few;
    bool in_chain;
    bool follows;  // the one before it in its chain, and has no pieces itself
    int64_t rows_at_once;
    int64_t outputs_at_once;
    int64_t first_piece;  // among those of all products

    int64_t RowBlocks() const {
      return (all.rows + rows_at_once - 1) / rows_at_once;
    }
    int64_t OutputBlocks() const {
      return (all.last_output + outputs_at_once - 1) / outputs_at_once;
    }
    int64_t Pieces() const {
      if (in_chain) return follows ? 0 : 1;
      return RowBlocks() * OutputBlocks();
    }
  };

  // Cuts the products [first, end), whose pieces begin with `pieces`. Returns
  // the piece after them.
  int64_t Cut(int first, int end, int64_t pieces);
  // Bytes of the weights of few rows.
  int64_t FewBytes(int first, int end) const;
  static void CutFew(int64_t piece_bytes, Product* product);
  void CutMany(Product* product) const;
  static void CutPackedRows(Product* product);

  const Product& ProductOf(int64_t piece) const;
  // Where the weights of a piece's first term start; null for many rows, or
  // where `piece` is -1.
  const char* FirstWeights(int64_t piece) const;
  // `next` and `fetches`: as in LinearTile, for few and for many rows.
  void RunPiece(const Product& product, int64_t piece, const char* next,
                absl::Span<const cpu::MemoryRange> fetches) const;
  // The same for all of a chain.
  void RunChain(const Product* product, const char* next) const;
  // What the chains at `place` and after it read, up to the next that is none.
  // Returns how many of `ranges` it filled.
  int WeightsOfChains(const EvenMix& mix, int64_t place,
                      absl::Span<cpu::MemoryRange> ranges) const;

  ThreadPool& pool_;
  const bool past_caches_;
  Product products_[kMaxProducts];
  cpu::Term terms_[kAllTerms];
  int num_products_ = 0;
  int first_part_ = 0;  // products before a second part; 0: there is none
  int between_ = 0;     // products before those of BeginBetween, likewise
  int num_terms_ = 0;
  bool in_chain_ = false;
  bool is_head_ = false;  // the next product of the chain
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_PRODUCT_QUEUE_H_
