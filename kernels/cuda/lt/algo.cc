#include "kernels/cuda/lt/algo.h"

#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// Of the value of an attribute, in the library's memory.
size_t SizeOf(LtAlgoAttribute attribute) {
  return attribute >= LtAlgoAttribute::kInnerShape ? sizeof(uint16_t)
                                                   : sizeof(uint32_t);
}

absl::Status SetConfig(const LtLibrary& library, const LtAlgoConfig& config,
                       LtAlgo* algo) {
  // The first is the algorithm's number, which is given when it is made.
  for (int i = 1; i < kLtAlgoAttributes; ++i) {
    const auto attribute = static_cast<LtAlgoAttribute>(i);
    const auto narrow = static_cast<uint16_t>(config[i]);
    const bool is_narrow = SizeOf(attribute) == sizeof(narrow);
    if (is_narrow && narrow != config[i]) {
      return ArgumentError("a parameter of an algorithm is out of its range");
    }
    PEFT_RETURN_IF_ERROR(library.Check(
        library->cublasLtMatmulAlgoConfigSetAttribute(
            algo, attribute,
            is_narrow ? static_cast<const void*>(&narrow) : &config[i],
            SizeOf(attribute)),
        "setting a parameter of an algorithm"));
  }
  return absl::OkStatus();
}

// What the settings ask for, which the library's check does not know.
absl::Status CheckSettings(const LtSettings& settings,
                           const LtAlgoConfig& config,
                           int64_t workspace_bytes) {
  constexpr int kScheme = static_cast<int>(LtAlgoAttribute::kReductionScheme);
  if (settings.deterministic && config[kScheme] != kLtReductionNone) {
    return ArgumentError("an algorithm splits sums, in deterministic mode");
  }
  if (workspace_bytes > settings.workspace_bytes) {
    return ArgumentError("an algorithm needs more workspace than is allowed");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<LtCandidate>> FindCandidates(
    const LtHandle& handle, const LtDescriptors& descriptors, int count) {
  std::vector<LtHeuristicResult> results(count);
  int found = 0;
  const LtStatus status = handle.library()->cublasLtMatmulAlgoGetHeuristic(
      handle.get(), &descriptors.desc, &descriptors.a, &descriptors.b,
      &descriptors.d, &descriptors.d, &descriptors.preference, count,
      results.data(), &found);
  PEFT_RETURN_IF_ERROR(handle.library().Check(status, "choosing an algorithm"));
  std::vector<LtCandidate> candidates;
  for (int i = 0; i < found && i < count; ++i) {
    if (results[i].state != kLtSuccess) continue;
    candidates.push_back(
        {results[i].algo, static_cast<int64_t>(results[i].workspace_bytes)});
  }
  if (candidates.empty()) {
    return handle.library().Check(kLtNotSupported, "choosing an algorithm");
  }
  return candidates;
}

absl::StatusOr<LtAlgoConfig> ConfigOf(const LtLibrary& library,
                                      const LtAlgo& algo) {
  LtAlgoConfig config = {};
  for (int i = 0; i < kLtAlgoAttributes; ++i) {
    const auto attribute = static_cast<LtAlgoAttribute>(i);
    uint16_t narrow = 0;
    const bool is_narrow = SizeOf(attribute) == sizeof(narrow);
    size_t written = 0;
    PEFT_RETURN_IF_ERROR(
        library.Check(library->cublasLtMatmulAlgoConfigGetAttribute(
                          &algo, attribute,
                          is_narrow ? static_cast<void*>(&narrow) : &config[i],
                          SizeOf(attribute), &written),
                      "reading a parameter of an algorithm"));
    if (is_narrow) config[i] = narrow;
  }
  return config;
}

absl::StatusOr<LtCandidate> CandidateOf(const LtHandle& handle,
                                        const LtDescriptors& descriptors,
                                        const LtSettings& settings,
                                        const LtAlgoConfig& config) {
  const LtLibrary& library = handle.library();
  LtCandidate candidate;
  PEFT_RETURN_IF_ERROR(library.Check(
      library->cublasLtMatmulAlgoInit(
          handle.get(), descriptors.compute, LtDataType::kF32,
          descriptors.in_type, descriptors.in_type, descriptors.out_type,
          descriptors.out_type, static_cast<int>(config[0]), &candidate.algo),
      "making an algorithm"));
  PEFT_RETURN_IF_ERROR(SetConfig(library, config, &candidate.algo));
  LtHeuristicResult result = {};
  PEFT_RETURN_IF_ERROR(library.Check(
      library->cublasLtMatmulAlgoCheck(
          handle.get(), &descriptors.desc, &descriptors.a, &descriptors.b,
          &descriptors.d, &descriptors.d, &candidate.algo, &result),
      "checking an algorithm"));
  PEFT_RETURN_IF_ERROR(library.Check(result.state, "checking an algorithm"));
  candidate.workspace_bytes = static_cast<int64_t>(result.workspace_bytes);
  PEFT_RETURN_IF_ERROR(
      CheckSettings(settings, config, candidate.workspace_bytes));
  return candidate;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
