// What the benchmarks on a GPU share: the device and what runs on it, memory
// whose numbers the host knows, and the sides that are measured in turns.
#ifndef BENCHMARKS_CUDA_BENCH_H_
#define BENCHMARKS_CUDA_BENCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/gpu_timer.h"
#include "kernels/cuda/lt/plan_cache.h"

namespace peft {

class LayerInputs;

// What a side runs.
enum class Work { kBase, kForward, kTraining };
// What it has computed: the outputs, and the gradients of A, B and x.
enum class Computed { kY, kDa, kDb, kDx };

// A layer, or some that share their input, by one way of computing them.
class Side {
 public:
  virtual ~Side() = default;

  // Puts its kernels on stream().
  virtual absl::Status Run() = 0;
  virtual kernels::cuda::StreamHandle stream() const = 0;
  // One number of the last run, for which it waits. `output` is the layer's
  // number among those that share x; gradients are those of the first.
  virtual absl::StatusOr<float> At(Computed what, int output, int64_t row,
                                   int64_t col) = 0;
};

// Makes the peer's side of some inputs, which must outlive it.
using MakeSide = std::function<absl::StatusOr<std::unique_ptr<Side>>(
    const LayerInputs& inputs, Work work)>;

// Numbers between -1 and 1 that BF16 can hold, in an order that repeats only
// after kPeriod, a prime, of them: so a matrix on the device needs no copy on
// the host to be compared with.
class Numbers {
 public:
  static constexpr int64_t kPeriod = (int64_t{1} << 20) + 7;
  // As many as that may be read from any place on.
  static constexpr int64_t kLongestRow = int64_t{1} << 15;

  Numbers();

  const float* From(int64_t place) const { return &unit_[place % kPeriod]; }
  // All of kPeriod times 2^-exponent, in BF16.
  const std::vector<char>& Bytes(int exponent);

 private:
  std::vector<float> unit_;
  std::map<int, std::vector<char>> bytes_;
};

// What one GPU is measured with; its device is current. Thread-compatible.
struct CudaBench {
  const kernels::cuda::Device& device;
  const kernels::cuda::AdapterKernels& kernels;
  kernels::cuda::PlanCache& cache;
  kernels::cuda::GpuTimer& timer;
  Numbers& numbers;
  MakeSide peer;     // null: there is none
  bool tune = true;  // cuBLASLt's algorithms are timed first
};

// A matrix of BF16 on the device whose numbers the host knows.
struct KnownMatrix {
  kernels::cuda::DeviceMatrix device;
  const Numbers* numbers = nullptr;
  int64_t place = 0;  // of its first number
  float factor = 1;   // of all of them

  // To be multiplied by `factor`.
  const float* row(int64_t row) const {
    return numbers->From(place + row * device.cols);
  }
  double at(int64_t row, int64_t col) const {
    return double{factor} * this->row(row)[col];
  }
};

// Memory on the device that lives as long as this.
class BenchMemory {
 public:
  // Zero.
  absl::StatusOr<kernels::cuda::DevicePtr> Allocate(const CudaBench& bench,
                                                    int64_t bytes);
  absl::StatusOr<kernels::cuda::DeviceMatrix> Matrix(const CudaBench& bench,
                                                     int64_t rows,
                                                     int64_t cols);
  // Numbers of about 1 / sqrt(terms), so that sums of so many products are
  // about 1; another place for each `seed`.
  absl::StatusOr<KnownMatrix> Known(const CudaBench& bench, int64_t rows,
                                    int64_t cols, int64_t terms, int64_t seed);
  // The same numbers times 2^doublings.
  absl::StatusOr<KnownMatrix> Scaled(const CudaBench& bench,
                                     const KnownMatrix& known, int doublings);
  absl::StatusOr<kernels::cuda::DevicePtr> Upload(const CudaBench& bench,
                                                  const void* data,
                                                  int64_t bytes);
  template <typename T>
  absl::StatusOr<kernels::cuda::DevicePtr> Upload(
      const CudaBench& bench, const std::vector<T>& values) {
    return Upload(bench, values.data(),
                  static_cast<int64_t>(values.size() * sizeof(T)));
  }

 private:
  // Adds a matrix of the numbers from `place` on, times 2^-exponent.
  absl::StatusOr<KnownMatrix> Fill(const CudaBench& bench, int64_t rows,
                                   int64_t cols, int64_t place, int exponent);

  std::vector<kernels::cuda::DeviceBuffer> buffers_;
};

// Waits for the timer's stream.
absl::Status Synchronize(const CudaBench& bench);

// One number of a matrix of BF16, when the timer's stream has computed it.
absl::StatusOr<float> ReadNumber(const CudaBench& bench,
                                 const kernels::cuda::DeviceMatrix& matrix,
                                 int64_t row, int64_t col);

// Seconds of each side as a captured graph with a cold L2 cache: medians of
// repeats in turns. NaN for sides that are null.
absl::StatusOr<std::vector<double>> TimeSides(const CudaBench& bench,
                                              absl::Span<Side* const> sides);

}  // namespace peft

#endif  // BENCHMARKS_CUDA_BENCH_H_
