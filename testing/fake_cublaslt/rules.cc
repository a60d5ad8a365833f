// What is refused. A status is the real library's where we know it; tests
// compare only whether a case is accepted.
#include <cstdint>
#include <map>
#include <mutex>

#include "testing/fake_cublaslt/state.h"

namespace peft {
namespace testing {
namespace lt {
namespace {

constexpr int64_t kWideBytes = 16;
constexpr int64_t kWorkspaceAlignment = 256;

bool IsRealType(LtDataType type) {
  return type == LtDataType::kF32 || type == LtDataType::kF16 ||
         type == LtDataType::kBF16;
}

LtStatus CheckLayout(const char* name, const Layout& layout) {
  const std::string text(name);
  if (layout.magic != kMagic) {
    return Refuse(kLtInvalidValue, text + " was not initialised");
  }
  if (!IsRealType(layout.type)) {
    return Refuse(kLtNotSupported, text + " has a type that is unknown here");
  }
  if (layout.order != LtOrder::kColumn) {
    return Refuse(kLtNotSupported, text + " is not ordered by columns");
  }
  if (layout.rows == 0 || layout.cols == 0) {
    return Refuse(kLtInvalidValue, text + " is empty");
  }
  if (layout.ld < static_cast<int64_t>(layout.rows)) {
    return Refuse(kLtInvalidValue, text + " has a leading dimension of " +
                                       std::to_string(layout.ld) +
                                       ", less than its " +
                                       std::to_string(layout.rows) + " rows");
  }
  if (layout.batch_count < 1) {
    return Refuse(kLtInvalidValue, text + " has a batch count below 1");
  }
  return kLtSuccess;
}

LtStatus CheckLayouts(const Problem& problem) {
  if (const LtStatus status = CheckLayout("A", *problem.a)) return status;
  if (const LtStatus status = CheckLayout("B", *problem.b)) return status;
  if (const LtStatus status = CheckLayout("C", *problem.c)) return status;
  return CheckLayout("D", *problem.d);
}

LtStatus CheckTypes(const Problem& problem) {
  const Desc& desc = *problem.desc;
  const LtDataType in = problem.a->type;
  const LtDataType out = problem.d->type;
  const bool tf32 = desc.compute == LtCompute::kF32FastTf32;
  if (desc.compute != LtCompute::kF32 && !tf32) {
    return Refuse(kLtNotSupported, "the compute type is unknown here");
  }
  if (tf32 && in != LtDataType::kF32) {
    return Refuse(kLtNotSupported, "TF32 is for F32 alone");
  }
  if (desc.scale_type != LtDataType::kF32) {
    return Refuse(kLtNotSupported, "the scale type is not F32");
  }
  if (problem.b->type != in || problem.c->type != out ||
      (out != in && out != LtDataType::kF32)) {
    return Refuse(kLtNotSupported, "no product has these types");
  }
  return kLtSuccess;
}

LtStatus CheckShapes(const Problem& problem) {
  const Desc& desc = *problem.desc;
  for (LtOperation operation : {desc.trans_a, desc.trans_b}) {
    if (operation != LtOperation::kNone &&
        operation != LtOperation::kTranspose) {
      return Refuse(kLtInvalidValue, "an operation on A or B is unknown");
    }
  }
  if (desc.trans_c != LtOperation::kNone) {
    return Refuse(kLtNotSupported, "C cannot be transposed");
  }
  const bool a_as_is = desc.trans_a == LtOperation::kNone;
  const bool b_as_is = desc.trans_b == LtOperation::kNone;
  const uint64_t a_rows = a_as_is ? problem.a->rows : problem.a->cols;
  const uint64_t b_rows = b_as_is ? problem.b->rows : problem.b->cols;
  const uint64_t b_cols = b_as_is ? problem.b->cols : problem.b->rows;
  if (b_rows != static_cast<uint64_t>(problem.k()) ||
      a_rows != problem.d->rows || b_cols != problem.d->cols) {
    return Refuse(kLtInvalidValue, "the shapes of A, B and D do not fit");
  }
  if (problem.c->rows != problem.d->rows ||
      problem.c->cols != problem.d->cols) {
    return Refuse(kLtInvalidValue, "C and D have different shapes");
  }
  return kLtSuccess;
}

LtStatus CheckBatch(const Problem& problem) {
  const int32_t count = problem.d->batch_count;
  for (const Layout* layout : {problem.a, problem.b, problem.c, problem.d}) {
    if (layout->batch_count != count) {
      return Refuse(kLtInvalidValue, "batch counts differ");
    }
  }
  const int64_t matrix = problem.d->ld * static_cast<int64_t>(problem.d->cols);
  if (count > 1 && problem.d->batch_stride < matrix) {
    return Refuse(kLtInvalidValue, "the matrices of D overlap");
  }
  return kLtSuccess;
}

LtStatus CheckEpilogue(const Problem& problem) {
  const Desc& desc = *problem.desc;
  switch (desc.epilogue) {
    case LtEpilogue::kDefault:
    case LtEpilogue::kRelu:
    case LtEpilogue::kBias:
    case LtEpilogue::kReluBias:
    case LtEpilogue::kGelu:
    case LtEpilogue::kGeluBias:
      break;
    default:
      return Refuse(kLtNotSupported, "the epilogue is unknown here");
  }
  if (!HasBias(desc)) return kLtSuccess;
  if (desc.bias == nullptr) {
    return Refuse(kLtInvalidValue, "an epilogue with a bias has none");
  }
  if (desc.bias_type != -1 &&
      desc.bias_type != static_cast<int32_t>(problem.d->type)) {
    return Refuse(kLtNotSupported, "the bias is not of D's type");
  }
  if (problem.d->batch_count > 1 && desc.bias_batch_stride != 0 &&
      desc.bias_batch_stride < problem.m()) {
    return Refuse(kLtInvalidValue, "the biases of a batch overlap");
  }
  return kLtSuccess;
}

LtStatus CheckPointerMode(const Desc& desc) {
  switch (desc.pointer_mode) {
    case LtPointerMode::kHost:
    case LtPointerMode::kDevice:
      return kLtSuccess;
    case LtPointerMode::kAlphaDeviceVectorBetaZero:
      if (Settings().alpha_vector) return kLtSuccess;
      break;
    default:
      break;
  }
  return Refuse(kLtNotSupported, "the pointer mode is not supported");
}

// The address and the step from column to column.
bool IsWide(const Layout& layout) {
  return layout.ld * SizeOf(layout.type) % kWideBytes == 0;
}

bool IsAligned(const void* pointer, int64_t alignment) {
  return reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

int64_t NumSplits(const Algo& algo) {
  return algo.config[static_cast<int>(LtAlgoAttribute::kSplitK)];
}

// The stream that used each workspace first, to which it belongs.
std::mutex owners_mutex;
std::map<void*, StreamHandle>& Owners() {
  static auto* const owners = new std::map<void*, StreamHandle>;
  return *owners;
}

LtStatus CheckWorkspaceOwner(const Operands& operands) {
  if (Settings().shared_workspaces) return kLtSuccess;
  std::lock_guard<std::mutex> lock(owners_mutex);
  const auto owner =
      Owners().emplace(operands.workspace, operands.stream).first;
  if (owner->second == operands.stream) return kLtSuccess;
  return Refuse(kLtInvalidValue, "two streams share a workspace");
}

// An operand beside D: it may be D itself if it is C, else it lies elsewhere.
LtStatus CheckBesideD(const Problem& problem, const Range& range, bool may_be_d,
                      const Range& d) {
  if (may_be_d && range.begin == d.begin) {
    if (problem.c->ld == problem.d->ld) return kLtSuccess;
    return Refuse(kLtInvalidValue, "C is D, with another leading dimension");
  }
  if (!range.Overlaps(d)) return kLtSuccess;
  return Refuse(kLtInvalidValue, std::string(range.name) + " overlaps D");
}

// The matrices and the bias.
LtStatus CheckMatrices(const Problem& problem, const Algo& algo,
                       const Operands& operands) {
  const bool wide =
      algo.config[static_cast<int>(LtAlgoAttribute::kId)] != kPlain;
  const auto alignment = [wide](LtDataType type) {
    return wide ? kWideBytes : SizeOf(type);
  };
  const auto range = [](const char* name, const void* begin, int64_t bytes) {
    return Range{name, static_cast<const char*>(begin), bytes};
  };
  const Range d = range("D", operands.d, ExtentOf(*problem.d));
  const Range a = range("A", operands.a, ExtentOf(*problem.a));
  const Range b = range("B", operands.b, ExtentOf(*problem.b));
  const Range c = range("C", operands.c, ExtentOf(*problem.c));
  const std::pair<const Range*, LtDataType> matrices[] = {
      {&d, problem.d->type},
      {&a, problem.a->type},
      {&b, problem.b->type},
      {&c, problem.c->type}};
  for (const auto& matrix : matrices) {
    if (const LtStatus status =
            CheckRange(*matrix.first, alignment(matrix.second))) {
      return status;
    }
    if (matrix.first == &d) continue;
    if (const LtStatus status =
            CheckBesideD(problem, *matrix.first, matrix.first == &c, d)) {
      return status;
    }
  }
  if (!HasBias(*problem.desc)) return kLtSuccess;
  const int64_t size = SizeOf(problem.d->type);
  const Range bias = range("the bias", problem.desc->bias, problem.m() * size);
  if (const LtStatus status = CheckRange(bias, size)) return status;
  return CheckBesideD(problem, bias, /*may_be_d=*/false, d);
}

}  // namespace

void ForgetWorkspaces() {
  std::lock_guard<std::mutex> lock(owners_mutex);
  Owners().clear();
}

LtStatus CheckRange(const Range& range, int64_t alignment) {
  const std::string name(range.name);
  if (range.begin == nullptr) {
    return Refuse(kLtInvalidValue, name + " is null");
  }
  if (!IsAligned(range.begin, alignment)) {
    return Refuse(kLtInvalidValue, name + " is not at a multiple of " +
                                       std::to_string(alignment));
  }
  if (Resolve(range.begin, range.bytes) == nullptr) {
    return Refuse(kLtExecutionFailed, name + " is not in device memory");
  }
  return kLtSuccess;
}

LtStatus CheckWorkspace(const Operands& operands, int64_t needed) {
  if (needed == 0) return kLtSuccess;
  if (operands.workspace_bytes < needed) {
    return Refuse(kLtInvalidValue, "the workspace is too small");
  }
  const Range range = {"the workspace",
                       static_cast<const char*>(operands.workspace), needed};
  if (const LtStatus status = CheckRange(range, kWorkspaceAlignment)) {
    return status;
  }
  return CheckWorkspaceOwner(operands);
}

LtStatus CheckScales(const Problem& problem, const Operands& operands) {
  constexpr int64_t kSize = sizeof(float);
  const LtPointerMode mode = problem.desc->pointer_mode;
  if (operands.alpha == nullptr || operands.beta == nullptr) {
    return Refuse(kLtInvalidValue, "alpha or beta is null");
  }
  if (mode == LtPointerMode::kHost) return kLtSuccess;
  const bool vector = mode == LtPointerMode::kAlphaDeviceVectorBetaZero;
  const Range alpha = {"alpha", static_cast<const char*>(operands.alpha),
                       vector ? problem.m() * kSize : kSize};
  if (const LtStatus status = CheckRange(alpha, kSize)) return status;
  if (vector) return kLtSuccess;
  return CheckRange({"beta", static_cast<const char*>(operands.beta), kSize},
                    kSize);
}

int64_t SizeOf(LtDataType type) { return type == LtDataType::kF32 ? 4 : 2; }

int64_t ExtentOf(const Layout& layout) {
  const int64_t matrix = layout.ld * (static_cast<int64_t>(layout.cols) - 1) +
                         static_cast<int64_t>(layout.rows);
  return (matrix + layout.batch_stride * (layout.batch_count - 1)) *
         SizeOf(layout.type);
}

LtStatus CheckProblem(const Problem& problem) {
  if (problem.desc->magic != kMagic) {
    return Refuse(kLtInvalidValue, "the product was not initialised");
  }
  if (IsGrouped(problem)) return CheckGroupedProblem(problem);
  if (const LtStatus status = CheckLayouts(problem)) return status;
  if (const LtStatus status = CheckTypes(problem)) return status;
  if (const LtStatus status = CheckShapes(problem)) return status;
  if (const LtStatus status = CheckBatch(problem)) return status;
  if (const LtStatus status = CheckEpilogue(problem)) return status;
  return CheckPointerMode(*problem.desc);
}

LtStatus CheckAlgo(const Problem& problem, const Algo& algo,
                   int64_t* workspace_bytes) {
  using Attribute = LtAlgoAttribute;
  const auto config = [&algo](Attribute attribute) {
    return algo.config[static_cast<int>(attribute)];
  };
  if (algo.magic != kMagic || algo.version != Settings().version) {
    return Refuse(kLtInvalidValue,
                  "an algorithm is not of this version of the library");
  }
  const uint32_t id = config(Attribute::kId);
  const int64_t splits = NumSplits(algo);
  const bool is_split = id == kSplitK;
  if (id >= kNumAlgos || config(Attribute::kTile) > 3 ||
      config(Attribute::kStages) > 4 || config(Attribute::kSwizzling) > 1 ||
      config(Attribute::kCustomOption) != 0 ||
      config(Attribute::kInnerShape) != 0 ||
      config(Attribute::kClusterShape) != 0) {
    return Refuse(kLtInvalidValue, "an algorithm has no such parameter");
  }
  if (config(Attribute::kReductionScheme) !=
          (is_split ? kLtReductionComputeType : kLtReductionNone) ||
      (is_split ? splits < 2 || splits > problem.k() : splits > 1)) {
    return Refuse(kLtInvalidValue, "a sum is split as it cannot be");
  }
  if (id != kPlain && !(IsWide(*problem.a) && IsWide(*problem.b) &&
                        IsWide(*problem.c) && IsWide(*problem.d))) {
    return Refuse(kLtNotSupported,
                  "an algorithm needs columns at multiples of 16 bytes");
  }
  *workspace_bytes = is_split ? splits * problem.m() * problem.n() *
                                    static_cast<int64_t>(sizeof(float))
                              : 0;
  return kLtSuccess;
}

void* Resolve(const void* address, int64_t bytes) {
  const auto resolve = Settings().resolve;
  if (resolve == nullptr) return const_cast<void*>(address);
  return resolve(address, static_cast<uint64_t>(bytes));
}

LtStatus CheckOperands(const Problem& problem, const Algo& algo,
                       const Operands& operands) {
  if (const LtStatus status = CheckMatrices(problem, algo, operands)) {
    return status;
  }
  int64_t workspace_bytes = 0;
  if (const LtStatus status = CheckAlgo(problem, algo, &workspace_bytes)) {
    return status;
  }
  if (const LtStatus status = CheckWorkspace(operands, workspace_bytes)) {
    return status;
  }
  return CheckScales(problem, operands);
}

}  // namespace lt
}  // namespace testing
}  // namespace peft
