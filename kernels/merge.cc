#include "kernels/merge.h"

#include <algorithm>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"
#include "kernels/product_queue.h"

namespace peft {
namespace kernels {
namespace {

// Rows that one thread takes at once: a multiple of every register tile's.
constexpr int64_t kPieceRows = 48;

// Where a plan has more than one step, a tile of the weight in f32 stays in the
// L2 cache from its first step to its last: 63 KiB. Its sides are multiples of
// every register tile's.
constexpr int64_t kTileRows = 24;
constexpr int64_t kTileCols = 672;
constexpr int64_t kTileFloats = kTileRows * kTileCols;

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

int64_t RanksOf(const LinearStage& stage) {
  int64_t ranks = 0;
  for (const LowRankSegment& segment : stage.low_rank) {
    ranks += segment.a.rows;
  }
  return ranks;
}

int64_t NumPanels(const LinearPlan& plan) {
  const int64_t width = cpu::Kernels().panel_width;
  return (plan.weight.cols + width - 1) / width;
}

// A stage adds left * right to the weight as it lies in memory, over the ranks
// of all its segments. `left` holds the factors that go with rows, in f32, with
// all scales; `right` the others', in panels of columns. Both are offsets in
// floats into the workspace.
struct Product {
  int64_t ranks;
  int64_t left_stride;
  int64_t left;
  int64_t right;
};

// The product of `stage`, whose part of the workspace begins at *offset;
// advances that to the next stage's.
Product ProductAt(const LinearPlan& plan, const LinearStage& stage,
                  int64_t* offset) {
  Product product = {};
  product.ranks = RanksOf(stage);
  product.left_stride = PaddedRank(product.ranks);
  product.left = *offset;
  product.right = product.left + plan.weight.rows * product.left_stride;
  *offset = product.right +
            NumPanels(plan) * cpu::Kernels().panel_width * product.ranks;
  return product;
}

class MergeRun {
 public:
  MergeRun(const LinearPlan& plan, WeightLayout layout, DType dtype, void* out,
           float* workspace)
      : plan_(plan),
        outputs_are_rows_(layout == WeightLayout::kOutputsFirst),
        patch_is_rows_(layout != WeightLayout::kInputsFirst),
        dtype_(dtype),
        out_(static_cast<char*>(out)),
        workspace_(workspace) {}

  int64_t NumPieces() const {
    return (plan_.weight.rows + kPieceRows - 1) / kPieceRows;
  }

  // One panel of the right factors of all stages. All come before any piece.
  void PackPanel(int64_t index) const {
    const int64_t width = cpu::Kernels().panel_width;
    const int64_t first = index * width;
    const int64_t last = std::min(first + width, plan_.weight.cols);
    int64_t offset = 0;
    for (const LinearStage& stage : plan_.stages) {
      const Product product = ProductAt(plan_, stage, &offset);
      float* panel = workspace_ + product.right + first * product.ranks;
      for (const LowRankSegment& segment : stage.low_rank) {
        const MatrixView& right = outputs_are_rows_ ? segment.a : segment.b;
        cpu::Kernels().pack(TermOf(right, outputs_are_rows_, nullptr, 0), first,
                            last, panel);
        panel += width * segment.a.rows;
      }
    }
  }

  void RunPiece(int64_t piece) const {
    const int64_t first = piece * kPieceRows;
    const int64_t last = std::min(first + kPieceRows, plan_.weight.rows);
    FillLefts({first, last - first, 0, 0});
    if (IsOneStep()) {
      RunStep({first, last - first, 0, plan_.weight.cols});
      return;
    }
    for (int64_t row = first; row < last; row += kTileRows) {
      const int64_t rows = std::min(kTileRows, last - row);
      for (int64_t col = 0; col < plan_.weight.cols; col += kTileCols) {
        const int64_t cols = std::min(kTileCols, plan_.weight.cols - col);
        RunTile({row, rows, col, cols});
      }
    }
  }

 private:
  bool IsOneStep() const {
    return plan_.stages.size() == 1 && plan_.in_scale.data == nullptr &&
           plan_.patch.rows.rows == 0;
  }

  void FillLefts(const Range& range) const {
    int64_t offset = 0;
    for (const LinearStage& stage : plan_.stages) {
      const Product product = ProductAt(plan_, stage, &offset);
      float* left = workspace_ + product.left + range.row * product.left_stride;
      for (const LowRankSegment& segment : stage.low_rank) {
        if (outputs_are_rows_) {
          CopyRows(segment.b, range, left, product.left_stride);
        } else {
          CopyColumns(segment.a, range, left, product.left_stride);
        }
        ScaleLeft(segment, range.rows, left, product.left_stride);
        left += segment.a.rows;
      }
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

  // From the weight to `out`, through nothing in between.
  void RunStep(const Range& range) const {
    int64_t offset = 0;
    const LinearStage& stage = plan_.stages.front();
    cpu::MergeBlock block =
        BlockOf(stage, ProductAt(plan_, stage, &offset), range);
    block.weight = Address(plan_.weight, range.row, range.col);
    block.weight_elem = ElemOf(plan_.weight.dtype);
    block.weight_stride = plan_.weight.stride;
    block.out = OutAt(range.row, range.col);
    block.out_elem = ElemOf(dtype_);
    block.out_stride = plan_.weight.cols;
    cpu::Kernels().merge_block(block);
  }

  void RunTile(const Range& range) const {
    alignas(64) float tile[kTileFloats];
    for (int64_t i = 0; i < range.rows; ++i) {
      ToF32(plan_.weight, range.row + i, range.col, range.cols,
            tile + i * kTileCols);
    }
    Patch(range, tile);
    ScaleInputs(range, tile);
    int64_t offset = 0;
    for (const LinearStage& stage : plan_.stages) {
      cpu::MergeBlock block =
          BlockOf(stage, ProductAt(plan_, stage, &offset), range);
      block.weight = block.out = tile;
      block.weight_elem = block.out_elem = cpu::kElemF32;
      block.weight_stride = block.out_stride = kTileCols;
      cpu::Kernels().merge_block(block);
    }
    for (int64_t i = 0; i < range.rows; ++i) {
      cpu::Kernels().from_f32(ElemOf(dtype_), tile + i * kTileCols, range.cols,
                              OutAt(range.row + i, range.col));
    }
  }

  // All but the weight and what replaces it.
  cpu::MergeBlock BlockOf(const LinearStage& stage, const Product& product,
                          const Range& range) const {
    cpu::MergeBlock block = {};
    block.left = workspace_ + product.left + range.row * product.left_stride;
    block.left_stride = product.left_stride;
    block.right = workspace_ + product.right + range.col * product.ranks;
    block.k = product.ranks;
    block.rows = range.rows;
    block.cols = range.cols;
    const auto* const factor = static_cast<const float*>(stage.out_scale.data);
    if (factor != nullptr && outputs_are_rows_) {
      block.row_factor = factor + range.row;
    } else if (factor != nullptr) {
      block.col_factor = factor + range.col;
    }
    return block;
  }

  char* OutAt(int64_t row, int64_t col) const {
    return out_ + (row * plan_.weight.cols + col) * DTypeSize(dtype_);
  }

  // Rows of the patch stand for outputs, or for rows of a table.
  void Patch(const Range& range, float* tile) const {
    const RowPatch& patch = plan_.patch;
    for (int64_t j = 0; j < patch.rows.rows; ++j) {
      const int64_t row = patch.ids[j] - range.row;
      const int64_t col = patch.ids[j] - range.col;
      if (patch_is_rows_ && row >= 0 && row < range.rows) {
        ToF32(patch.rows, j, range.col, range.cols, tile + row * kTileCols);
      } else if (!patch_is_rows_ && col >= 0 && col < range.cols) {
        float values[kTileRows];
        ToF32(patch.rows, j, range.row, range.rows, values);
        for (int64_t i = 0; i < range.rows; ++i) {
          tile[i * kTileCols + col] = values[i];
        }
      }
    }
  }

  void ScaleInputs(const Range& range, float* tile) const {
    if (plan_.in_scale.data == nullptr) return;
    const auto* const scale = static_cast<const float*>(plan_.in_scale.data);
    for (int64_t i = 0; i < range.rows; ++i) {
      float* const row = tile + i * kTileCols;
      if (outputs_are_rows_) {
        for (int64_t j = 0; j < range.cols; ++j) row[j] *= scale[range.col + j];
      } else {
        cpu::Kernels().scale(row, scale[range.row + i], range.cols, row);
      }
    }
  }

  const LinearPlan& plan_;
  const bool outputs_are_rows_;
  const bool patch_is_rows_;
  const DType dtype_;
  char* const out_;
  float* const workspace_;
};

}  // namespace

int64_t MergeWorkspaceFloats(const LinearPlan& plan) {
  int64_t floats = 0;
  for (const LinearStage& stage : plan.stages) ProductAt(plan, stage, &floats);
  return floats;
}

void MergeWeight(const LinearPlan& plan, WeightLayout layout, DType dtype,
                 void* out, float* workspace, ThreadPool& pool) {
  const MergeRun run(plan, layout, dtype, out, workspace);
  pool.ParallelFor(NumPanels(plan), [&](int64_t i) { run.PackPanel(i); });
  pool.ParallelFor(run.NumPieces(), [&](int64_t i) { run.RunPiece(i); });
}

}  // namespace kernels
}  // namespace peft
