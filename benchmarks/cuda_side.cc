#include "benchmarks/cuda_side.h"

#include "peft_cc/base/error.h"

namespace peft {

namespace {

using kernels::cuda::AdaptedLinear;
using kernels::cuda::AdaptedLinearGrad;
using kernels::cuda::AdaptedOutput;
using kernels::cuda::DeviceBuffer;
using kernels::cuda::DeviceMatrix;
using kernels::cuda::DevicePtr;
using kernels::cuda::DeviceScope;
using kernels::cuda::Driver;
using kernels::cuda::GraphExecHandle;
using kernels::cuda::GraphHandle;
using kernels::cuda::StreamHandle;

// What the first candidates lose to is seldom far down the list.
constexpr int kCandidates = 8;

// Captures `launch` and makes a graph of it.
absl::StatusOr<GraphExecHandle> Capture(
    const Driver& driver, StreamHandle stream,
    absl::FunctionRef<absl::Status()> launch) {
  const auto check = [&driver](kernels::cuda::Result result) {
    return driver.Check(result, "capturing a CUDA graph");
  };
  GraphHandle graph = nullptr;
  GraphExecHandle exec = nullptr;
  PEFT_RETURN_IF_ERROR(check(driver->cuStreamBeginCapture_v2(
      stream, kernels::cuda::kCaptureThreadLocal)));
  const absl::Status launched = launch();
  // Ends it in any case: the stream would be of no use any more.
  const absl::Status ended = check(driver->cuStreamEndCapture(stream, &graph));
  PEFT_RETURN_IF_ERROR(launched);
  PEFT_RETURN_IF_ERROR(ended);
  const absl::Status made =
      check(driver->cuGraphInstantiateWithFlags(&exec, graph, 0));
  driver->cuGraphDestroy(graph);
  PEFT_RETURN_IF_ERROR(made);
  return exec;
}

}  // namespace

absl::StatusOr<double> TimeGraph(const CudaBench& bench, StreamHandle stream,
                                 absl::FunctionRef<absl::Status()> launch) {
  const DeviceScope scope(bench.device);
  PEFT_RETURN_IF_ERROR(scope.status());
  const Driver& driver = bench.device.driver();
  // Outside first: libraries load kernels and take memory then.
  for (int i = 0; i < 3; ++i) PEFT_RETURN_IF_ERROR(launch());
  PEFT_RETURN_IF_ERROR(
      driver.Check(driver->cuStreamSynchronize(stream), "warming up"));
  PEFT_ASSIGN_OR_RETURN(const GraphExecHandle exec,
                        Capture(driver, stream, launch));
  const auto seconds = bench.timer.Time([&] {
    return driver.Check(
        driver->cuGraphLaunch(exec, bench.timer.stream().stream),
        "launching a CUDA graph");
  });
  driver->cuGraphExecDestroy(exec);
  return seconds;
}

absl::StatusOr<DevicePtr> CudaLinears::Memory(const CudaBench& bench,
                                              int64_t bytes) {
  PEFT_ASSIGN_OR_RETURN(DeviceBuffer buffer,
                        bench.device.Allocate(bytes, "a benchmark"));
  const Driver& driver = bench.device.driver();
  const DeviceScope scope(bench.device);
  PEFT_RETURN_IF_ERROR(
      driver.Check(driver->cuMemsetD8Async(buffer.address(), 0, bytes,
                                           bench.timer.stream().stream),
                   "clearing memory"));
  buffers_.push_back(std::move(buffer));
  return buffers_.back().address();
}

absl::StatusOr<DeviceMatrix> CudaLinears::Matrix(const CudaBench& bench,
                                                 int64_t rows, int64_t cols) {
  DeviceMatrix matrix = {0, DType::kBF16, rows, cols, cols};
  PEFT_ASSIGN_OR_RETURN(matrix.data, Memory(bench, 2 * rows * cols));
  return matrix;
}

absl::StatusOr<std::unique_ptr<CudaLinears>> CudaLinears::Create(
    const CudaBench& bench, int64_t rows, int64_t in,
    const std::vector<int64_t>& outs, int64_t rank) {
  std::unique_ptr<CudaLinears> result(new CudaLinears);
  auto& spec = result->spec_;
  PEFT_ASSIGN_OR_RETURN(spec.x, result->Matrix(bench, rows, in));
  if (rank > 0) {
    const auto ranks = rank * static_cast<int64_t>(outs.size());
    PEFT_ASSIGN_OR_RETURN(spec.a, result->Matrix(bench, ranks, in));
    PEFT_ASSIGN_OR_RETURN(spec.t, result->Matrix(bench, rows, ranks));
    PEFT_ASSIGN_OR_RETURN(spec.rank_scales, result->Memory(bench, 4 * ranks));
  }
  for (int64_t out : outs) {
    AdaptedOutput output;
    PEFT_ASSIGN_OR_RETURN(output.weight, result->Matrix(bench, out, in));
    PEFT_ASSIGN_OR_RETURN(output.y, result->Matrix(bench, rows, out));
    if (rank > 0) {
      output.first_group = static_cast<int>(spec.groups.size());
      output.num_groups = 1;
      PEFT_ASSIGN_OR_RETURN(output.b, result->Matrix(bench, out, rank));
      spec.groups.push_back({rank});
    }
    spec.outputs.push_back(output);
  }
  PEFT_ASSIGN_OR_RETURN(result->forward_,
                        AdaptedLinear::Plan(&bench.cache, spec));
  return result;
}

absl::Status CudaLinears::PlanBackward(const CudaBench& bench) {
  auto& spec = grad_spec_;
  const AdaptedOutput& output = spec_.outputs[0];
  const int64_t rows = spec_.x.rows;
  const int64_t rank = output.b.cols;
  spec.x = spec_.x;
  spec.t = spec_.t;
  spec.a = spec_.a;
  spec.b = output.b;
  spec.scale = spec_.rank_scales;
  spec.weight = output.weight;
  PEFT_ASSIGN_OR_RETURN(spec.dy, Matrix(bench, rows, output.y.cols));
  PEFT_ASSIGN_OR_RETURN(spec.dt, Matrix(bench, rows, rank));
  PEFT_ASSIGN_OR_RETURN(spec.da, Matrix(bench, rank, spec_.x.cols));
  PEFT_ASSIGN_OR_RETURN(spec.db, Matrix(bench, output.y.cols, rank));
  PEFT_ASSIGN_OR_RETURN(spec.dx, Matrix(bench, rows, spec_.x.cols));
  has_backward_ = true;
  PEFT_ASSIGN_OR_RETURN(backward_, AdaptedLinearGrad::Plan(&bench.cache, spec));
  return absl::OkStatus();
}

absl::Status CudaLinears::Tune(const CudaBench& bench) {
  std::vector<kernels::cuda::Gemm> gemms = forward_.gemms();
  for (const auto& gemm : backward_.gemms()) gemms.push_back(gemm);
  const auto tuned = bench.cache.tuned();
  for (const auto& gemm : gemms) {
    if (tuned.count(KeyOf(BucketOf(gemm))) > 0) continue;
    PEFT_RETURN_IF_ERROR(bench.cache.Tune(
        gemm, kCandidates, [&](const kernels::cuda::GemmPlan& plan) {
          return bench.timer.TimePlan(plan);
        }));
  }
  PEFT_ASSIGN_OR_RETURN(forward_, AdaptedLinear::Plan(&bench.cache, spec_));
  if (!has_backward_) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(backward_,
                        AdaptedLinearGrad::Plan(&bench.cache, grad_spec_));
  return absl::OkStatus();
}

}  // namespace peft
