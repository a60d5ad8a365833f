// What ReadPlans accepts must be products, and survive a round trip.
#include <cstdlib>

#include "kernels/cuda/lt/plan_file.h"

namespace {

// That of the corpus.
peft::kernels::cuda::TuningPlace Place() {
  peft::kernels::cuda::TuningPlace place;
  place.device = "NVIDIA H200";
  place.compute_major = 9;
  place.num_multiprocessors = 132;
  place.library_version = 130100;
  return place;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peft::kernels::cuda;  // NOLINT
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto plans = ReadPlans(Place(), bytes);
  if (!plans.ok()) return 0;
  for (const auto& plan : *plans) {
    Gemm gemm;
    if (!GemmFromKey(plan.first, &gemm) || !ValidateGemm(gemm).ok()) {
      std::abort();
    }
  }
  const auto written = WritePlans(Place(), *plans);
  if (!written.ok()) std::abort();
  const auto again = ReadPlans(Place(), *written);
  if (!again.ok() || again->size() != plans->size()) std::abort();
  return 0;
}
