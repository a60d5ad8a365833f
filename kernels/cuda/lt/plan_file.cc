#include "kernels/cuda/lt/plan_file.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/lt/plan_file_generated.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr uint32_t kFormatVersion = 1;

absl::Status BadFile(absl::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kCudaPlans,
                   absl::StrCat("the tuned plans ", message,
                                "; tune again and write the file anew"));
}

absl::Status OtherPlace(const char* what, const std::string& expected,
                        const std::string& found) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kCudaPlans,
      absl::StrCat("the tuned plans are for ", what, " ", found, ", expected ",
                   expected, "; tune again on this machine"),
      {what, expected, found});
}

// Both by the same words, so that the first that differs can be named.
struct PlaceField {
  const char* name;
  std::string text;
};

std::vector<PlaceField> FieldsOf(const TuningPlace& place) {
  return {
      {"the device", place.device},
      {"compute capability",
       absl::StrCat(place.compute_major, ".", place.compute_minor)},
      {"the number of multiprocessors",
       absl::StrCat(place.num_multiprocessors)},
      {"cuBLASLt", absl::StrCat(place.library_version)},
      {"a workspace of bytes", absl::StrCat(place.settings.workspace_bytes)},
      {"deterministic", absl::StrCat(place.settings.deterministic)},
      {"allow_tf32", absl::StrCat(place.settings.allow_tf32)}};
}

TuningPlace PlaceOf(const fbs::PlanFile& file) {
  TuningPlace place;
  if (file.device() != nullptr) place.device = file.device()->str();
  place.compute_major = file.compute_major();
  place.compute_minor = file.compute_minor();
  place.num_multiprocessors = file.num_multiprocessors();
  place.library_version = file.library_version();
  place.settings.workspace_bytes = file.workspace_bytes();
  place.settings.deterministic = file.deterministic();
  place.settings.allow_tf32 = file.allow_tf32();
  return place;
}

absl::Status CheckPlace(const TuningPlace& expected,
                        const fbs::PlanFile& file) {
  const std::vector<PlaceField> wanted = FieldsOf(expected);
  const std::vector<PlaceField> found = FieldsOf(PlaceOf(file));
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].text != found[i].text) {
      return OtherPlace(wanted[i].name, wanted[i].text, found[i].text);
    }
  }
  return absl::OkStatus();
}

absl::Status ReadPlan(const fbs::Plan& plan, TunedAlgos* tuned) {
  GemmKey key = {};
  TunedAlgo algo;
  if (plan.gemm() == nullptr || plan.gemm()->size() != key.size() ||
      plan.algo() == nullptr || plan.algo()->size() != algo.config.size()) {
    return BadFile("have a plan of the wrong length");
  }
  std::copy(plan.gemm()->begin(), plan.gemm()->end(), key.begin());
  std::copy(plan.algo()->begin(), plan.algo()->end(), algo.config.begin());
  algo.seconds = plan.seconds();
  Gemm gemm;
  if (!GemmFromKey(key, &gemm) || !ValidateGemm(gemm).ok() ||
      KeyOf(BucketOf(gemm)) != key) {
    return BadFile("have a plan of a product that does not exist");
  }
  if (!std::isfinite(algo.seconds) || algo.seconds < 0) {
    return BadFile("have a plan without a time");
  }
  if (!tuned->emplace(key, algo).second) {
    return BadFile("have two plans of one product");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> WritePlans(const TuningPlace& place,
                                       const TunedAlgos& tuned) {
  if (static_cast<int64_t>(tuned.size()) > kMaxPlanFilePlans) {
    return ArgumentError(absl::StrCat("a file holds at most ",
                                      kMaxPlanFilePlans, " plans, not ",
                                      tuned.size()));
  }
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fbs::Plan>> plans;
  for (const auto& one : tuned) {
    const auto gemm = builder.CreateVector(one.first.data(), one.first.size());
    const auto algo = builder.CreateVector(one.second.config.data(),
                                           one.second.config.size());
    plans.push_back(fbs::CreatePlan(builder, gemm, algo, one.second.seconds));
  }
  const auto device = builder.CreateString(place.device);
  const auto all = builder.CreateVector(plans);
  fbs::FinishPlanFileBuffer(
      builder,
      fbs::CreatePlanFile(builder, kFormatVersion, device, place.compute_major,
                          place.compute_minor, place.num_multiprocessors,
                          place.library_version, place.settings.workspace_bytes,
                          place.settings.deterministic,
                          place.settings.allow_tf32, all));
  return std::string(reinterpret_cast<const char*>(builder.GetBufferPointer()),
                     builder.GetSize());
}

absl::StatusOr<TunedAlgos> ReadPlans(const TuningPlace& place,
                                     absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > kMaxPlanFileBytes) {
    return BadFile(absl::StrCat("are ", bytes.size(), " bytes, at most ",
                                kMaxPlanFileBytes, " are read"));
  }
  // The verifier wants what it reads aligned, as a new array is.
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  flatbuffers::Verifier verifier(copy.data(), copy.size(), /*max_depth=*/8,
                                 /*max_tables=*/kMaxPlanFilePlans + 1);
  if (copy.size() < sizeof(uint64_t) || !fbs::VerifyPlanFileBuffer(verifier)) {
    return BadFile("are not a file of that kind, or a damaged one");
  }
  const fbs::PlanFile& file = *fbs::GetPlanFile(copy.data());
  if (file.format_version() != kFormatVersion) {
    return BadFile(absl::StrCat("have format ", file.format_version(),
                                ", expected ", kFormatVersion));
  }
  PEFT_RETURN_IF_ERROR(CheckPlace(place, file));
  TunedAlgos tuned;
  if (file.plans() == nullptr) return tuned;
  for (const fbs::Plan* plan : *file.plans()) {
    PEFT_RETURN_IF_ERROR(ReadPlan(*plan, &tuned));
  }
  return tuned;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
