#include "peft_cc/methods/lora_factors.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status Wrong(const Layer& layer, const char* key,
                   absl::string_view problem, absl::string_view expected,
                   absl::string_view found) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat("layer ", Quoted(layer.name), " ", problem,
                                "; PEFT cannot have trained this adapter"),
                   {key, std::string(expected), std::string(found)});
}

// The axes behind the channels.
std::vector<int64_t> WithKernel(std::vector<int64_t> shape, const Layer& layer,
                                bool is_point) {
  for (int i = 3 - layer.conv.num_axes; i < 3; ++i) {
    shape.push_back(is_point ? 1 : layer.conv.kernel[i]);
  }
  return shape;
}

absl::Status CheckConvolution(const Layer& layer, int64_t r) {
  const kernels::ConvGeometry& conv = layer.conv;
  if (r % conv.groups != 0) {
    return Wrong(layer, "r",
                 absl::StrCat("is a convolution with ", conv.groups,
                              " groups, of which rank ", r, " is no multiple"),
                 absl::StrCat("a multiple of ", conv.groups), absl::StrCat(r));
  }
  for (int i = 0; i < 3; ++i) {
    if (conv.kernel[i] == 1 || conv.dilation[i] == 1) continue;
    return Wrong(
        layer, "target_modules",
        absl::StrCat("is a convolution with dilation ", conv.dilation[i],
                     ", which LoRA's own convolution lacks"),
        "dilation 1", absl::StrCat(conv.dilation[i]));
  }
  return absl::OkStatus();
}

// Copies element i * from_step of `from` to i * to_step of `to`.
void CopyStrided(const char* from, int64_t from_step, char* to, int64_t to_step,
                 int64_t count, int size) {
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * to_step * size, from + i * from_step * size, size);
  }
}

}  // namespace

absl::Status CheckLoraLayer(const Layer& layer, int64_t r, bool lora_bias) {
  const bool has_place = layer.kind != SiteKind::kEmbedding &&
                         layer.kind != SiteKind::kParameter &&
                         layer.kind != SiteKind::kMultiheadAttention;
  if (lora_bias && !has_place) {
    return Wrong(layer, "lora_bias",
                 "is an embedding, a MultiheadAttention or a parameter, which "
                 "has no bias of lora_B, but lora_bias is true",
                 "false", "true");
  }
  return layer.kind == SiteKind::kConvolution ? CheckConvolution(layer, r)
                                              : absl::OkStatus();
}

std::vector<int64_t> LoraShapeOfA(const Layer& layer, int64_t r) {
  if (layer.kind == SiteKind::kConvolution) {
    return WithKernel({r, layer.conv.in_channels}, layer, false);
  }
  return {r * layer.num_experts, layer.in_features};
}

std::vector<int64_t> LoraShapeOfB(const Layer& layer, int64_t r) {
  if (layer.kind == SiteKind::kConvolution) {
    return WithKernel({layer.out_features, r / layer.conv.groups}, layer, true);
  }
  return {layer.out_features, r * layer.num_experts};
}

Tensor LoraMatrixA(const Layer& layer, const Tensor& a, int64_t expert) {
  const int64_t r = a.dim(0) / layer.num_experts;
  const char* const data =
      static_cast<const char*>(a.data()) +
      expert * r * layer.in_features * DTypeSize(a.dtype());
  return Tensor(a.dtype(), {r, layer.in_features}, data, a.owner());
}

absl::StatusOr<Tensor> LoraMatrixB(const Layer& layer, const Tensor& b,
                                   int64_t expert) {
  const int64_t groups =
      layer.kind == SiteKind::kConvolution ? layer.conv.groups : 1;
  const int64_t experts = layer.num_experts;
  const int64_t r = b.dim(1) * groups / experts;
  const int64_t out = layer.out_features;
  if (groups == 1 && experts == 1) {
    return Tensor(b.dtype(), {out, r}, b.data(), b.owner());
  }
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(Tensor matrix,
                        Tensor::Allocate(b.dtype(), {out, r}, &data));
  const int size = DTypeSize(b.dtype());
  const int64_t count = r / groups;  // per row
  for (int64_t row = 0; row < out; ++row) {
    // The outputs of a group see its part of the ranks.
    const int64_t first = row / (out / groups) * count;
    CopyStrided(
        static_cast<const char*>(b.data()) + (row * b.dim(1) + expert) * size,
        experts, static_cast<char*>(data) + (row * r + first) * size, 1, count,
        size);
  }
  return matrix;
}

}  // namespace peft
