#include "peft_cc/models/block_weights.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/quantize.h"
#include "kernels/view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/huge_pages.h"
#include "peft_cc/base/round_up.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

using kernels::kCodesAtOnce;

constexpr absl::string_view kScales = ".scales";

absl::Status Wrong(const std::string& name, absl::string_view expected,
                   const Tensor& found) {
  const std::string text =
      absl::StrCat(DTypeName(found.dtype()), " ", ShapeToString(found.shape()));
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kModelWeights,
      absl::StrCat("tensor ", Quoted(name), " of a weight in blocks is ", text,
                   ", expected ", expected),
      {name, std::string(expected), text});
}

// Keeps the scales of codes alive.
struct Scales {
  Tensor tensor;
  kernels::BlockCodes codes;
};

Tensor CodesTensor(DType dtype, std::vector<int64_t> shape, const Tensor& codes,
                   Tensor scales) {
  auto owner = std::make_shared<Scales>();
  owner->tensor = std::move(scales);
  owner->codes.scales = owner->tensor.data();
  owner->codes.block = kCodesAtOnce;
  owner->codes.interleaved = kernels::IsInterleaved(shape[0]);
  return Tensor(
      dtype, std::move(shape), codes.data(), codes.owner(),
      std::shared_ptr<const kernels::BlockCodes>(owner, &owner->codes));
}

constexpr int64_t kCacheLine = 64;

int64_t CodeBytes(const Tensor& weight, WeightFormat format) {
  return weight.dim(0) * weight.dim(1) / (format == WeightFormat::kQ8 ? 1 : 2);
}

int64_t ScaleBytes(const Tensor& weight) {
  return weight.dim(0) * weight.dim(1) / kCodesAtOnce *
         kernels::ScaleSize(DType::kQ8);
}

absl::StatusOr<Tensor> Assemble(const std::string& name, const Tensor& codes,
                                const Tensor& scales) {
  if (scales.dtype() != DType::kBF16 || scales.rank() != 2) {
    return Wrong(absl::StrCat(name, kScales), "a matrix of BF16", scales);
  }
  const bool is_q8 = codes.dtype() == DType::kI8;
  if ((!is_q8 && codes.dtype() != DType::kU8) || codes.rank() != 2) {
    return Wrong(name, "a matrix of I8 or U8", codes);
  }
  const int64_t per_block = is_q8 ? kCodesAtOnce : kCodesAtOnce / 2;
  const bool fits = codes.dim(1) % per_block == 0 &&
                    scales.dim(0) == codes.dim(0) &&
                    scales.dim(1) == codes.dim(1) / per_block;
  if (!fits) {
    return Wrong(
        absl::StrCat(name, kScales),
        absl::StrCat("one for each block of ", ShapeToString(codes.shape())),
        scales);
  }
  return CodesTensor(is_q8 ? DType::kQ8 : DType::kQ4,
                     {codes.dim(0), scales.dim(1) * kCodesAtOnce}, codes,
                     scales);
}

}  // namespace

int64_t CodeMemory::SizeOf(const Tensor& weight, WeightFormat format) {
  return RoundUp(CodeBytes(weight, format), kCacheLine) +
         RoundUp(ScaleBytes(weight), kCacheLine);
}

absl::StatusOr<CodeMemory> CodeMemory::Create(int64_t size) {
  std::shared_ptr<uint8_t> memory = AllocateBlock(size);
  if (memory == nullptr) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, error_id::kOutOfMemory,
        absl::StrCat("no memory for ", size, " bytes of quantised weights"));
  }
  return CodeMemory(std::move(memory));
}

std::shared_ptr<uint8_t> CodeMemory::Take(int64_t size) {
  const std::shared_ptr<uint8_t> taken = rest_;
  rest_ =
      std::shared_ptr<uint8_t>(taken, taken.get() + RoundUp(size, kCacheLine));
  return taken;
}

absl::StatusOr<Tensor> QuantizeWeight(const std::string& name,
                                      const Tensor& weight, WeightFormat format,
                                      kernels::ThreadPool& pool,
                                      CodeMemory& memory) {
  const bool is_q8 = format == WeightFormat::kQ8;
  const std::shared_ptr<uint8_t> codes = memory.Take(CodeBytes(weight, format));
  const std::shared_ptr<uint8_t> scales = memory.Take(ScaleBytes(weight));
  const DType dtype = is_q8 ? DType::kQ8 : DType::kQ4;
  if (!kernels::Quantize(weight.AsMatrix(), dtype, codes.get(),
                         reinterpret_cast<uint16_t*>(scales.get()), pool)) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kModelWeights,
        absl::StrCat(name, " holds a NaN or an infinity, which has no code"),
        {name, "finite values", "NaN or infinity"});
  }
  const int64_t rows = weight.dim(0);
  const int64_t cols = weight.dim(1);
  return CodesTensor(
      dtype, {rows, cols},
      Tensor(is_q8 ? DType::kI8 : DType::kU8, {rows, is_q8 ? cols : cols / 2},
             codes.get(), codes),
      Tensor(DType::kBF16, {rows, cols / kCodesAtOnce}, scales.get(), scales));
}

Tensor StoredCodes(const Tensor& weight) {
  if (weight.dtype() == DType::kQ8) {
    return Tensor(DType::kI8, {weight.dim(0), weight.dim(1)}, weight.data(),
                  weight.owner());
  }
  return Tensor(DType::kU8, {weight.dim(0), weight.dim(1) / 2}, weight.data(),
                weight.owner());
}

Tensor StoredScales(const Tensor& weight) {
  return Tensor(DType::kBF16, {weight.dim(0), weight.dim(1) / kCodesAtOnce},
                weight.codes()->scales, weight.codes());
}

absl::Status AssembleBlocks(TensorMap& tensors) {
  std::vector<std::string> names;
  for (const auto& item : tensors) {
    if (!absl::EndsWith(item.first, kScales)) continue;
    names.push_back(item.first.substr(0, item.first.size() - kScales.size()));
  }
  for (const std::string& name : names) {
    const auto codes = tensors.find(name);
    const auto scales = tensors.find(absl::StrCat(name, kScales));
    if (codes == tensors.end()) continue;
    PEFT_ASSIGN_OR_RETURN(codes->second,
                          Assemble(name, codes->second, scales->second));
    tensors.erase(scales);
  }
  return absl::OkStatus();
}

}  // namespace peft
