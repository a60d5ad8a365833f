#include "peft_cc/algebra/lora_init.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/algebra/matrix.h"
#include "peft_cc/algebra/torch_init.h"
#include "peft_cc/algebra/weight_init.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr double kAdaLoraDeviation = 0.02;
// Far more than anyone needs: the approximation is exact long before.
constexpr int kMaxIterations = 1000;

struct NamedInit {
  absl::string_view name;
  LoraInitKind kind;
};
constexpr NamedInit kInits[] = {
    {"true", LoraInitKind::kDefault},
    {"false", LoraInitKind::kRandom},
    {"gaussian", LoraInitKind::kGaussian},
    {"orthogonal", LoraInitKind::kOrthogonal},
    {"olora", LoraInitKind::kOlora},
    {"pissa", LoraInitKind::kPissa},
    {"mica", LoraInitKind::kMica},
};
constexpr absl::string_view kNeedMore[] = {"corda", "eva", "loftq", "lora_ga"};

absl::Status CheckPositive(absl::string_view what, int64_t value) {
  if (value > 0) return absl::OkStatus();
  return ArgumentError(absl::StrCat(what, " is ", value, ", not above 0"),
                       {std::string(what), "above 0", absl::StrCat(value)});
}

absl::StatusOr<Tensor> NormalTensor(std::vector<int64_t> shape, double stddev,
                                    TorchGenerator& generator) {
  return MakeF32Tensor(std::move(shape), [&](absl::Span<float> out) {
    generator.Normal(0, stddev, out);
  });
}

absl::StatusOr<Tensor> DefaultTensor(std::vector<int64_t> shape, int64_t fan_in,
                                     TorchGenerator& generator) {
  return MakeF32Tensor(std::move(shape), [&](absl::Span<float> out) {
    DefaultWeight(generator, fan_in, out);
  });
}

// Of an f32 matrix.
absl::StatusOr<Tensor> TransposedTensor(const Tensor& tensor) {
  const int64_t rows = tensor.dim(0);
  const int64_t cols = tensor.dim(1);
  const auto* const from = static_cast<const float*>(tensor.data());
  return MakeF32Tensor({cols, rows}, [&](absl::Span<float> out) {
    for (int64_t i = 0; i < cols; ++i) {
      for (int64_t j = 0; j < rows; ++j) out[i * rows + j] = from[j * cols + i];
    }
  });
}

std::vector<int64_t> Shape(const Tensor& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

// What PEFT starts from: layers of torch.nn with their own initial values.
struct FanIns {
  int64_t a = 0;
  int64_t b = 0;
};

absl::StatusOr<LoraFactors> DefaultFactors(std::vector<int64_t> a_shape,
                                           std::vector<int64_t> b_shape,
                                           const FanIns& fan_ins, bool has_bias,
                                           TorchGenerator& generator) {
  const int64_t out_features = b_shape[0];
  LoraFactors factors;
  PEFT_ASSIGN_OR_RETURN(
      factors.a, DefaultTensor(std::move(a_shape), fan_ins.a, generator));
  PEFT_ASSIGN_OR_RETURN(
      factors.b, DefaultTensor(std::move(b_shape), fan_ins.b, generator));
  if (!has_bias) return factors;
  PEFT_ASSIGN_OR_RETURN(
      factors.b_bias, MakeF32Tensor({out_features}, [&](absl::Span<float> out) {
        DefaultBias(generator, fan_ins.b, out);
      }));
  return factors;
}

// LoraLayer.reset_lora_parameters: A is drawn again, the others are zero.
absl::Status ResetFactors(LoraInitKind kind, int64_t fan_in, int64_t r,
                          LoraFactors& factors, TorchGenerator& generator) {
  if (kind == LoraInitKind::kGaussian) {
    PEFT_ASSIGN_OR_RETURN(factors.a,
                          NormalTensor(Shape(factors.a), 1.0 / r, generator));
  } else {
    PEFT_ASSIGN_OR_RETURN(factors.a,
                          DefaultTensor(Shape(factors.a), fan_in, generator));
  }
  PEFT_ASSIGN_OR_RETURN(factors.b, MakeF32Zeros(Shape(factors.b)));
  if (!factors.b_bias.has_value()) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(factors.b_bias, MakeF32Zeros(Shape(*factors.b_bias)));
  return absl::OkStatus();
}

absl::Status CheckWeight(const LinearLoraShape& shape, const Tensor& weight) {
  if (weight.rank() == 2 && weight.dim(0) == shape.out_features &&
      weight.dim(1) == shape.in_features) {
    return absl::OkStatus();
  }
  const std::string expected =
      ShapeToString({shape.out_features, shape.in_features});
  const std::string found = ShapeToString(weight.shape());
  return ArgumentError(
      absl::StrCat("the base weight is ", found, ", expected ", expected),
      {"weight", expected, found});
}

// The factors that are computed rather than drawn.
absl::StatusOr<LoraFactors> ComputedFactors(const LoraInit& init,
                                            const LinearLoraShape& shape,
                                            double scale, const Tensor& weight,
                                            TorchGenerator& generator) {
  if (init.kind == LoraInitKind::kOrthogonal) {
    return OrthogonalFactors(shape.in_features, shape.out_features, shape.r,
                             generator);
  }
  PEFT_RETURN_IF_ERROR(CheckWeight(shape, weight));
  PEFT_ASSIGN_OR_RETURN(const Matrix w, MatrixFromTensor(weight));
  // PEFT slices these from a decomposition, which has no more.
  const int64_t sliced = std::min({shape.r, w.rows, w.cols});
  switch (init.kind) {
    case LoraInitKind::kOlora:
      return OloraFactors(w, sliced);
    case LoraInitKind::kPissa:
      return PissaFactors(w, sliced, scale);
    case LoraInitKind::kPissaNiter:
      return PissaNiterFactors(w, shape.r, scale, init.num_iterations,
                               generator);
    default:
      return MicaFactors(w, shape.r);
  }
}

bool ChangesBase(LoraInitKind kind) {
  return kind == LoraInitKind::kOlora || kind == LoraInitKind::kPissa ||
         kind == LoraInitKind::kPissaNiter;
}

absl::StatusOr<LoraInit> ParsePissaNiter(absl::string_view name) {
  LoraInit init = {LoraInitKind::kPissaNiter, 0};
  if (absl::ConsumePrefix(&name, "pissa_niter_") &&
      absl::SimpleAtoi(name, &init.num_iterations) &&
      init.num_iterations >= 0 && init.num_iterations <= kMaxIterations) {
    return init;
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("init_lora_weights is none of true, false, \"gaussian\", "
                   "\"orthogonal\", \"olora\", \"pissa\", \"pissa_niter_<0 to ",
                   kMaxIterations, ">\" and \"mica\""),
      {"init_lora_weights"});
}

}  // namespace

absl::StatusOr<LoraInit> ParseLoraInit(absl::string_view name) {
  for (const NamedInit& init : kInits) {
    if (name == init.name) return LoraInit{init.kind};
  }
  if (std::find(std::begin(kNeedMore), std::end(kNeedMore), name) ==
      std::end(kNeedMore)) {
    return ParsePissaNiter(name);
  }
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kAdapterFeatureUnsupported,
      absl::StrCat("init_lora_weights \"", name,
                   "\" needs data or a quantiser; make the adapter in Python"),
      {"init_lora_weights", "", std::string(name)});
}

absl::StatusOr<FreshLora> InitLinearLora(const LoraInit& init,
                                         const LinearLoraShape& shape,
                                         double scale, const Tensor& weight,
                                         TorchGenerator& generator) {
  PEFT_RETURN_IF_ERROR(CheckPositive("r", shape.r));
  PEFT_RETURN_IF_ERROR(CheckPositive("num_experts", shape.num_experts));
  const int64_t rows = shape.r * shape.num_experts;
  PEFT_ASSIGN_OR_RETURN(
      LoraFactors drawn,
      DefaultFactors({rows, shape.in_features}, {shape.out_features, rows},
                     {shape.in_features, rows}, shape.has_bias, generator));
  if (init.kind == LoraInitKind::kRandom) return FreshLora{std::move(drawn)};
  if (init.kind == LoraInitKind::kDefault ||
      init.kind == LoraInitKind::kGaussian) {
    PEFT_RETURN_IF_ERROR(
        ResetFactors(init.kind, shape.in_features, shape.r, drawn, generator));
    return FreshLora{std::move(drawn)};
  }
  if (shape.num_experts != 1) {
    return ArgumentError(
        "init_lora_weights of a parameter with experts is true, false or "
        "\"gaussian\"; PEFT has no other one",
        {"init_lora_weights"});
  }
  PEFT_ASSIGN_OR_RETURN(LoraFactors factors,
                        ComputedFactors(init, shape, scale, weight, generator));
  drawn.a = std::move(factors.a);
  drawn.b = std::move(factors.b);
  if (!ChangesBase(init.kind)) return FreshLora{std::move(drawn)};
  const BaseChange change = {drawn.a, drawn.b, -scale};
  return FreshLora{std::move(drawn), change};
}

absl::StatusOr<FreshLora> InitEmbeddingLora(const LoraInit& init, int64_t r,
                                            const Tensor& weight,
                                            TorchGenerator& generator) {
  PEFT_RETURN_IF_ERROR(CheckPositive("r", r));
  if (weight.rank() != 2) {
    return ArgumentError(
        absl::StrCat("an embedding's weight is (rows, width), "
                     "not ",
                     ShapeToString(weight.shape())));
  }
  FreshLora fresh;
  Tensor& a = fresh.factors.a;
  Tensor& b = fresh.factors.b;
  PEFT_ASSIGN_OR_RETURN(a, NormalTensor({r, weight.dim(0)}, 1, generator));
  PEFT_ASSIGN_OR_RETURN(b, NormalTensor({weight.dim(1), r}, 1, generator));
  if (init.kind == LoraInitKind::kRandom) return fresh;
  if (init.kind == LoraInitKind::kMica) {
    PEFT_ASSIGN_OR_RETURN(const Matrix w, MatrixFromTensor(weight));
    PEFT_ASSIGN_OR_RETURN(fresh.factors, MicaFactors(Transposed(w), r));
    return fresh;
  }
  PEFT_ASSIGN_OR_RETURN(a, MakeF32Zeros(Shape(a)));
  PEFT_ASSIGN_OR_RETURN(b, NormalTensor(Shape(b), 1, generator));
  return fresh;
}

absl::StatusOr<FreshLora> InitTiedLora(const LoraInit& init,
                                       LoraFactors& embedding,
                                       TorchGenerator& generator) {
  const int64_t r = embedding.b.dim(1);
  const int64_t width = embedding.b.dim(0);
  // nn.Linear's own, which the views replace.
  PEFT_RETURN_IF_ERROR(DefaultFactors({r, width}, {embedding.a.dim(1), r},
                                      {width, r}, /*has_bias=*/false, generator)
                           .status());
  if (init.kind == LoraInitKind::kDefault) {
    // In the order of the memory, which is the embedding's.
    PEFT_ASSIGN_OR_RETURN(embedding.b,
                          DefaultTensor({width, r}, width, generator));
  } else if (init.kind == LoraInitKind::kGaussian) {
    // Torch takes its algorithm for few elements where memory is not
    // contiguous.
    PEFT_ASSIGN_OR_RETURN(
        embedding.b, MakeF32Tensor({width, r}, [&](absl::Span<float> out) {
          for (float& value : out) {
            generator.Normal(0, 1.0 / r, absl::MakeSpan(&value, 1));
          }
        }));
  }
  if (init.kind != LoraInitKind::kRandom) {
    PEFT_ASSIGN_OR_RETURN(embedding.a, MakeF32Zeros(Shape(embedding.a)));
  }
  FreshLora fresh;
  PEFT_ASSIGN_OR_RETURN(fresh.factors.a, TransposedTensor(embedding.b));
  PEFT_ASSIGN_OR_RETURN(fresh.factors.b, TransposedTensor(embedding.a));
  return fresh;
}

absl::StatusOr<FreshLora> InitConvLora(const LoraInit& init,
                                       const ConvLoraShape& shape,
                                       TorchGenerator& generator) {
  PEFT_RETURN_IF_ERROR(CheckPositive("r", shape.r));
  PEFT_RETURN_IF_ERROR(CheckPositive("groups", shape.groups));
  if (shape.r % shape.groups != 0) {
    return ArgumentError(
        absl::StrCat("r is ", shape.r, ", not a multiple of the convolution's ",
                     shape.groups, " groups; PEFT refuses this too"),
        {"r", absl::StrCat("a multiple of ", shape.groups),
         absl::StrCat(shape.r)});
  }
  if (init.kind != LoraInitKind::kDefault &&
      init.kind != LoraInitKind::kRandom &&
      init.kind != LoraInitKind::kGaussian) {
    return ArgumentError(
        "init_lora_weights of a convolution is true, false or \"gaussian\"; "
        "PEFT has no other one",
        {"init_lora_weights"});
  }
  std::vector<int64_t> a_shape = {shape.r, shape.in_channels};
  std::vector<int64_t> b_shape = {shape.out_channels, shape.r / shape.groups};
  int64_t fan_in = shape.in_channels;
  for (const int64_t size : shape.kernel_size) {
    a_shape.push_back(size);
    b_shape.push_back(1);
    fan_in *= size;
  }
  FreshLora fresh;
  PEFT_ASSIGN_OR_RETURN(fresh.factors,
                        DefaultFactors(std::move(a_shape), std::move(b_shape),
                                       {fan_in, shape.r / shape.groups},
                                       shape.has_bias, generator));
  if (init.kind == LoraInitKind::kRandom) return fresh;
  PEFT_RETURN_IF_ERROR(
      ResetFactors(init.kind, fan_in, shape.r, fresh.factors, generator));
  return fresh;
}

absl::StatusOr<FreshKasa> InitKasa(const LoraInit& init,
                                   const LinearLoraShape& shape, double scale,
                                   const Tensor& weight,
                                   TorchGenerator& generator) {
  const int64_t size = std::min(shape.in_features, shape.out_features);
  if (shape.r >= size) {
    return ArgumentError(
        absl::StrCat("KaSA needs a rank below both sides of the weight, ", size,
                     ", but r is ", shape.r),
        {"r", absl::StrCat("below ", size), absl::StrCat(shape.r)});
  }
  FreshKasa fresh;
  PEFT_ASSIGN_OR_RETURN(fresh.lora,
                        InitLinearLora(init, shape, scale, weight, generator));
  PEFT_ASSIGN_OR_RETURN(fresh.diag, NormalTensor({shape.r}, 1, generator));
  PEFT_RETURN_IF_ERROR(CheckWeight(shape, weight));
  PEFT_ASSIGN_OR_RETURN(const Matrix w, MatrixFromTensor(weight));
  PEFT_ASSIGN_OR_RETURN(fresh.truncation, SmallestRemoved(w, shape.r));
  return fresh;
}

absl::StatusOr<AdaLoraFactors> InitAdaLora(int64_t in_features,
                                           int64_t out_features, int64_t r,
                                           bool init_weights,
                                           TorchGenerator& generator) {
  AdaLoraFactors factors;
  PEFT_ASSIGN_OR_RETURN(factors.a,
                        NormalTensor({r, in_features}, 1, generator));
  PEFT_ASSIGN_OR_RETURN(factors.e, NormalTensor({r, 1}, 1, generator));
  PEFT_ASSIGN_OR_RETURN(factors.b,
                        NormalTensor({out_features, r}, 1, generator));
  // PEFT draws its `ranknum` too, and overwrites it.
  PEFT_RETURN_IF_ERROR(NormalTensor({1}, 1, generator).status());
  if (!init_weights) return factors;
  PEFT_ASSIGN_OR_RETURN(factors.e, MakeF32Zeros({r, 1}));
  PEFT_ASSIGN_OR_RETURN(
      factors.a, NormalTensor({r, in_features}, kAdaLoraDeviation, generator));
  PEFT_ASSIGN_OR_RETURN(
      factors.b, NormalTensor({out_features, r}, kAdaLoraDeviation, generator));
  return factors;
}

absl::StatusOr<Tensor> InitIa3(std::vector<int64_t> shape, bool init_weights,
                               TorchGenerator& generator) {
  PEFT_ASSIGN_OR_RETURN(const Tensor drawn, NormalTensor(shape, 1, generator));
  if (!init_weights) return drawn;
  return MakeF32Tensor(std::move(shape), [](absl::Span<float> out) {
    std::fill(out.begin(), out.end(), 1.0f);
  });
}

}  // namespace peft
