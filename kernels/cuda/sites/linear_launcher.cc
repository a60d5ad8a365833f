#include "kernels/cuda/sites/linear_launcher.h"

#include <algorithm>
#include <utility>

#include "peft_cc/base/error.h"
#include "peft_cc/base/round_up.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// From so many rows on cuBLASLt computes an only term.
constexpr int64_t kRowsForProducts = kMaxFusedRows + 1;
// Plans that are kept at hand: all layers of a model at some numbers of rows.
constexpr size_t kMaxKnownPlans = 4096;
constexpr size_t kScratchAlignment = 256;

bool HasWeight(const SiteCall& call) { return call.weight.data != 0; }

int64_t ElementBytes(const DeviceMatrix& matrix) {
  return DTypeSize(matrix.dtype);
}

// The groups differ in nothing but their terms.
bool IsUniform(const SiteCall& call) {
  return std::all_of(call.groups.begin(), call.groups.end(),
                     [&](const SiteGroup& group) {
                       return group.factors == call.groups[0].factors;
                     });
}

bool ScalesInput(const SiteCall& call) {
  return std::any_of(
      call.groups.begin(), call.groups.end(),
      [](const SiteGroup& group) { return group.factors.in_scale != 0; });
}

bool IsAligned(const DeviceMatrix& matrix) {
  constexpr int64_t kBytes = 16;
  return matrix.data % kBytes == 0 &&
         matrix.stride * ElementBytes(matrix) % kBytes == 0;
}

// What FusedArgs wants of a call, besides its shape.
bool MayBeFused(const SiteCall& call) {
  if (!call.has_terms || !IsUniform(call) || ScalesInput(call) ||
      !IsAligned(call.x)) {
    return false;
  }
  return !HasWeight(call) ||
         (!call.transposed && call.weight.stride == call.x.cols &&
          IsAligned(call.weight));
}

// The library wants rows of T and of B at multiples of 16 bytes.
bool IsProducts(const SiteCall& call) {
  const int64_t step = 16 / DTypeSize(call.adapter_dtype);
  return HasWeight(call) && call.has_terms && call.x.rows >= kRowsForProducts &&
         call.groups.size() == 1 && call.groups[0].factors.out_scale == 0 &&
         call.only_term.rank > 0 && call.only_term.rank % step == 0 &&
         call.x.cols % step == 0 && call.adapter_dtype == call.x.dtype;
}

DeviceMatrix Dense(DevicePtr data, DType dtype, int64_t rows, int64_t cols) {
  return {data, dtype, rows, cols, cols};
}

size_t BytesOf(const DeviceMatrix& matrix) {
  return RoundUp<size_t>(matrix.rows * matrix.cols * ElementBytes(matrix),
                         kScratchAlignment);
}

DeviceMatrix ScaledInput(const SiteCall& call, DevicePtr data) {
  return Dense(data, call.x.dtype, call.x.rows, call.x.cols);
}

DeviceMatrix RowsOf(const DeviceMatrix& matrix, int64_t first, int64_t rows) {
  DeviceMatrix result = matrix;
  result.data += first * matrix.stride * ElementBytes(matrix);
  result.rows = rows;
  return result;
}

OutputArgs OutputOf(const SiteCall& call, const SiteFactors& factors) {
  OutputArgs output;
  output.y = call.y.data;
  output.stride = call.y.stride;
  output.size = call.y.cols;
  output.out_scale = factors.out_scale;
  output.bias = factors.bias;
  return output;
}

InputArgs InputOf(const DeviceMatrix& x) { return {x.data, x.stride, x.cols}; }

Product BaseOf(const SiteCall& call, const DeviceMatrix& x) {
  Product product = ProductOf(x, call.weight, call.y);
  product.right_transposed = !call.transposed;
  return product;
}

}  // namespace

LowRankArgs LinearLauncher::LowRankOf(const SiteCall& call, DevicePtr t) const {
  LowRankArgs args;
  args.tiles = call.tiles;
  args.num_tiles = call.num_tiles;
  args.terms = call.terms;
  args.t = t;
  args.rows = call.x.rows;
  args.columns = call.columns;
  args.chunks = call.chunks;
  args.splits = kernels_.ChooseSplits(call.x.cols, call.num_tiles, call.chunks);
  return args;
}

std::optional<FusedPlan> LinearLauncher::PlanFused(const SiteCall& call) const {
  if (!MayBeFused(call)) return std::nullopt;
  return kernels_.PlanFused(
      TypesOf(call),
      {call.x.rows, call.x.cols, call.y.cols, call.num_tiles, call.units});
}

size_t LinearLauncher::ScratchBytes(const SiteCall& call) const {
  if (const auto plan = PlanFused(call); plan.has_value()) {
    return BytesOf(Dense(0, DType::kF32, 1, plan->t_floats()));
  }
  size_t bytes = ScalesInput(call) ? BytesOf(ScaledInput(call, 0)) : 0;
  if (IsProducts(call)) {
    return bytes +
           BytesOf(Dense(0, call.x.dtype, call.x.rows, call.only_term.rank));
  }
  if (!call.has_terms) return bytes;
  const LowRankArgs args = LowRankOf(call, 0);
  return bytes +
         BytesOf(Dense(0, DType::kF32, args.splits * args.rows, args.columns));
}

absl::Status LinearLauncher::Run(const SiteCall& call,
                                 const SiteScratch& scratch) {
  if (call.x.rows == 0) return absl::OkStatus();
  if (const auto plan = PlanFused(call); plan.has_value()) {
    return RunFused(call, *plan, scratch);
  }
  DeviceMatrix x = call.x;
  SiteScratch rest = scratch;
  if (ScalesInput(call)) {
    x = ScaledInput(call, scratch.data);
    rest.data += BytesOf(x);
    PEFT_RETURN_IF_ERROR(ScaleInputs(call, x, scratch.lt.stream));
  }
  if (IsProducts(call)) return RunProducts(call, x, rest);
  const bool is_bare = !call.has_terms && IsUniform(call) &&
                       call.groups[0].factors.out_scale == 0;
  if (HasWeight(call)) {
    Product base = BaseOf(call, x);
    if (is_bare) base.bias = call.groups[0].factors.bias_in_dtype;
    PEFT_RETURN_IF_ERROR(RunProduct(base, scratch.lt));
    if (is_bare) return absl::OkStatus();
  }
  if (!call.has_terms) return ScaleOutputs(call, scratch.lt.stream);
  return RunTerms(call, rest);
}

absl::Status LinearLauncher::RunFused(const SiteCall& call,
                                      const FusedPlan& plan,
                                      const SiteScratch& scratch) const {
  FusedArgs args;
  args.low_rank = LowRankOf(call, scratch.data);
  args.input = InputOf(call.x);
  args.output = OutputOf(call, call.groups[0].factors);
  args.output.weight = call.weight.data;
  args.arrived = scratch.counters;
  args.left = scratch.counters + sizeof(uint32_t);
  return kernels_.Fused(call.x.dtype, plan, args, scratch.lt.stream);
}

absl::Status LinearLauncher::RunProducts(const SiteCall& call,
                                         const DeviceMatrix& x,
                                         const SiteScratch& scratch) {
  const OnlyTerm& term = call.only_term;
  const DType dtype = call.adapter_dtype;
  const DeviceMatrix t = Dense(scratch.data, dtype, x.rows, term.rank);
  Product base = BaseOf(call, x);
  base.bias = call.groups[0].factors.bias_in_dtype;
  PEFT_RETURN_IF_ERROR(RunProduct(base, scratch.lt));
  // A reads what the layer was given, not what IA3 has made of it.
  Product shrink =
      ProductOf(call.x, Dense(term.a, dtype, term.rank, x.cols), t);
  shrink.right_transposed = true;
  PEFT_RETURN_IF_ERROR(RunProduct(shrink, scratch.lt));
  Product expand =
      ProductOf(t, Dense(term.b, dtype, call.y.cols, term.rank), call.y);
  expand.right_transposed = true;
  expand.scale = GemmScale::kDevice;
  expand.scale_data = term.scale;
  expand.accumulate = true;
  return RunProduct(expand, scratch.lt);
}

absl::Status LinearLauncher::RunTerms(const SiteCall& call,
                                      const SiteScratch& scratch) const {
  ShrinkArgs shrink;
  shrink.low_rank = LowRankOf(call, scratch.data);
  shrink.input = InputOf(call.x);
  PEFT_RETURN_IF_ERROR(
      kernels_.Shrink(TypesOf(call), shrink, scratch.lt.stream));
  const bool is_uniform = IsUniform(call);
  ExpandArgs expand;
  expand.low_rank = shrink.low_rank;
  expand.output =
      OutputOf(call, is_uniform ? call.groups[0].factors : SiteFactors());
  PEFT_RETURN_IF_ERROR(
      kernels_.Expand(TypesOf(call), expand, scratch.lt.stream));
  return is_uniform ? absl::OkStatus() : ScaleOutputs(call, scratch.lt.stream);
}

absl::Status LinearLauncher::ScaleInputs(const SiteCall& call,
                                         const DeviceMatrix& to,
                                         StreamHandle stream) const {
  int64_t first = 0;
  for (const SiteGroup& group : call.groups) {
    ScaleInputArgs args;
    args.input = InputOf(RowsOf(call.x, first, group.rows));
    args.out = RowsOf(to, first, group.rows).data;
    args.stride = to.stride;
    args.rows = group.rows;
    args.factor = group.factors.in_scale;
    PEFT_RETURN_IF_ERROR(kernels_.ScaleInput(call.x.dtype, args, stream));
    first += group.rows;
  }
  return absl::OkStatus();
}

absl::Status LinearLauncher::ScaleOutputs(const SiteCall& call,
                                          StreamHandle stream) const {
  int64_t first = 0;
  for (const SiteGroup& group : call.groups) {
    const DeviceMatrix y = RowsOf(call.y, first, group.rows);
    first += group.rows;
    if (group.factors.out_scale == 0 && group.factors.bias == 0) continue;
    ScaleOutputArgs args;
    args.y = y.data;
    args.stride = y.stride;
    args.rows = y.rows;
    args.size = y.cols;
    args.factor = group.factors.out_scale;
    args.after = group.factors.bias;
    PEFT_RETURN_IF_ERROR(kernels_.ScaleOutput(call.y.dtype, args, stream));
  }
  return absl::OkStatus();
}

absl::Status LinearLauncher::RunProduct(const Product& product,
                                        const LtStream& stream) {
  const Gemm gemm = GemmOf(product);
  const GemmKey key = KeyOf(gemm);
  auto found = known_.find(key);
  if (found == known_.end()) {
    if (known_.size() >= kMaxKnownPlans) known_.clear();
    PEFT_ASSIGN_OR_RETURN(auto plan, plans_.Get(gemm));
    found = known_.emplace(key, std::move(plan)).first;
  }
  return found->second->Run(stream, PointersOf(product));
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
