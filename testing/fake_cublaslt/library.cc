// The library's state, and products: heuristic, check, run.
#include <atomic>
#include <cstring>
#include <string>

#include "kernels/cuda/lt/abi.h"
#include "testing/fake_cublaslt/state.h"

namespace peft {
namespace testing {
namespace lt {
namespace {

FakeCublasLtSettings settings;
std::atomic<int64_t> runs;
thread_local std::string reason;

// All handles are one: there is one device.
LtHandleType TheHandle() {
  static char storage;
  return reinterpret_cast<LtHandleType>(&storage);
}

Algo MakeAlgo(AlgoId id, int64_t splits) {
  Algo algo = {};
  algo.magic = kMagic;
  algo.version = static_cast<uint32_t>(settings.version);
  const auto set = [&algo](LtAlgoAttribute attribute, int64_t value) {
    algo.config[static_cast<int>(attribute)] = static_cast<uint32_t>(value);
  };
  set(LtAlgoAttribute::kId, id);
  set(LtAlgoAttribute::kTile, id + 1);
  set(LtAlgoAttribute::kStages, 2);
  set(LtAlgoAttribute::kSplitK, splits);
  set(LtAlgoAttribute::kReductionScheme,
      splits > 1 ? kLtReductionComputeType : kLtReductionNone);
  return algo;
}

// Whether the preference lets the algorithm pass.
bool Allows(const Preference& preference, const Algo& algo,
            int64_t workspace_bytes) {
  const bool wide =
      algo.config[static_cast<int>(LtAlgoAttribute::kId)] != kPlain;
  for (uint32_t alignment : preference.alignment) {
    if (wide && alignment < 16) return false;
  }
  const uint32_t scheme =
      algo.config[static_cast<int>(LtAlgoAttribute::kReductionScheme)];
  return (scheme & ~preference.reduction_mask) == 0 &&
         workspace_bytes <= static_cast<int64_t>(preference.workspace_bytes);
}

bool AlignmentsAreValid(const Problem& problem, const Preference& preference) {
  const Layout* const layouts[] = {problem.a, problem.b, problem.c, problem.d};
  for (int i = 0; i < 4; ++i) {
    const uint32_t alignment = preference.alignment[i];
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 ||
        alignment < SizeOf(layouts[i]->type)) {
      return false;
    }
  }
  return true;
}

// The only algorithm for groups, if it may have its workspace.
LtStatus ChooseGrouped(const Problem& problem, const Preference& preference,
                       LtHeuristicResult* result, int* found) {
  const int64_t bytes = GroupedWorkspaceBytes(problem);
  *found = bytes <= static_cast<int64_t>(preference.workspace_bytes) ? 1 : 0;
  if (*found == 0) return Accept();
  *result = {};
  *As<Algo>(&result->algo) = MakeAlgo(kWide, 1);
  result->workspace_bytes = static_cast<size_t>(bytes);
  result->waves = 1;
  return Accept();
}

Problem ProblemOf(const LtMatmulDesc* desc, const LtMatrixLayout* a,
                  const LtMatrixLayout* b, const LtMatrixLayout* c,
                  const LtMatrixLayout* d) {
  return {As<Desc>(desc), As<Layout>(a), As<Layout>(b), As<Layout>(c),
          As<Layout>(d)};
}

// A product that waits for its turn: descriptors are copied, memory is not,
// nor is what alpha and beta in host memory were when it was called.
struct Waiting {
  Desc desc;
  Layout a;
  Layout b;
  Layout c;
  Layout d;
  Algo algo;
  Operands operands;
  float alpha;
  float beta;

  void Run() {
    if (desc.pointer_mode == LtPointerMode::kHost) operands.alpha = &alpha;
    if (desc.pointer_mode != LtPointerMode::kDevice) operands.beta = &beta;
    const Problem problem = {&desc, &a, &b, &c, &d};
    if (IsGrouped(problem)) {
      MultiplyGroups(problem, operands);
    } else {
      Multiply(problem, algo, operands);
    }
    ++runs;
  }
};

void RunWaiting(void* waiting) { static_cast<Waiting*>(waiting)->Run(); }
void DropWaiting(void* waiting) { delete static_cast<Waiting*>(waiting); }

void Start(const Problem& problem, const Algo& algo, const Operands& operands) {
  auto* const waiting =
      new Waiting{*problem.desc, *problem.a, *problem.b, *problem.c, *problem.d,
                  algo,          operands,   0,          0};
  const LtPointerMode mode = problem.desc->pointer_mode;
  if (mode == LtPointerMode::kHost) {
    waiting->alpha = *static_cast<const float*>(operands.alpha);
    waiting->beta = *static_cast<const float*>(operands.beta);
  }
  if (settings.enqueue != nullptr) {
    settings.enqueue(operands.stream, RunWaiting, DropWaiting, waiting);
    return;
  }
  RunWaiting(waiting);
  DropWaiting(waiting);
}

}  // namespace

const FakeCublasLtSettings& Settings() { return settings; }

const std::string& Reason() { return reason; }

LtStatus Refuse(LtStatus status, const std::string& why) {
  reason = why;
  return status;
}

LtStatus Accept() {
  reason.clear();
  return kLtSuccess;
}

bool IsHandle(LtHandleType handle) { return handle == TheHandle(); }

}  // namespace lt
}  // namespace testing
}  // namespace peft

using namespace peft::testing;      // NOLINT: as the library's users see it.
using namespace peft::testing::lt;  // NOLINT

extern "C" {

void peft_fake_cublaslt_set(const FakeCublasLtSettings* to) {
  settings = *to;
  ForgetWorkspaces();
}
const char* peft_fake_cublaslt_reason() { return reason.c_str(); }
int64_t peft_fake_cublaslt_runs() { return runs; }

size_t cublasLtGetVersion() { return settings.version; }

const char* cublasLtGetStatusName(LtStatus status) {
  switch (status) {
    case kLtSuccess:
      return "CUBLAS_STATUS_SUCCESS";
    case kLtNotInitialized:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case kLtAllocFailed:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case kLtInvalidValue:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case kLtExecutionFailed:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case kLtNotSupported:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "unrecognized status";
  }
}

LtStatus cublasLtCreate(LtHandleType* handle) {
  if (handle == nullptr) return Refuse(kLtInvalidValue, "no handle");
  if (!settings.device) return Refuse(kLtNotInitialized, "no device");
  *handle = TheHandle();
  return Accept();
}

LtStatus cublasLtDestroy(LtHandleType handle) {
  if (!IsHandle(handle)) return Refuse(kLtNotInitialized, "no handle");
  return Accept();
}

LtStatus cublasLtMatmulAlgoGetHeuristic(
    LtHandleType handle, const LtMatmulDesc* desc, const LtMatrixLayout* a,
    const LtMatrixLayout* b, const LtMatrixLayout* c, const LtMatrixLayout* d,
    const LtPreference* preference, int requested, LtHeuristicResult* results,
    int* found) {
  if (!IsHandle(handle)) return Refuse(kLtNotInitialized, "no handle");
  if (requested <= 0 || results == nullptr || found == nullptr) {
    return Refuse(kLtInvalidValue, "there is no room for a result");
  }
  const Problem problem = ProblemOf(desc, a, b, c, d);
  if (const LtStatus status = CheckProblem(problem)) return status;
  const Preference& preferred = *As<Preference>(preference);
  if (preferred.magic != kMagic || !AlignmentsAreValid(problem, preferred)) {
    return Refuse(kLtInvalidValue, "an alignment is not one of memory");
  }
  if (IsGrouped(problem)) {
    return ChooseGrouped(problem, preferred, results, found);
  }
  // Long sums of few results are split first, as on a real device.
  const int64_t splits = problem.k() >= 4 * problem.m() ? 4 : 2;
  *found = 0;
  for (AlgoId id : {kSplitK, kWide, kPlain}) {
    const Algo algo = MakeAlgo(id, id == kSplitK ? splits : 1);
    int64_t workspace_bytes = 0;
    if (*found == requested ||
        CheckAlgo(problem, algo, &workspace_bytes) != kLtSuccess ||
        !Allows(preferred, algo, workspace_bytes)) {
      continue;
    }
    LtHeuristicResult& result = results[(*found)++];
    result = {};
    *As<Algo>(&result.algo) = algo;
    result.workspace_bytes = static_cast<size_t>(workspace_bytes);
    result.waves = 1;
  }
  return Accept();
}

LtStatus cublasLtMatmulAlgoInit(LtHandleType handle, LtCompute compute,
                                LtDataType scale_type, LtDataType a,
                                LtDataType b, LtDataType c, LtDataType d,
                                int id, LtAlgo* algo) {
  if (!IsHandle(handle)) return Refuse(kLtNotInitialized, "no handle");
  if (algo == nullptr || id < 0 || id >= kNumAlgos || a != b || c != d ||
      compute < LtCompute::kF32 || scale_type != LtDataType::kF32) {
    return Refuse(kLtInvalidValue, "there is no such algorithm");
  }
  *algo = {};
  Algo made = MakeAlgo(static_cast<AlgoId>(id), 1);
  made.config[static_cast<int>(LtAlgoAttribute::kTile)] = 0;
  made.config[static_cast<int>(LtAlgoAttribute::kStages)] = 0;
  *As<Algo>(algo) = made;
  return Accept();
}

LtStatus cublasLtMatmulAlgoCheck(LtHandleType handle, const LtMatmulDesc* desc,
                                 const LtMatrixLayout* a,
                                 const LtMatrixLayout* b,
                                 const LtMatrixLayout* c,
                                 const LtMatrixLayout* d, const LtAlgo* algo,
                                 LtHeuristicResult* result) {
  if (!IsHandle(handle)) return Refuse(kLtNotInitialized, "no handle");
  const Problem problem = ProblemOf(desc, a, b, c, d);
  if (const LtStatus status = CheckProblem(problem)) return status;
  if (IsGrouped(problem)) {
    return Refuse(kLtNotSupported, "nobody checks algorithms for groups");
  }
  int64_t workspace_bytes = 0;
  if (const LtStatus status =
          CheckAlgo(problem, *As<Algo>(algo), &workspace_bytes)) {
    return status;
  }
  *result = {};
  result->algo = *algo;
  result->workspace_bytes = static_cast<size_t>(workspace_bytes);
  return Accept();
}

LtStatus cublasLtMatmul(LtHandleType handle, const LtMatmulDesc* desc,
                        const void* alpha, const void* a,
                        const LtMatrixLayout* a_layout, const void* b,
                        const LtMatrixLayout* b_layout, const void* beta,
                        const void* c, const LtMatrixLayout* c_layout, void* d,
                        const LtMatrixLayout* d_layout, const LtAlgo* algo,
                        void* workspace, size_t workspace_bytes,
                        StreamHandle stream) {
  if (!IsHandle(handle)) return Refuse(kLtNotInitialized, "no handle");
  const Problem problem =
      ProblemOf(desc, a_layout, b_layout, c_layout, d_layout);
  if (const LtStatus status = CheckProblem(problem)) return status;
  const Operands operands = {
      alpha, a, b, beta, c, d, workspace, static_cast<int64_t>(workspace_bytes),
      stream};
  const Algo& chosen = *As<Algo>(algo);
  const LtStatus status = IsGrouped(problem)
                              ? CheckGroupedOperands(problem, operands)
                              : CheckOperands(problem, chosen, operands);
  if (status != kLtSuccess) return status;
  Start(problem, chosen, operands);
  return Accept();
}

}  // extern "C"
