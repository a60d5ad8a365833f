// What kernels/cuda promises of its speed, measured: each function prints a
// table and adds its bounds.
#ifndef BENCHMARKS_CUDA_MEASUREMENTS_H_
#define BENCHMARKS_CUDA_MEASUREMENTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "benchmarks/cuda/bench.h"
#include "benchmarks/cuda/report.h"

namespace peft {

// One layer of size x size.
struct SingleLayers {
  struct Size {
    int64_t size = 0;
    double limit = 0;  // percent over the base, of one adapter at one row
  };
  std::vector<Size> sizes = {{4096, 30}, {8192, 12}};
  std::vector<int64_t> ranks = {8, 16, 32, 64, 128};
  std::vector<int64_t> rows = {1, 4, 16, 32, 64, 256, 1024, 2048, 4096, 8192};
  // Of the bounds.
  int64_t rank = 16;
  // The fewest that a step of training has.
  int64_t training_rows = 256;
};

// One layer for rows of several adapters, many of each.
struct RowGroups {
  int64_t size = 4096;
  int64_t rank = 16;
  int64_t adapters = 4;
  std::vector<int64_t> rows = {64, 256, 1024};  // of each adapter
};

// All linears of one decode step; a model of 7B parameters by default.
struct DecodeSteps {
  int layers = 32;
  int64_t hidden = 4096;
  int64_t intermediate = 11008;
  int64_t rank = 16;
  std::vector<int64_t> rows = {1, 8, 16, 32};
  // A row for each of so many adapters.
  int64_t batch = 32;
};

absl::Status MeasureSingleLayers(const CudaBench& bench,
                                 const SingleLayers& cases, Report& report);
absl::Status MeasureRowGroups(const CudaBench& bench, const RowGroups& cases,
                              Report& report);
absl::Status MeasureDecodeSteps(const CudaBench& bench,
                                const DecodeSteps& cases, Report& report);
// Exchanges two adapters of such a model that are in device memory.
absl::Status MeasureSwitch(const CudaBench& bench, const DecodeSteps& model,
                           Report& report);

}  // namespace peft

#endif  // BENCHMARKS_CUDA_MEASUREMENTS_H_
