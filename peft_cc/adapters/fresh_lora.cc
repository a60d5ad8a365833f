#include "peft_cc/adapters/fresh_lora.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/algebra/lora_init.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/lora_ranks.h"
#include "peft_cc/methods/lora.h"
#include "peft_cc/methods/lora_factors.h"
#include "peft_cc/methods/lora_variants.h"
#include "peft_cc/methods/weight_norms.h"

namespace peft {
namespace {

constexpr char kInitKey[] = "init_lora_weights";
constexpr char kMagnitude[] = "lora_magnitude_vector";

absl::Status Refused(absl::string_view key, const Layer& layer,
                     absl::string_view problem) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("layer ", Quoted(layer.name), ": ", key, " ", problem),
      {std::string(key), "", layer.name});
}

// The initialiser of the config; "true" where it has none. PEFT takes some
// names in any case of letters.
absl::StatusOr<LoraInit> InitOf(const AdapterConfig& config) {
  const auto found = config.json.find(kInitKey);
  if (found == config.json.end()) return ParseLoraInit("true");
  if (found->is_boolean()) {
    return ParseLoraInit(found->get<bool>() ? "true" : "false");
  }
  if (found->is_string()) {
    return ParseLoraInit(absl::AsciiStrToLower(found->get<std::string>()));
  }
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat(kInitKey, " is ", found->dump(),
                                ", expected true, false or a name"),
                   {kInitKey, "true, false or a name", found->dump()});
}

bool IsDrawn(LoraInitKind kind) {
  return kind == LoraInitKind::kDefault || kind == LoraInitKind::kRandom ||
         kind == LoraInitKind::kGaussian;
}

// Those of HF Conv1D are stored (in, out).
absl::StatusOr<Tensor> OutByIn(const Layer& layer) {
  if (layer.kind != SiteKind::kConv1D) return layer.weight.Contiguous();
  const std::vector<float> from = layer.weight.ToF32();
  return MakeF32Tensor({layer.out_features, layer.in_features},
                       [&](absl::Span<float> out) {
                         size_t i = 0;
                         for (int64_t o = 0; o < layer.out_features; ++o) {
                           for (int64_t c = 0; c < layer.in_features; ++c) {
                             out[i++] = from[c * layer.out_features + o];
                           }
                         }
                       });
}

// The norms of W + s B A as PEFT's DoRA begins with.
absl::StatusOr<Tensor> InitialMagnitude(const Layer& layer, const Tensor& a,
                                        const Tensor& b, double scale,
                                        bool takes_from_base,
                                        kernels::ThreadPool& pool) {
  PEFT_ASSIGN_OR_RETURN(const Tensor b_matrix, LoraMatrixB(layer, b, 0));
  const WeightNorms norms =
      ComputeWeightNorms(layer, LoraMatrixA(layer, a, 0), b_matrix, pool);
  // What was taken from the base is what the factors add again.
  const double s = takes_from_base ? 0 : scale;
  return MakeF32Tensor(ShapeOfMagnitude(layer), [&](absl::Span<float> out) {
    for (size_t i = 0; i < out.size(); ++i) {
      const double square =
          norms.weight[i] + 2 * s * norms.cross[i] + s * s * norms.delta[i];
      out[i] = static_cast<float>(std::sqrt(square < 0 ? 0 : square));
    }
  });
}

class FreshLoraLayers : public FreshLayers {
 public:
  FreshLoraLayers(const LoraConfig& config, const LoraInit& init,
                  const std::vector<Layer>& layers, std::vector<LoraRank> ranks,
                  const LowerServices& services)
      : config_(config),
        init_(init),
        layers_(layers),
        ranks_(std::move(ranks)),
        services_(services) {}

  absl::StatusOr<LayerTensors> Make(size_t i,
                                    TorchGenerator& generator) const override {
    absl::StatusOr<FreshLora> fresh = Factors(i, generator);
    if (!fresh.ok()) return InLayer(fresh.status(), i);
    return WithMagnitude(i, ByPart(layers_[i], std::move(fresh->factors)),
                         fresh->base_change.has_value());
  }

  absl::StatusOr<LayerTensors> MakeTied(
      size_t i, LayerTensors& embedding,
      TorchGenerator& generator) const override {
    // What is computed replaces the shared memory.
    if (!IsDrawn(init_.kind)) return Make(i, generator);
    LoraFactors shared = {embedding["lora_embedding_A"],
                          embedding["lora_embedding_B"]};
    if (shared.b.dim(1) != ranks_[i].r) {
      return Refused("rank_pattern", layers_[i],
                     "gives the head another rank than the embedding that it "
                     "is tied to");
    }
    PEFT_ASSIGN_OR_RETURN(FreshLora fresh,
                          InitTiedLora(init_, shared, generator));
    embedding["lora_embedding_A"] = shared.a;
    embedding["lora_embedding_B"] = shared.b;
    return WithMagnitude(i, ByPart(layers_[i], std::move(fresh.factors)),
                         /*takes_from_base=*/false);
  }

 private:
  absl::Status InLayer(const absl::Status& status, size_t i) const {
    return WithContext(status, absl::StrCat("layer ", Quoted(layers_[i].name)));
  }

  absl::StatusOr<FreshLora> Factors(size_t i, TorchGenerator& generator) const {
    switch (layers_[i].kind) {
      case SiteKind::kEmbedding:
        return Embedding(i, generator);
      case SiteKind::kConvolution:
        return Convolution(i, generator);
      case SiteKind::kMultiheadAttention:
        return Attention(i, generator);
      default:
        return Linear(i, generator);
    }
  }

  absl::StatusOr<FreshLora> Linear(size_t i, TorchGenerator& generator) const {
    const Layer& layer = layers_[i];
    PEFT_ASSIGN_OR_RETURN(const float scale, LoraScale(config_, ranks_[i]));
    LinearLoraShape shape;
    shape.in_features = layer.in_features;
    shape.out_features = layer.out_features;
    shape.r = ranks_[i].r;
    shape.has_bias = config_.lora_bias;
    shape.num_experts = layer.num_experts;
    Tensor weight;
    if (!IsDrawn(init_.kind) && init_.kind != LoraInitKind::kOrthogonal) {
      PEFT_RETURN_IF_ERROR(CheckHasWeight(layer));
      PEFT_ASSIGN_OR_RETURN(weight, OutByIn(layer));
    }
    return InitLinearLora(init_, shape, scale, weight, generator);
  }

  static absl::Status CheckHasWeight(const Layer& layer) {
    if (layer.weight.dtype() != DType::kUnspecified) return absl::OkStatus();
    return MakeError(absl::StatusCode::kUnimplemented,
                     error_id::kAdapterFeatureUnsupported,
                     "the initial values come from the base's weight, which "
                     "the program did not register; register it, or choose "
                     "another init_lora_weights",
                     {layer.name, "", ""});
  }

  absl::StatusOr<FreshLora> Embedding(size_t i,
                                      TorchGenerator& generator) const {
    const Layer& layer = layers_[i];
    if (init_.kind == LoraInitKind::kMica) {
      PEFT_RETURN_IF_ERROR(CheckHasWeight(layer));
      PEFT_ASSIGN_OR_RETURN(const Tensor table, layer.weight.Contiguous());
      return InitEmbeddingLora(init_, ranks_[i].r, table, generator);
    }
    // Of the weight only the shape is read.
    const Tensor shape(DType::kF32, {layer.in_features, layer.out_features},
                       nullptr, nullptr);
    return InitEmbeddingLora(init_, ranks_[i].r, shape, generator);
  }

  absl::StatusOr<FreshLora> Convolution(size_t i,
                                        TorchGenerator& generator) const {
    const kernels::ConvGeometry& conv = layers_[i].conv;
    ConvLoraShape shape;
    shape.in_channels = conv.in_channels;
    shape.out_channels = layers_[i].out_features;
    shape.kernel_size.assign(conv.kernel.end() - conv.num_axes,
                             conv.kernel.end());
    shape.groups = conv.groups;
    shape.r = ranks_[i].r;
    shape.has_bias = config_.lora_bias;
    return InitConvLora(init_, shape, generator);
  }

  // PEFT wraps out_proj, the layer behind it, and then makes that once more.
  absl::StatusOr<FreshLora> Attention(size_t i,
                                      TorchGenerator& generator) const {
    if (!IsDrawn(init_.kind)) {
      return Refused(kInitKey, layers_[i],
                     "of a MultiheadAttention is true, false or \"gaussian\"; "
                     "PEFT has no other one");
    }
    PEFT_RETURN_IF_ERROR(Linear(i + 1, generator).status());
    return Linear(i, generator);
  }

  static LayerTensors ByPart(const Layer& layer, LoraFactors factors) {
    const bool is_embedding = layer.kind == SiteKind::kEmbedding;
    LayerTensors tensors;
    tensors[is_embedding ? "lora_embedding_A" : "lora_A.weight"] =
        std::move(factors.a);
    tensors[is_embedding ? "lora_embedding_B" : "lora_B.weight"] =
        std::move(factors.b);
    if (factors.b_bias.has_value()) {
      tensors["lora_B.bias"] = *std::move(factors.b_bias);
    }
    return tensors;
  }

  absl::StatusOr<LayerTensors> WithMagnitude(size_t i, LayerTensors tensors,
                                             bool takes_from_base) const {
    if (!config_.use_dora) return tensors;
    const Layer& layer = layers_[i];
    const absl::Status has_weight = CheckHasWeight(layer);
    if (!has_weight.ok()) return InLayer(has_weight, i);
    const bool is_embedding = layer.kind == SiteKind::kEmbedding;
    PEFT_ASSIGN_OR_RETURN(const float scale, LoraScale(config_, ranks_[i]));
    const Tensor& a =
        tensors[is_embedding ? "lora_embedding_A" : "lora_A.weight"];
    const Tensor& b =
        tensors[is_embedding ? "lora_embedding_B" : "lora_B.weight"];
    PEFT_ASSIGN_OR_RETURN(
        tensors[kMagnitude],
        InitialMagnitude(layer, a, b, scale, takes_from_base, *services_.pool));
    return tensors;
  }

  const LoraConfig& config_;
  const LoraInit init_;
  const std::vector<Layer>& layers_;
  const std::vector<LoraRank> ranks_;
  const LowerServices& services_;
};

// The value of a flag or a number under `key`; false or 0 for none.
bool IsSet(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return false;
  return found->is_boolean() ? found->get<bool>()
                             : found->is_number() && found->get<double>() != 0;
}

// What PEFT refuses when it makes the layers.
absl::Status CheckLayers(const AdapterConfig& config, const LoraInit& init,
                         const std::vector<Layer>& layers) {
  const bool has_variant =
      config.lora->use_dora || !config.lora->alora_invocation_tokens.empty();
  for (const Layer& layer : layers) {
    const bool is_linear =
        layer.kind == SiteKind::kLinear || layer.kind == SiteKind::kConv1D;
    if (init.kind == LoraInitKind::kMica &&
        (has_variant || !(is_linear || layer.kind == SiteKind::kEmbedding))) {
      return Refused(kInitKey, layer,
                     "\"mica\" is for linear layers and embeddings, and not "
                     "beside use_dora or alora_invocation_tokens");
    }
    if (layer.kind != SiteKind::kParameter) continue;
    for (const char* key : {"lora_dropout", "fan_in_fan_out"}) {
      if (IsSet(config.json, key)) {
        return Refused(key, layer,
                       "is set (fan_in_fan_out by a Conv1D among the targets), "
                       "but PEFT adapts no parameter with it; set it to 0 or "
                       "false, or use an adapter of its own for "
                       "target_parameters");
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<FreshLayers>> MakeFreshLora(
    const AdapterConfig& config, const std::vector<Layer>& layers,
    const LowerServices& services) {
  PEFT_ASSIGN_OR_RETURN(const LoraInit init, InitOf(config));
  PEFT_RETURN_IF_ERROR(CheckLayers(config, init, layers));
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(std::vector<LoraRank> ranks,
                        FindLoraRanks(*config.lora, NamesOf(layers), &notes));
  return std::unique_ptr<FreshLayers>(std::make_unique<FreshLoraLayers>(
      *config.lora, init, layers, std::move(ranks), services));
}

}  // namespace peft
