#include "benchmarks/cuda/torch_side.h"

#include <exception>
#include <memory>

#include "absl/strings/str_cat.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/torch_linears.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

using kernels::cuda::DeviceMatrix;
using kernels::cuda::StreamHandle;

// Calls libtorch, which throws.
template <typename Function>
absl::Status Call(Function function) {
  try {
    function();
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("libtorch: ", error.what()));
  }
  return absl::OkStatus();
}

TorchMatrix MatrixOf(const TorchPlace& place, const DeviceMatrix& matrix) {
  const int64_t bytes = matrix.rows * matrix.cols * DTypeSize(matrix.dtype);
  return {place.address(matrix.data, bytes), matrix.rows, matrix.cols};
}

TorchSpec SpecOf(const TorchPlace& place, const LayerInputs& inputs,
                 Work work) {
  const LayerShape& shape = inputs.shape();
  TorchSpec spec;
  spec.gpu = place.gpu;
  spec.x = MatrixOf(place, inputs.x().device);
  spec.scale = kScale;
  for (int i = 0; i < shape.num_outputs(); ++i) {
    DeviceMatrix a = inputs.a().device;
    a.data += inputs.FirstRank(0, i) * a.stride * DTypeSize(a.dtype);
    a.rows = shape.rank;
    spec.layers.push_back({MatrixOf(place, inputs.weight(i).device),
                           MatrixOf(place, a),
                           MatrixOf(place, inputs.b(0, i).device)});
  }
  if (work == Work::kTraining) spec.dy = MatrixOf(place, inputs.dy().device);
  return spec;
}

class TorchSide : public Side {
 public:
  TorchSide(StreamHandle stream, Work work, const TorchSpec& spec)
      : stream_(stream), work_(work), linears_(spec) {}

  absl::Status Run() override {
    return Call([this] {
      if (work_ == Work::kBase) linears_.Base();
      if (work_ == Work::kForward) linears_.Forward();
      if (work_ == Work::kTraining) linears_.ForwardBackward();
    });
  }
  StreamHandle stream() const override { return stream_; }
  absl::StatusOr<float> At(Computed what, int output, int64_t row,
                           int64_t col) override {
    float number = 0;
    PEFT_RETURN_IF_ERROR(Call([&] {
      constexpr int kFirst = static_cast<int>(Computed::kDa);
      number =
          what == Computed::kY
              ? linears_.Y(output, row, col)
              : linears_.Gradient(static_cast<int>(what) - kFirst, row, col);
    }));
    return number;
  }

 private:
  const StreamHandle stream_;
  const Work work_;
  TorchLinears linears_;
};

}  // namespace

MakeSide TorchPeer(const TorchPlace& place) {
  return [place](const LayerInputs& inputs,
                 Work work) -> absl::StatusOr<std::unique_ptr<Side>> {
    std::unique_ptr<Side> side;
    PEFT_RETURN_IF_ERROR(Call([&] {
      side = std::make_unique<TorchSide>(place.stream, work,
                                         SpecOf(place, inputs, work));
    }));
    return side;
  };
}

}  // namespace peft
