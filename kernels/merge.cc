#include "kernels/merge.h"

#include <algorithm>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"
#include "kernels/product_queue.h"

namespace peft {
namespace kernels {
namespace {

// Rows that one thread takes at once.
constexpr int64_t kPieceRows = 48;

// One tile of the weight in f32: 63 KiB, so that it stays in the L2 cache from
// its first term to its last. Sides are multiples of every register tile's.
struct TileShape {
  int64_t rows;
  int64_t cols;
};
constexpr int64_t kTileFloats = 16128;
// With few ranks memory is the limit: long rows, for the prefetchers.
constexpr TileShape kWideTile = {4, 4032};
// With more, factors that are packed once serve many rows.
constexpr TileShape kSquareTile = {48, 336};
constexpr int64_t kFewRanks = 32;

TileShape ShapeFor(const LinearPlan& plan) {
  int64_t ranks = 0;
  for (const LinearStage& stage : plan.stages) {
    for (const LowRankSegment& segment : stage.low_rank) {
      ranks += segment.a.rows;
    }
  }
  return ranks <= kFewRanks ? kWideTile : kSquareTile;
}

const char* Address(const MatrixView& matrix, int64_t row, int64_t col) {
  const int64_t index = row * matrix.stride + col;
  return static_cast<const char*>(matrix.data) +
         index * DTypeSize(matrix.dtype);
}

void ToF32(const MatrixView& matrix, int64_t row, int64_t col, int64_t count,
           float* out) {
  cpu::Kernels().to_f32(ElemOf(matrix.dtype), Address(matrix, row, col), count,
                        out);
}

// The rows and columns that a tile covers.
struct Range {
  int64_t row;
  int64_t rows;
  int64_t col;
  int64_t cols;
};

// A segment adds left * right to the weight as it lies in memory. `left` holds
// the factor that goes with rows, in f32, with all scales; `right` is read from
// the other factor itself.
class MergeRun {
 public:
  MergeRun(const LinearPlan& plan, WeightLayout layout, DType dtype, void* out,
           float* workspace)
      : plan_(plan),
        outputs_are_rows_(layout == WeightLayout::kOutputsFirst),
        patch_is_rows_(layout != WeightLayout::kInputsFirst),
        dtype_(dtype),
        shape_(ShapeFor(plan)),
        out_(static_cast<char*>(out)),
        workspace_(workspace) {}

  int64_t NumPieces() const {
    return (plan_.weight.rows + kPieceRows - 1) / kPieceRows;
  }

  void RunPiece(int64_t piece) const {
    const int64_t first = piece * kPieceRows;
    const int64_t last = std::min(first + kPieceRows, plan_.weight.rows);
    FillLefts({first, last - first, 0, 0});
    for (int64_t row = first; row < last; row += shape_.rows) {
      const int64_t rows = std::min(shape_.rows, last - row);
      for (int64_t col = 0; col < plan_.weight.cols; col += shape_.cols) {
        const int64_t cols = std::min(shape_.cols, plan_.weight.cols - col);
        RunTile({row, rows, col, cols});
      }
    }
  }

 private:
  // Calls call(segment, its rows of left, stride) for all segments of `stage`,
  // whose lefts begin at `left`; returns where those of the next stage do.
  template <typename Call>
  float* ForEachLeft(const LinearStage& stage, const Range& range, float* left,
                     Call call) const {
    for (const LowRankSegment& segment : stage.low_rank) {
      const int64_t stride = PaddedRank(segment.a.rows);
      call(segment, left + range.row * stride, stride);
      left += plan_.weight.rows * stride;
    }
    return left;
  }

  void FillLefts(const Range& range) const {
    float* left = workspace_;
    for (const LinearStage& stage : plan_.stages) {
      left = ForEachLeft(
          stage, range, left,
          [&](const LowRankSegment& segment, float* rows, int64_t stride) {
            if (outputs_are_rows_) {
              CopyRows(segment.b, range, rows, stride);
            } else {
              CopyColumns(segment.a, range, rows, stride);
            }
            ScaleLeft(segment, range.rows, rows, stride);
          });
    }
  }

  static void CopyRows(const MatrixView& b, const Range& range, float* left,
                       int64_t stride) {
    for (int64_t i = 0; i < range.rows; ++i) {
      ToF32(b, range.row + i, 0, b.cols, left + i * stride);
    }
  }

  static void CopyColumns(const MatrixView& a, const Range& range, float* left,
                          int64_t stride) {
    float values[kPieceRows];
    for (int64_t k = 0; k < a.rows; ++k) {
      ToF32(a, k, range.row, range.rows, values);
      for (int64_t i = 0; i < range.rows; ++i) left[i * stride + k] = values[i];
    }
  }

  static void ScaleLeft(const LowRankSegment& segment, int64_t rows,
                        float* left, int64_t stride) {
    const auto* const by_rank =
        static_cast<const float*>(segment.rank_scale.data);
    for (int64_t i = 0; i < rows; ++i) {
      float* const row = left + i * stride;
      for (int64_t k = 0; k < segment.a.rows; ++k) {
        row[k] *= segment.scale * (by_rank == nullptr ? 1.0f : by_rank[k]);
      }
    }
  }

  void RunTile(const Range& range) const {
    alignas(64) float tile[kTileFloats];
    for (int64_t i = 0; i < range.rows; ++i) {
      ToF32(plan_.weight, range.row + i, range.col, range.cols,
            tile + i * shape_.cols);
    }
    Patch(range, tile);
    ScaleInputs(range, tile);
    float* left = workspace_;
    for (const LinearStage& stage : plan_.stages) {
      left = RunStage(stage, range, left, tile);
    }
    const int64_t size = DTypeSize(dtype_);
    for (int64_t i = 0; i < range.rows; ++i) {
      const int64_t first = (range.row + i) * plan_.weight.cols + range.col;
      cpu::Kernels().from_f32(ElemOf(dtype_), tile + i * shape_.cols,
                              range.cols, out_ + first * size);
    }
  }

  // Rows of the patch stand for outputs, or for rows of a table.
  void Patch(const Range& range, float* tile) const {
    const RowPatch& patch = plan_.patch;
    for (int64_t j = 0; j < patch.rows.rows; ++j) {
      const int64_t row = patch.ids[j] - range.row;
      const int64_t col = patch.ids[j] - range.col;
      if (patch_is_rows_ && row >= 0 && row < range.rows) {
        ToF32(patch.rows, j, range.col, range.cols, tile + row * shape_.cols);
      } else if (!patch_is_rows_ && col >= 0 && col < range.cols) {
        float values[kPieceRows];
        ToF32(patch.rows, j, range.row, range.rows, values);
        for (int64_t i = 0; i < range.rows; ++i) {
          tile[i * shape_.cols + col] = values[i];
        }
      }
    }
  }

  void ScaleInputs(const Range& range, float* tile) const {
    if (plan_.in_scale.data == nullptr) return;
    const auto* const scale = static_cast<const float*>(plan_.in_scale.data);
    if (!outputs_are_rows_) return ScaleRows(scale, range, tile);
    for (int64_t i = 0; i < range.rows; ++i) {
      for (int64_t j = 0; j < range.cols; ++j) {
        tile[i * shape_.cols + j] *= scale[range.col + j];
      }
    }
  }

  void ScaleRows(const float* scale, const Range& range, float* tile) const {
    for (int64_t i = 0; i < range.rows; ++i) {
      float* const row = tile + i * shape_.cols;
      cpu::Kernels().scale(row, scale[range.row + i], range.cols, row);
    }
  }

  // Returns where the lefts of the next stage begin.
  float* RunStage(const LinearStage& stage, const Range& range, float* left,
                  float* tile) const {
    cpu::Term terms[ProductQueue::kMaxTerms];
    int count = 0;
    left = ForEachLeft(
        stage, range, left,
        [&](const LowRankSegment& segment, float* rows, int64_t stride) {
          if (count == ProductQueue::kMaxTerms) {
            AddTerms(terms, count, range, nullptr, tile);
            count = 0;
          }
          terms[count++] = RightTerm(segment, range, rows, stride);
        });
    const auto* const factor = static_cast<const float*>(stage.out_scale.data);
    if (outputs_are_rows_) {
      if (count > 0) AddTerms(terms, count, range, nullptr, tile);
      if (factor != nullptr) ScaleRows(factor, range, tile);
    } else if (count > 0 || factor != nullptr) {
      AddTerms(terms, count, range,
               factor == nullptr ? nullptr : factor + range.col, tile);
    }
    return left;
  }

  // The columns of the tile of the other factor.
  cpu::Term RightTerm(const LowRankSegment& segment, const Range& range,
                      const float* left, int64_t stride) const {
    MatrixView right = outputs_are_rows_ ? segment.a : segment.b;
    right.data = outputs_are_rows_ ? Address(right, 0, range.col)
                                   : Address(right, range.col, 0);
    return TermOf(right, outputs_are_rows_, left, stride);
  }

  void AddTerms(const cpu::Term* terms, int count, const Range& range,
                const float* factor, float* tile) const {
    cpu::LinearTile product = {};
    product.terms = terms;
    product.num_terms = count;
    product.rows = range.rows;
    product.last_output = range.cols;
    product.out_scale = factor;
    product.scale = 1.0f;
    product.accumulate = true;
    product.y = tile;
    product.y_stride = shape_.cols;
    cpu::Kernels().linear_many(product);
  }

  const LinearPlan& plan_;
  const bool outputs_are_rows_;
  const bool patch_is_rows_;
  const DType dtype_;
  const TileShape shape_;
  char* const out_;
  float* const workspace_;
};

}  // namespace

int64_t MergeWorkspaceFloats(const LinearPlan& plan) {
  int64_t floats = 0;
  for (const LinearStage& stage : plan.stages) {
    for (const LowRankSegment& segment : stage.low_rank) {
      floats += plan.weight.rows * PaddedRank(segment.a.rows);
    }
  }
  return floats;
}

void MergeWeight(const LinearPlan& plan, WeightLayout layout, DType dtype,
                 void* out, float* workspace, ThreadPool& pool) {
  const MergeRun run(plan, layout, dtype, out, workspace);
  pool.ParallelFor(run.NumPieces(),
                   [&](int64_t piece) { run.RunPiece(piece); });
}

}  // namespace kernels
}  // namespace peft
