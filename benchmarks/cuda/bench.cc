#include "benchmarks/cuda/bench.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "absl/functional/function_ref.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

using kernels::cuda::DeviceBuffer;
using kernels::cuda::DeviceMatrix;
using kernels::cuda::DevicePtr;
using kernels::cuda::Driver;
using kernels::cuda::GraphExecHandle;
using kernels::cuda::GraphHandle;
using kernels::cuda::StreamHandle;

constexpr int64_t kBytes = 2;  // of a BF16

// A captured graph, ready to be launched.
class Graph {
 public:
  explicit Graph(const Driver& driver) : driver_(driver) {}
  ~Graph() {
    if (exec_ != nullptr) driver_->cuGraphExecDestroy(exec_);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Once.
  absl::Status Capture(Side& side) {
    GraphHandle graph = nullptr;
    PEFT_RETURN_IF_ERROR(Check(driver_->cuStreamBeginCapture_v2(
        side.stream(), kernels::cuda::kCaptureThreadLocal)));
    const absl::Status launched = side.Run();
    // Ends it in any case: the stream would be of no use any more.
    const absl::Status ended =
        Check(driver_->cuStreamEndCapture(side.stream(), &graph));
    PEFT_RETURN_IF_ERROR(launched);
    PEFT_RETURN_IF_ERROR(ended);
    const absl::Status made =
        Check(driver_->cuGraphInstantiateWithFlags(&exec_, graph, 0));
    driver_->cuGraphDestroy(graph);
    return made;
  }

  absl::Status Launch(StreamHandle stream) const {
    return driver_.Check(driver_->cuGraphLaunch(exec_, stream),
                         "launching a CUDA graph");
  }

 private:
  absl::Status Check(kernels::cuda::Result result) const {
    return driver_.Check(result, "capturing a CUDA graph");
  }

  const Driver& driver_;
  GraphExecHandle exec_ = nullptr;
};

// Runs it outside of a graph first: libraries load kernels and take memory
// then.
absl::Status WarmUp(const Driver& driver, Side& side) {
  for (int i = 0; i < 3; ++i) PEFT_RETURN_IF_ERROR(side.Run());
  return driver.Check(driver->cuStreamSynchronize(side.stream()), "warming up");
}

absl::Status CopyToDevice(const CudaBench& bench, DevicePtr to,
                          const void* from, int64_t bytes) {
  const Driver& driver = bench.device.driver();
  return driver.Check(driver->cuMemcpyHtoDAsync_v2(to, from, bytes,
                                                   bench.timer.stream().stream),
                      "filling memory");
}

}  // namespace

Numbers::Numbers() : unit_(kPeriod + kLongestRow) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int64_t i = 0; i < kPeriod; ++i) {
    unit_[i] = BF16ToF32(F32ToBF16(uniform(random)));
  }
  std::copy_n(unit_.begin(), kLongestRow, unit_.begin() + kPeriod);
}

const std::vector<char>& Numbers::Bytes(int exponent) {
  std::vector<char>& bytes = bytes_[exponent];
  if (!bytes.empty()) return bytes;
  std::vector<float> scaled(unit_.begin(), unit_.begin() + kPeriod);
  for (float& number : scaled) number = std::ldexp(number, -exponent);
  bytes.resize(kBytes * kPeriod);
  ConvertFromF32(scaled.data(), kPeriod, DType::kBF16, bytes.data());
  return bytes;
}

absl::StatusOr<DevicePtr> BenchMemory::Allocate(const CudaBench& bench,
                                                int64_t bytes) {
  PEFT_ASSIGN_OR_RETURN(DeviceBuffer buffer,
                        bench.device.Allocate(bytes, "a benchmark"));
  const Driver& driver = bench.device.driver();
  PEFT_RETURN_IF_ERROR(
      driver.Check(driver->cuMemsetD8Async(buffer.address(), 0, bytes,
                                           bench.timer.stream().stream),
                   "clearing memory"));
  buffers_.push_back(std::move(buffer));
  return buffers_.back().address();
}

absl::StatusOr<DeviceMatrix> BenchMemory::Matrix(const CudaBench& bench,
                                                 int64_t rows, int64_t cols) {
  DeviceMatrix matrix = {0, DType::kBF16, rows, cols, cols};
  PEFT_ASSIGN_OR_RETURN(matrix.data, Allocate(bench, kBytes * rows * cols));
  return matrix;
}

absl::StatusOr<KnownMatrix> BenchMemory::Known(const CudaBench& bench,
                                               int64_t rows, int64_t cols,
                                               int64_t terms, int64_t seed) {
  const auto exponent = static_cast<int>(
      std::lround(0.5 * std::log2(static_cast<double>(terms))));
  // Far from each other, and never at a multiple of a row.
  return Fill(bench, rows, cols, seed * 7919 % Numbers::kPeriod, exponent);
}

absl::StatusOr<KnownMatrix> BenchMemory::Scaled(const CudaBench& bench,
                                                const KnownMatrix& known,
                                                int doublings) {
  return Fill(bench, known.device.rows, known.device.cols, known.place,
              -std::ilogb(known.factor) - doublings);
}

absl::StatusOr<KnownMatrix> BenchMemory::Fill(const CudaBench& bench,
                                              int64_t rows, int64_t cols,
                                              int64_t place, int exponent) {
  if (cols > Numbers::kLongestRow) {
    return absl::InvalidArgumentError("a benchmark's row is too long");
  }
  KnownMatrix known;
  known.numbers = &bench.numbers;
  known.place = place;
  known.factor = std::ldexp(1.0f, -exponent);
  PEFT_ASSIGN_OR_RETURN(known.device, Matrix(bench, rows, cols));
  const char* const bytes = bench.numbers.Bytes(exponent).data();
  const int64_t size = rows * cols;
  for (int64_t done = 0; done < size;) {
    const int64_t next = (place + done) % Numbers::kPeriod;
    const int64_t count = std::min(size - done, Numbers::kPeriod - next);
    PEFT_RETURN_IF_ERROR(CopyToDevice(bench, known.device.data + kBytes * done,
                                      bytes + kBytes * next, kBytes * count));
    done += count;
  }
  return known;
}

absl::StatusOr<DevicePtr> BenchMemory::Upload(const CudaBench& bench,
                                              const void* data, int64_t bytes) {
  PEFT_ASSIGN_OR_RETURN(const DevicePtr address, Allocate(bench, bytes));
  PEFT_RETURN_IF_ERROR(CopyToDevice(bench, address, data, bytes));
  // `data` may be gone then.
  PEFT_RETURN_IF_ERROR(Synchronize(bench));
  return address;
}

absl::Status Synchronize(const CudaBench& bench) {
  const Driver& driver = bench.device.driver();
  return driver.Check(driver->cuStreamSynchronize(bench.timer.stream().stream),
                      "waiting for the device");
}

absl::StatusOr<float> ReadNumber(const CudaBench& bench,
                                 const DeviceMatrix& matrix, int64_t row,
                                 int64_t col) {
  const Driver& driver = bench.device.driver();
  uint16_t number = 0;
  PEFT_RETURN_IF_ERROR(driver.Check(
      driver->cuMemcpyDtoHAsync_v2(
          &number, matrix.data + kBytes * (row * matrix.stride + col),
          sizeof(number), bench.timer.stream().stream),
      "reading a result"));
  PEFT_RETURN_IF_ERROR(Synchronize(bench));
  return BF16ToF32(number);
}

absl::StatusOr<std::vector<double>> TimeSides(const CudaBench& bench,
                                              absl::Span<Side* const> sides) {
  const Driver& driver = bench.device.driver();
  std::vector<std::unique_ptr<Graph>> graphs;
  std::vector<std::function<absl::Status()>> launches;
  for (Side* const side : sides) {
    if (side == nullptr) continue;
    PEFT_RETURN_IF_ERROR(WarmUp(driver, *side));
    graphs.push_back(std::make_unique<Graph>(driver));
    PEFT_RETURN_IF_ERROR(graphs.back()->Capture(*side));
    launches.push_back([&bench, graph = graphs.back().get()] {
      return graph->Launch(bench.timer.stream().stream);
    });
  }
  const std::vector<absl::FunctionRef<absl::Status()>> turns(launches.begin(),
                                                             launches.end());
  PEFT_ASSIGN_OR_RETURN(const std::vector<double> seconds,
                        bench.timer.TimeInTurns(turns));
  std::vector<double> result;
  auto next = seconds.begin();
  for (Side* const side : sides) {
    result.push_back(side == nullptr ? std::numeric_limits<double>::quiet_NaN()
                                     : *next++);
  }
  return result;
}

}  // namespace peft
