// Fresh adapters. Source: peft 0.21.2, tuners/{lora,adalora,ia3}/layer.py.
//
// PEFT makes a layer of torch.nn, whose default initialiser draws numbers,
// and then overwrites what it does not want. All draws are repeated here, so
// that a generator with the seed of `torch.manual_seed` that makes the same
// layers in the same order makes PEFT's own factors: bit-equal where they are
// plain draws, to rounding where they are computed.
//
// Factors are f32. PEFT rounds them to the base weight's dtype and PeftModel
// then converts bf16 and f16 back to f32: Tensor::Cast does both.
#ifndef PEFT_CC_ALGEBRA_LORA_INIT_H_
#define PEFT_CC_ALGEBRA_LORA_INIT_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/algebra/lora_factors.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// The values of init_lora_weights that need no data.
enum class LoraInitKind {
  kDefault,     // true: A as nn.Linear's default, B zero
  kRandom,      // false: A and B as nn.Linear's defaults, so not a no-op
  kGaussian,    // "gaussian": A normal with deviation 1 / r, B zero
  kOrthogonal,  // "orthogonal": random, with B A = 0; even ranks only
  kOlora,       // "olora": from W = QR; changes the base
  kPissa,       // "pissa": from W's singular values; changes the base
  kPissaNiter,  // "pissa_niter_<n>": the same from a random approximation
  kMica,        // "mica": B the last left singular vectors of W, A zero
};

struct LoraInit {
  LoraInitKind kind = LoraInitKind::kDefault;
  // Of kPissaNiter: the power iterations, at least 0.
  int num_iterations = 0;
};

// The initialiser that the config calls `name`; "true" and "false" stand for
// the booleans. INVALID_ARGUMENT (ADAPTER_CONFIG) for a name that PEFT does not
// know, UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED) for those that need data
// or a quantiser ("eva", "corda", "loftq", "lora_ga").
absl::StatusOr<LoraInit> ParseLoraInit(absl::string_view name);

// A fresh layer, and the change of the base weight that goes with it.
struct FreshLora {
  LoraFactors factors;
  std::optional<BaseChange> base_change = std::nullopt;
};

struct LinearLoraShape {
  int64_t in_features = 0;
  int64_t out_features = 0;
  int64_t r = 1;
  // lora_bias.
  bool has_bias = false;
  // Of a parameter: its factors are stacked, A is (experts r, in) and B (out,
  // experts r). Only kDefault, kRandom and kGaussian can make several.
  int64_t num_experts = 1;
};

// A layer over nn.Linear, HF Conv1D, the in_proj of nn.MultiheadAttention or a
// parameter.
// `weight` is the base weight as (out, in), so HF Conv1D's is transposed
// first; only the kinds that come from W read it. `scale` is alpha / r or what
// the config makes of it. kOlora and kPissa have no more ranks than the smaller
// side of W. INVALID_ARGUMENT (ARGUMENT) for ranks that the kind cannot have
// and for weights that do not fit the shape or are not finite.
//
// kPissaNiter: PEFT draws from whatever state the global generator is in, so
// that its result cannot be repeated from the config alone.
absl::StatusOr<FreshLora> InitLinearLora(const LoraInit& init,
                                         const LinearLoraShape& shape,
                                         double scale, const Tensor& weight,
                                         TorchGenerator& generator);

// A layer over nn.Embedding, whose `weight` is (rows, width): A is zero, B
// normal, whatever the kind, but for kRandom (both normal) and kMica.
absl::StatusOr<FreshLora> InitEmbeddingLora(const LoraInit& init, int64_t r,
                                            const Tensor& weight,
                                            TorchGenerator& generator);

// A linear layer whose factors share the memory of those of an embedding, with
// ensure_weight_tying: A is the transposed `embedding.b`, B the transposed
// `embedding.a`. What PEFT draws for A goes through that view, into the
// embedding too; so `embedding` is changed. kDefault, kRandom and kGaussian
// only. PEFT's draws are of the base weight's own type there: in f32 these are
// the same, others have the same distribution.
absl::StatusOr<FreshLora> InitTiedLora(const LoraInit& init,
                                       LoraFactors& embedding,
                                       TorchGenerator& generator);

struct ConvLoraShape {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  // One size per dimension of space: one to three.
  std::vector<int64_t> kernel_size;
  int64_t groups = 1;
  int64_t r = 1;
  bool has_bias = false;
};

// A layer over nn.Conv1d, 2d or 3d: kDefault, kRandom and kGaussian only, as in
// PEFT, and r a multiple of groups; else INVALID_ARGUMENT (ARGUMENT).
absl::StatusOr<FreshLora> InitConvLora(const LoraInit& init,
                                       const ConvLoraShape& shape,
                                       TorchGenerator& generator);

// KaSA over nn.Linear: the factors of `init`, lora_diag (r) and the removal of
// the r smallest singular values of the base weight (out, in).
struct FreshKasa {
  FreshLora lora;
  Tensor diag;
  BaseChange truncation;
};

// As InitLinearLora. r must be below both sides of the weight.
absl::StatusOr<FreshKasa> InitKasa(const LoraInit& init,
                                   const LinearLoraShape& shape, double scale,
                                   const Tensor& weight,
                                   TorchGenerator& generator);

// AdaLoRA: a (r, in), e (r, 1), b (out, r); r may be 0.
struct AdaLoraFactors {
  Tensor a;
  Tensor b;
  Tensor e;
};

// With `init_weights` (init_lora_weights: true) E is zero, A and B are normal
// with deviation 0.02; without, all are normal with deviation 1.
absl::StatusOr<AdaLoraFactors> InitAdaLora(int64_t in_features,
                                           int64_t out_features, int64_t r,
                                           bool init_weights,
                                           TorchGenerator& generator);

// IA3's ia3_l of that shape: ones, or normal without `init_weights`.
absl::StatusOr<Tensor> InitIa3(std::vector<int64_t> shape, bool init_weights,
                               TorchGenerator& generator);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_LORA_INIT_H_
