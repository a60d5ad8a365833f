// Products of groups: sizes and addresses lie in device memory, where the real
// library does not look at them either before it multiplies. This one then
// holds each group to the rules of a product by itself.
#include <cstdint>
#include <string>

#include "testing/fake_cublaslt/state.h"

namespace peft {
namespace testing {
namespace lt {
namespace {

constexpr int64_t kAddressBytes = 8;
constexpr int64_t kAlignment = 16;  // of addresses, and of the steps to them

int64_t WidthOf(LtIntegerWidth width) {
  return width == LtIntegerWidth::k64 ? 8 : 4;
}

// Number `group` of an array in device memory.
int64_t ReadNumber(uint64_t array, int64_t width, int64_t group) {
  const void* const place =
      Resolve(reinterpret_cast<const void*>(array + width * group), width);
  if (place == nullptr) return -1;
  return width == 8 ? *static_cast<const int64_t*>(place)
                    : *static_cast<const int32_t*>(place);
}

// An address among those that `array`, a matrix of Operands, has.
void* ReadAddress(const void* array, int64_t group) {
  return reinterpret_cast<void*>(
      ReadNumber(reinterpret_cast<uint64_t>(array), kAddressBytes, group));
}

Layout LayoutOf(const Layout& layout, int64_t group) {
  Layout result = layout;
  const int64_t width = WidthOf(layout.sizes_width);
  result.mode = LtBatchMode::kStrided;
  result.batch_count = 1;
  result.rows = static_cast<uint64_t>(ReadNumber(layout.rows, width, group));
  result.cols = static_cast<uint64_t>(ReadNumber(layout.cols, width, group));
  result.ld = ReadNumber(static_cast<uint64_t>(layout.ld),
                         WidthOf(layout.ld_width), group);
  return result;
}

LtStatus CheckArray(const char* name, const Layout& layout, uint64_t array,
                    int64_t width) {
  return CheckRange(
      {name, reinterpret_cast<const char*>(array), width * layout.batch_count},
      width);
}

LtStatus CheckArrays(const Layout& layout) {
  const int64_t width = WidthOf(layout.sizes_width);
  if (const LtStatus status =
          CheckArray("the rows of groups", layout, layout.rows, width)) {
    return status;
  }
  if (const LtStatus status =
          CheckArray("the columns of groups", layout, layout.cols, width)) {
    return status;
  }
  return CheckArray("the leading dimensions of groups", layout,
                    static_cast<uint64_t>(layout.ld), WidthOf(layout.ld_width));
}

LtStatus CheckGroupedTypes(const Problem& problem) {
  const LtDataType in = problem.a->type;
  const LtDataType out = problem.d->type;
  if ((in != LtDataType::kF16 && in != LtDataType::kBF16) ||
      problem.b->type != in || problem.c->type != out ||
      (out != in && out != LtDataType::kF32) ||
      problem.desc->compute != LtCompute::kF32 ||
      problem.desc->scale_type != LtDataType::kF32) {
    return Refuse(kLtNotSupported, "no product of groups has these types");
  }
  return kLtSuccess;
}

// Whether D's columns, and what is summed over, are as tensor cores want them.
bool IsWide(const Problem& problem) {
  return problem.m() * SizeOf(problem.d->type) % kAlignment == 0 &&
         problem.k() * SizeOf(problem.a->type) % kAlignment == 0;
}

// One group by itself.
void MultiplyGroup(const Problem& problem, const Operands& operands,
                   int64_t group) {
  const Layout a = LayoutOf(*problem.a, group);
  const Layout b = LayoutOf(*problem.b, group);
  const Layout c = LayoutOf(*problem.c, group);
  const Layout d = LayoutOf(*problem.d, group);
  const Problem one = {problem.desc, &a, &b, &c, &d};
  Operands its = operands;
  its.a = ReadAddress(operands.a, group);
  its.b = ReadAddress(operands.b, group);
  its.c = ReadAddress(operands.c, group);
  its.d = ReadAddress(operands.d, group);
  Algo algo = {};
  algo.magic = kMagic;
  algo.version = static_cast<uint32_t>(Settings().version);
  algo.config[static_cast<int>(LtAlgoAttribute::kId)] = kWide;
  if (CheckProblem(one) != kLtSuccess ||
      CheckOperands(one, algo, its) != kLtSuccess) {
    const std::string text = "group " + std::to_string(group) + ": " + Reason();
    return Defect(text.c_str());
  }
  if (!IsWide(one)) return Defect("a group's columns end at odd places");
  Multiply(one, algo, its);
}

}  // namespace

bool IsGrouped(const Problem& problem) {
  for (const Layout* layout : {problem.a, problem.b, problem.c, problem.d}) {
    if (layout->mode == LtBatchMode::kGrouped) return true;
  }
  return false;
}

LtStatus CheckGroupedProblem(const Problem& problem) {
  const int32_t groups = problem.d->batch_count;
  for (const Layout* layout : {problem.a, problem.b, problem.c, problem.d}) {
    if (layout->magic != kMagic) {
      return Refuse(kLtInvalidValue, "a matrix was not initialised");
    }
    if (layout->mode != LtBatchMode::kGrouped ||
        layout->batch_count != groups || groups < 1) {
      return Refuse(kLtInvalidValue, "not all matrices are of those groups");
    }
    if (layout->order != LtOrder::kColumn) {
      return Refuse(kLtNotSupported, "groups are not ordered by columns");
    }
    if (const LtStatus status = CheckArrays(*layout)) return status;
  }
  const Desc& desc = *problem.desc;
  if (!Settings().grouped) {
    return Refuse(kLtNotSupported, "this device multiplies no groups");
  }
  // Newer devices take a bias, which not all do.
  if (desc.epilogue != LtEpilogue::kDefault ||
      desc.trans_c != LtOperation::kNone) {
    return Refuse(kLtNotSupported, "groups have an epilogue");
  }
  if (desc.pointer_mode != LtPointerMode::kHost &&
      desc.pointer_mode != LtPointerMode::kDevice) {
    return Refuse(kLtNotSupported, "the pointer mode is not one of groups");
  }
  return CheckGroupedTypes(problem);
}

int64_t GroupedWorkspaceBytes(const Problem& problem) {
  return 256 * int64_t{problem.d->batch_count};
}

LtStatus CheckGroupedOperands(const Problem& problem,
                              const Operands& operands) {
  const int64_t bytes = kAddressBytes * problem.d->batch_count;
  const std::pair<const char*, const void*> arrays[] = {
      {"the addresses of A", operands.a},
      {"the addresses of B", operands.b},
      {"the addresses of C", operands.c},
      {"the addresses of D", operands.d}};
  for (const auto& array : arrays) {
    const Range range = {array.first, static_cast<const char*>(array.second),
                         bytes};
    if (const LtStatus status = CheckRange(range, kAddressBytes)) {
      return status;
    }
  }
  if (const LtStatus status =
          CheckWorkspace(operands, GroupedWorkspaceBytes(problem))) {
    return status;
  }
  return CheckScales(problem, operands);
}

void MultiplyGroups(const Problem& problem, const Operands& operands) {
  for (int32_t group = 0; group < problem.d->batch_count; ++group) {
    MultiplyGroup(problem, operands, group);
  }
}

}  // namespace lt
}  // namespace testing
}  // namespace peft
