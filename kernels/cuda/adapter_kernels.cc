#include "kernels/cuda/adapter_kernels.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr const char* kTypeNames[] = {"f32", "f16", "bf16"};
// By AdapterKernels::Operation, and after how many types they are named.
struct OperationName {
  const char* name;
  int num_types;
};
constexpr OperationName kOperations[] = {
    {"shrink", 2},         {"expand", 2},       {"patch", 1},
    {"scale_input", 1},    {"scale_output", 1}, {"gather", 1},
    {"gather_columns", 1}, {"magnitude", 0},
};

// Grids that have more rows than that go over them in a loop.
constexpr int64_t kMaxGridRows = 65535;
// Less of x than that is not worth a block, and expand reads all splits.
constexpr int64_t kSmallestSplit = 512;

std::optional<int> TypeIndex(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kBF16:
      return 2;
    default:
      return std::nullopt;
  }
}

int64_t Groups(int64_t size, int64_t of) { return (size + of - 1) / of; }

absl::Status NoCode(absl::string_view message) {
  return MakeError(absl::StatusCode::kFailedPrecondition, error_id::kCudaDriver,
                   message);
}

std::string KernelName(const OperationName& operation, int x, int w) {
  std::string name = absl::StrCat("peft_", operation.name);
  if (operation.num_types > 0) absl::StrAppend(&name, "_", kTypeNames[x]);
  if (operation.num_types > 1) absl::StrAppend(&name, "_", kTypeNames[w]);
  return name;
}

}  // namespace

std::vector<RowTile> MakeTiles(absl::Span<const RowGroup> groups) {
  std::vector<RowTile> tiles;
  int64_t first = 0;
  for (const RowGroup& group : groups) {
    const int64_t end = first + group.rows;
    while (first < end) {
      RowTile& tile = tiles.emplace_back();
      tile.first_row = static_cast<int32_t>(first);
      tile.num_rows =
          static_cast<int32_t>(std::min<int64_t>(end - first, kTileRows));
      tile.first_term = group.first_term;
      tile.num_terms = group.num_terms;
      first += tile.num_rows;
    }
  }
  return tiles;
}

absl::StatusOr<std::unique_ptr<AdapterKernels>> AdapterKernels::Load(
    const Device& device, const void* image) {
  if (image == nullptr) {
    return NoCode(
        "this library was built without CUDA code; build it with "
        "--config=cuda");
  }
  const DeviceScope scope(device);
  PEFT_RETURN_IF_ERROR(scope.status());
  ModuleHandle module = nullptr;
  const Driver& driver = device.driver();
  const Result result = driver->cuModuleLoadData(&module, image);
  if (result == kNoBinaryForGpu) {
    return NoCode(absl::StrCat(
        "this library has no code for CUDA device ", device.ordinal(), " (",
        device.name(), "), of compute capability ", device.capability() / 10,
        ".", device.capability() % 10, "; 8.0 is the oldest that it has"));
  }
  PEFT_RETURN_IF_ERROR(driver.Check(result, "loading our CUDA kernels"));
  std::unique_ptr<AdapterKernels> kernels(new AdapterKernels(device, module));
  PEFT_RETURN_IF_ERROR(kernels->FindKernels());
  PEFT_RETURN_IF_ERROR(kernels->FindFused());
  return kernels;
}

AdapterKernels::~AdapterKernels() {
  const DeviceScope scope(device_);
  device_.driver()->cuModuleUnload(module_);
}

absl::Status AdapterKernels::FindKernels() {
  for (int i = 0; i < kNumOperations; ++i) {
    const OperationName& operation = kOperations[i];
    for (int x = 0; x < (operation.num_types > 0 ? kNumTypes : 1); ++x) {
      for (int w = 0; w < (operation.num_types > 1 ? kNumTypes : 1); ++w) {
        PEFT_RETURN_IF_ERROR(
            FindKernel(KernelName(operation, x, w), kernels_[i][x][w]));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status AdapterKernels::FindFused() {
  PEFT_ASSIGN_OR_RETURN(fused_limits_.shared_per_block,
                        device_.Attribute(kMaxSharedMemoryPerBlockOptin));
  PEFT_ASSIGN_OR_RETURN(fused_limits_.shared_per_multiprocessor,
                        device_.Attribute(kMaxSharedMemoryPerMultiprocessor));
  PEFT_ASSIGN_OR_RETURN(fused_limits_.shared_reserved,
                        device_.Attribute(kReservedSharedMemoryPerBlock));
  fused_limits_.multiprocessors = device_.multiprocessors();
  const Driver& driver = device_.driver();
  for (const DType type : {DType::kF16, DType::kBF16}) {
    const int index = *TypeIndex(type);
    for (int i = 0; i < kNumFused; ++i) {
      FunctionHandle& kernel = fused_[index][i];
      const std::string name = absl::StrCat("peft_fused_", kTypeNames[index],
                                            "_", kFusedColumns << i);
      PEFT_RETURN_IF_ERROR(FindKernel(name, kernel));
      PEFT_RETURN_IF_ERROR(driver.Check(
          driver->cuFuncSetAttribute(kernel, kMaxDynamicSharedBytes,
                                     fused_limits_.shared_per_block),
          absl::StrCat("allowing ", name, " its shared memory")));
    }
  }
  return absl::OkStatus();
}

absl::Status AdapterKernels::FindKernel(const std::string& name,
                                        FunctionHandle& kernel) {
  const Driver& driver = device_.driver();
  return driver.Check(
      driver->cuModuleGetFunction(&kernel, module_, name.c_str()),
      absl::StrCat("finding the CUDA kernel ", name));
}

absl::StatusOr<FunctionHandle> AdapterKernels::Find(Operation operation,
                                                    DType x, DType w) const {
  const std::optional<int> x_index = TypeIndex(x);
  const std::optional<int> w_index = TypeIndex(w);
  if (!x_index.has_value() || !w_index.has_value()) {
    return MakeError(
        absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
        absl::StrCat("there is no CUDA kernel ", kOperations[operation].name,
                     " for ", DTypeName(x), " with ", DTypeName(w),
                     "; there are such for F32, F16 and BF16"));
  }
  return kernels_[operation][*x_index][*w_index];
}

absl::Status AdapterKernels::Launch(Operation operation, KernelTypes types,
                                    const Grid& grid, const void* args,
                                    StreamHandle stream) const {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(const FunctionHandle kernel,
                        Find(operation, types.x, types.w));
  const DeviceScope scope(device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  const Driver& driver = device_.driver();
  const auto x = static_cast<unsigned>(grid.x);
  const auto y = static_cast<unsigned>(grid.y);
  const auto z = static_cast<unsigned>(grid.z);
  void* parameters[] = {const_cast<void*>(args)};
  const Result result = driver->cuLaunchKernel(kernel, x, y, z, kThreads, 1, 1,
                                               0, stream, parameters, nullptr);
  if (result == kSuccess) return absl::OkStatus();
  return driver.Check(result, absl::StrCat("starting the CUDA kernel ",
                                           kOperations[operation].name));
}

int AdapterKernels::ChooseSplits(int64_t in, int num_tiles, int chunks) const {
  const int64_t blocks = int64_t{num_tiles} * chunks;
  int splits = 1;
  while (blocks * splits < device_.multiprocessors() &&
         in / (2 * splits) >= kSmallestSplit) {
    splits *= 2;
  }
  return splits;
}

absl::Status AdapterKernels::Shrink(KernelTypes types, const ShrinkArgs& args,
                                    StreamHandle stream) const {
  const LowRankArgs& low_rank = args.low_rank;
  return Launch(kShrink, types,
                {low_rank.chunks, low_rank.num_tiles, low_rank.splits}, &args,
                stream);
}

absl::Status AdapterKernels::Expand(KernelTypes types, const ExpandArgs& args,
                                    StreamHandle stream) const {
  // Each warp takes 32.
  constexpr int64_t kOutputsPerBlock = kThreads;
  return Launch(
      kExpand, types,
      {Groups(args.output.size, kOutputsPerBlock), args.low_rank.num_tiles},
      &args, stream);
}

std::optional<FusedPlan> AdapterKernels::PlanFused(
    KernelTypes types, const FusedShape& shape) const {
  if (types.x != types.w) return std::nullopt;
  if (types.x != DType::kF16 && types.x != DType::kBF16) return std::nullopt;
  return cuda::PlanFused(shape, fused_limits_);
}

absl::Status AdapterKernels::Fused(DType type, const FusedPlan& plan,
                                   FusedArgs args, StreamHandle stream) const {
  args.low_rank.splits = plan.splits;
  args.stages = plan.stages;
  args.units = plan.units;
  args.t_numbers = plan.t_numbers;
  if (plan.blocks == 0) return absl::OkStatus();
  const FunctionHandle kernel =
      fused_[*TypeIndex(type)][plan.row_tiles / 2];  // 1, 2 or 4
  const DeviceScope scope(device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  const Driver& driver = device_.driver();
  void* parameters[] = {&args};
  const Result result = driver->cuLaunchCooperativeKernel(
      kernel, static_cast<unsigned>(plan.blocks), 1, 1, kFusedThreads, 1, 1,
      static_cast<unsigned>(plan.shared_bytes), stream, parameters);
  if (result == kSuccess) return absl::OkStatus();
  return driver.Check(result, "starting the CUDA kernel fused");
}

absl::Status AdapterKernels::Patch(DType x, const PatchArgs& args,
                                   StreamHandle stream) const {
  return Launch(
      kPatch, {x, DType::kF32},
      {Groups(args.num_ids, kTileOutputs), Groups(args.rows, kTileRows)}, &args,
      stream);
}

absl::Status AdapterKernels::ScaleInput(DType x, const ScaleInputArgs& args,
                                        StreamHandle stream) const {
  return Launch(
      kScaleInput, {x, DType::kF32},
      {Groups(args.input.size, kThreads), std::min(args.rows, kMaxGridRows)},
      &args, stream);
}

absl::Status AdapterKernels::ScaleOutput(DType x, const ScaleOutputArgs& args,
                                         StreamHandle stream) const {
  return Launch(
      kScaleOutput, {x, DType::kF32},
      {Groups(args.size, kThreads), std::min(args.rows, kMaxGridRows)}, &args,
      stream);
}

absl::Status AdapterKernels::Magnitude(const MagnitudeArgs& args,
                                       StreamHandle stream) const {
  return Launch(kMagnitude, {DType::kF32, DType::kF32},
                {Groups(args.size, kThreads)}, &args, stream);
}

absl::Status AdapterKernels::Gather(DType x, const GatherArgs& args,
                                    StreamHandle stream) const {
  return Launch(
      kGather, {x, DType::kF32},
      {Groups(args.size, kThreads), std::min(args.rows, kMaxGridRows)}, &args,
      stream);
}

absl::Status AdapterKernels::GatherColumns(DType w,
                                           const GatherColumnsArgs& args,
                                           StreamHandle stream) const {
  return Launch(
      kGatherColumns, {w, DType::kF32},
      {Groups(args.low_rank.columns, kThreads), args.low_rank.num_tiles}, &args,
      stream);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
