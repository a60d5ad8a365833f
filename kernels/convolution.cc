#include "kernels/convolution.h"

#include <algorithm>

#include "kernels/linear.h"

namespace peft {
namespace kernels {
namespace {

// Columns and products of a chunk stay in the cache of a core or two.
constexpr int64_t kChunkFloats = int64_t{1} << 19;
// Rows that a thread fills or stores at a time.
constexpr int64_t kPieceRows = 16;

int64_t Volume(const ConvAxes& axes) { return axes[0] * axes[1] * axes[2]; }

// Rows, that is outputs of a position, that are computed at a time.
int64_t ChunkRows(const ConvGeometry& geometry, int64_t rows) {
  const int64_t width = geometry.num_columns() + geometry.out_channels;
  return std::min(rows, std::max<int64_t>(kPieceRows, kChunkFloats / width));
}

const char* Advance(const void* data, int64_t elements, DType dtype) {
  return static_cast<const char*>(data) + elements * DTypeSize(dtype);
}

// Group `g` as a layer of its own: its base product alone.
LinearPlan GroupPlan(const LinearPlan& plan, const ConvGeometry& geometry,
                     int64_t g) {
  const int64_t out = geometry.out_channels / geometry.groups;
  const int64_t in = geometry.num_columns() / geometry.groups;
  LinearPlan part;
  part.weight = plan.weight;
  part.weight.rows = out;
  part.weight.data = Advance(plan.weight.data, g * out * plan.weight.stride,
                             plan.weight.dtype);
  if (plan.in_scale.data != nullptr) {
    part.in_scale = {Advance(plan.in_scale.data, g * in, DType::kF32),
                     DType::kF32, in};
  }
  return part;
}

int64_t LinearFloats(const LinearPlan& plan, const ConvGeometry& geometry,
                     int64_t rows) {
  const int64_t stages = LinearWorkspaceFloats(plan, rows);
  if (geometry.groups == 1) return stages;
  const LinearPlan part = GroupPlan(plan, geometry, 0);
  return std::max(stages, LinearWorkspaceFloats(part, rows));
}

// One call of RunConvolution.
class ConvolutionRun {
 public:
  ConvolutionRun(const LinearPlan& plan, const ConvGeometry& geometry,
                 const ConvAxes& input, const float* x, float* y, bool adds,
                 ThreadPool& pool)
      : plan_(plan),
        geometry_(geometry),
        input_(input),
        output_(ConvOutputSizes(geometry, input)),
        positions_(Volume(output_)),
        x_(x),
        y_(y),
        adds_(adds),
        pool_(pool) {}

  void Run(int64_t batch, float* workspace) {
    const int64_t rows = batch * positions_;
    const int64_t step = ChunkRows(geometry_, rows);
    const int64_t width = geometry_.num_columns();
    Rows columns = {workspace, step, width, width};
    Rows products = {workspace + step * width, step, geometry_.out_channels,
                     geometry_.out_channels};
    float* const rest = products.data + step * geometry_.out_channels;
    for (int64_t first = 0; first < rows; first += step) {
      columns.rows = products.rows = std::min(step, rows - first);
      ForEachRow(columns.rows, [&](int64_t row) {
        FillColumns(first + row, columns.data + row * width);
      });
      RunLayer(columns, products, rest);
      ForEachRow(columns.rows, [&](int64_t row) {
        Store(first + row, products.data + row * products.stride);
      });
    }
  }

 private:
  template <typename Call>
  void ForEachRow(int64_t rows, Call call) {
    const int64_t pieces = (rows + kPieceRows - 1) / kPieceRows;
    pool_.ParallelFor(pieces, [&](int64_t piece) {
      const int64_t end = std::min(rows, (piece + 1) * kPieceRows);
      for (int64_t row = piece * kPieceRows; row < end; ++row) call(row);
    });
  }

  // The inputs of output `row`, channel by channel, then along the kernel.
  void FillColumns(int64_t row, float* to) const {
    const int64_t position = row % positions_;
    const int64_t plane = output_[1] * output_[2];
    const ConvAxes at = {position / plane, position % plane / output_[2],
                         position % output_[2]};
    const int64_t size = Volume(input_);
    const float* from = x_ + row / positions_ * geometry_.in_channels * size;
    for (int64_t c = 0; c < geometry_.in_channels; ++c, from += size) {
      for (int64_t i = 0; i < geometry_.kernel[0]; ++i) {
        for (int64_t j = 0; j < geometry_.kernel[1]; ++j) {
          FillLine(from, Input(0, at[0], i), Input(1, at[1], j), at[2], to);
          to += geometry_.kernel[2];
        }
      }
    }
  }

  // The innermost axis of a kernel; the outer places are in range or -1.
  void FillLine(const float* from, int64_t outer, int64_t middle, int64_t at,
                float* to) const {
    const bool inside = outer >= 0 && middle >= 0;
    const float* line =
        inside ? from + (outer * input_[1] + middle) * input_[2] : nullptr;
    for (int64_t k = 0; k < geometry_.kernel[2]; ++k) {
      const int64_t place = Input(2, at, k);
      to[k] = inside && place >= 0 ? line[place] : 0.0f;
    }
  }

  // Which input along `axis` element `k` of the kernel meets; -1: padding.
  int64_t Input(int axis, int64_t output, int64_t k) const {
    const int64_t place = output * geometry_.stride[axis] +
                          k * geometry_.dilation[axis] -
                          geometry_.padding_begin[axis];
    return place < 0 || place >= input_[axis] ? -1 : place;
  }

  void RunLayer(const Rows& columns, const Rows& products, float* workspace) {
    const LinearGroup all = {&plan_, columns.rows};
    if (adds_) {
      std::fill_n(products.data, products.rows * products.stride, 0.0f);
      RunStagesWithoutBias(absl::MakeConstSpan(&all, 1), columns, products,
                           workspace, pool_);
      return;
    }
    if (geometry_.groups == 1) {
      RunLinear(plan_, columns, products, workspace, pool_);
      return;
    }
    const int64_t in = columns.cols / geometry_.groups;
    const int64_t out = products.cols / geometry_.groups;
    for (int64_t g = 0; g < geometry_.groups; ++g) {
      RunLinear(
          GroupPlan(plan_, geometry_, g),
          ConstRows(columns.data + g * in, columns.rows, in, columns.stride),
          Rows{products.data + g * out, products.rows, out, products.stride},
          workspace, pool_);
    }
    RunStages(absl::MakeConstSpan(&all, 1), columns, products, workspace,
              pool_);
  }

  void Store(int64_t row, const float* from) const {
    float* to = y_ + row / positions_ * geometry_.out_channels * positions_ +
                row % positions_;
    for (int64_t c = 0; c < geometry_.out_channels; ++c, to += positions_) {
      *to = adds_ ? *to + from[c] : from[c];
    }
  }

  const LinearPlan& plan_;
  const ConvGeometry& geometry_;
  const ConvAxes input_;
  const ConvAxes output_;
  const int64_t positions_;
  const float* const x_;
  float* const y_;
  const bool adds_;
  ThreadPool& pool_;
};

}  // namespace

int64_t ConvolutionWorkspaceFloats(const LinearPlan& plan,
                                   const ConvGeometry& geometry, int64_t batch,
                                   const ConvAxes& input) {
  const int64_t rows =
      ChunkRows(geometry, batch * Volume(ConvOutputSizes(geometry, input)));
  return rows * (geometry.num_columns() + geometry.out_channels) +
         LinearFloats(plan, geometry, rows);
}

void RunConvolution(const LinearPlan& plan, const ConvGeometry& geometry,
                    int64_t batch, const ConvAxes& input, const float* x,
                    float* y, float* workspace, ThreadPool& pool) {
  ConvolutionRun(plan, geometry, input, x, y, /*adds=*/false, pool)
      .Run(batch, workspace);
}

void AddConvolutionStages(const LinearPlan& plan, const ConvGeometry& geometry,
                          int64_t batch, const ConvAxes& input, const float* x,
                          float* y, float* workspace, ThreadPool& pool) {
  ConvolutionRun(plan, geometry, input, x, y, /*adds=*/true, pool)
      .Run(batch, workspace);
}

}  // namespace kernels
}  // namespace peft
