// Runs functions of this package on what a Python test gives it:
//
//   algebra_driver REQUESTS.json INPUTS.safetensors OUTPUTS.safetensors
//
// REQUESTS is a list of objects with an "op" and its arguments. The tensors of
// the request at index i are called "<i>.<name>" in both files.

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/algebra/linear_algebra.h"
#include "peft_cc/algebra/lora_init.h"
#include "peft_cc/algebra/mutated_init.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/algebra/weighted_lora.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/json.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

// One request with its tensors.
class Request {
 public:
  Request(const Json& json, int index, const TensorMap& inputs,
          TensorMap& outputs)
      : json_(json),
        prefix_(absl::StrCat(index, ".")),
        inputs_(inputs),
        outputs_(outputs) {}

  template <typename T>
  T Get(const char* key) const {
    return json_.at(key).get<T>();
  }
  template <typename T>
  std::optional<T> GetOptional(const char* key) const {
    if (json_.at(key).is_null()) return std::nullopt;
    return Get<T>(key);
  }
  const Tensor& Input(const std::string& name) const {
    return inputs_.at(prefix_ + name);
  }
  TorchGenerator Generator() const {
    return TorchGenerator(Get<uint64_t>("seed"));
  }

  void Output(const std::string& name, const Tensor& tensor) {
    outputs_[prefix_ + name] = tensor;
  }
  absl::Status Output(const std::string& name, const Matrix& matrix) {
    PEFT_ASSIGN_OR_RETURN(const Tensor tensor,
                          TensorFromMatrix(matrix, DType::kF32));
    Output(name, tensor);
    return absl::OkStatus();
  }
  absl::Status Output(const std::string& name,
                      const std::vector<double>& values) {
    return Output(name, Matrix{1, static_cast<int64_t>(values.size()), values});
  }
  void Output(const LoraFactors& factors) {
    Output("a", factors.a);
    Output("b", factors.b);
    if (factors.b_bias.has_value()) Output("b_bias", *factors.b_bias);
  }
  void Output(const FreshLora& fresh) {
    Output(fresh.factors);
    if (!fresh.base_change.has_value()) return;
    Output("change_a", fresh.base_change->a);
    Output("change_b", fresh.base_change->b);
  }

 private:
  const Json& json_;
  const std::string prefix_;
  const TensorMap& inputs_;
  TensorMap& outputs_;
};

absl::StatusOr<Tensor> DrawStep(const Json& step, TorchGenerator& generator) {
  const std::string kind = step[0];
  const int64_t n = step[1];
  if (kind == "randperm") {
    const std::vector<int64_t> permutation = generator.RandPerm(n);
    void* data;
    PEFT_ASSIGN_OR_RETURN(Tensor tensor,
                          Tensor::Allocate(DType::kI64, {n}, &data));
    std::copy(permutation.begin(), permutation.end(),
              static_cast<int64_t*>(data));
    return tensor;
  }
  return MakeF32Tensor({n}, [&](absl::Span<float> out) {
    if (kind == "normal") generator.Normal(step[2], step[3], out);
    if (kind == "uniform") generator.Uniform(step[2], step[3], out);
    if (kind == "bernoulli") generator.Bernoulli(step[2], out);
  });
}

absl::Status Draws(Request& request) {
  TorchGenerator generator = request.Generator();
  const Json steps = request.Get<Json>("steps");
  for (size_t i = 0; i < steps.size(); ++i) {
    PEFT_ASSIGN_OR_RETURN(const Tensor tensor, DrawStep(steps[i], generator));
    request.Output(absl::StrCat(i), tensor);
  }
  return absl::OkStatus();
}

absl::Status RunQr(Request& request) {
  PEFT_ASSIGN_OR_RETURN(const Matrix w, MatrixFromTensor(request.Input("w")));
  PEFT_ASSIGN_OR_RETURN(const QrDecomposition qr, Qr(w));
  PEFT_RETURN_IF_ERROR(request.Output("q", qr.q));
  return request.Output("r", qr.r);
}

absl::Status RunSvd(Request& request) {
  PEFT_ASSIGN_OR_RETURN(const Matrix w, MatrixFromTensor(request.Input("w")));
  const auto rank = request.GetOptional<int64_t>("rank");
  PEFT_ASSIGN_OR_RETURN(const SvdDecomposition svd,
                        rank.has_value() ? TopSvd(w, *rank) : Svd(w));
  PEFT_RETURN_IF_ERROR(request.Output("u", svd.u));
  PEFT_RETURN_IF_ERROR(request.Output("s", svd.s));
  PEFT_RETURN_IF_ERROR(request.Output("vt", svd.vt));
  PEFT_ASSIGN_OR_RETURN(const std::vector<double> values, SingularValues(w));
  return request.Output("values", values);
}

absl::Status RunInitLinear(Request& request) {
  PEFT_ASSIGN_OR_RETURN(const LoraInit init,
                        ParseLoraInit(request.Get<std::string>("init")));
  const LinearLoraShape shape = {
      request.Get<int64_t>("in"), request.Get<int64_t>("out"),
      request.Get<int64_t>("r"), request.Get<bool>("bias")};
  TorchGenerator generator = request.Generator();
  const double scale = request.Get<double>("scale");
  const Tensor& w = request.Input("w");
  if (!request.Get<bool>("kasa")) {
    PEFT_ASSIGN_OR_RETURN(const FreshLora fresh,
                          InitLinearLora(init, shape, scale, w, generator));
    request.Output(fresh);
    return absl::OkStatus();
  }
  PEFT_ASSIGN_OR_RETURN(const FreshKasa fresh,
                        InitKasa(init, shape, scale, w, generator));
  request.Output(fresh.lora);
  request.Output("diag", fresh.diag);
  request.Output("change_a", fresh.truncation.a);
  request.Output("change_b", fresh.truncation.b);
  return absl::OkStatus();
}

absl::Status RunInitEmbedding(Request& request) {
  PEFT_ASSIGN_OR_RETURN(const LoraInit init,
                        ParseLoraInit(request.Get<std::string>("init")));
  TorchGenerator generator = request.Generator();
  PEFT_ASSIGN_OR_RETURN(const FreshLora fresh,
                        InitEmbeddingLora(init, request.Get<int64_t>("r"),
                                          request.Input("w"), generator));
  request.Output(fresh);
  return absl::OkStatus();
}

absl::Status RunInitConv(Request& request) {
  PEFT_ASSIGN_OR_RETURN(const LoraInit init,
                        ParseLoraInit(request.Get<std::string>("init")));
  TorchGenerator generator = request.Generator();
  const ConvLoraShape shape = {request.Get<int64_t>("in"),
                               request.Get<int64_t>("out"),
                               request.Get<std::vector<int64_t>>("kernel"),
                               request.Get<int64_t>("groups"),
                               request.Get<int64_t>("r"),
                               request.Get<bool>("bias")};
  PEFT_ASSIGN_OR_RETURN(const FreshLora fresh,
                        InitConvLora(init, shape, generator));
  request.Output(fresh);
  return absl::OkStatus();
}

absl::Status RunInitAdaLora(Request& request) {
  TorchGenerator generator = request.Generator();
  PEFT_ASSIGN_OR_RETURN(
      const AdaLoraFactors factors,
      InitAdaLora(request.Get<int64_t>("in"), request.Get<int64_t>("out"),
                  request.Get<int64_t>("r"), request.Get<bool>("init"),
                  generator));
  request.Output("a", factors.a);
  request.Output("b", factors.b);
  request.Output("e", factors.e);
  return absl::OkStatus();
}

absl::Status RunInitIa3(Request& request) {
  TorchGenerator generator = request.Generator();
  PEFT_ASSIGN_OR_RETURN(const Tensor l,
                        InitIa3(request.Get<std::vector<int64_t>>("shape"),
                                request.Get<bool>("init"), generator));
  request.Output("l", l);
  return absl::OkStatus();
}

absl::Status RunCombine(Request& request) {
  CombinationOptions options;
  PEFT_ASSIGN_OR_RETURN(options.type,
                        ParseCombinationType(request.Get<std::string>("type")));
  PEFT_ASSIGN_OR_RETURN(
      options.majority_sign_method,
      ParseMajoritySignMethod(request.Get<std::string>("method")));
  options.density = request.GetOptional<double>("density");
  options.svd_clamp = request.GetOptional<double>("clamp");
  options.is_transposed = request.Get<bool>("transposed");
  const auto weights = request.Get<std::vector<double>>("weights");
  const auto scales = request.Get<std::vector<double>>("scales");
  std::vector<CombinationSource> sources;
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < weights.size(); ++i) {
    sources.push_back({request.Input(absl::StrCat("a", i)),
                       request.Input(absl::StrCat("b", i)), weights[i],
                       scales[i]});
    ranks.push_back(sources.back().a.dim(0));
  }
  PEFT_ASSIGN_OR_RETURN(options.rank,
                        CombinedRank(options.type, ranks,
                                     request.GetOptional<int64_t>("svd_rank")));
  TorchGenerator generator = request.Generator();
  PEFT_ASSIGN_OR_RETURN(const LoraFactors factors,
                        CombineLora(options, sources, generator));
  request.Output(factors);
  return absl::OkStatus();
}

absl::Status RunCombineIa3(Request& request) {
  const auto weights = request.Get<std::vector<double>>("weights");
  std::vector<Tensor> sources;
  for (size_t i = 0; i < weights.size(); ++i) {
    sources.push_back(request.Input(absl::StrCat("l", i)));
  }
  PEFT_ASSIGN_OR_RETURN(const Tensor sum, CombineIa3(sources, weights));
  request.Output("l", sum);
  return absl::OkStatus();
}

absl::Status RunSubtract(Request& request) {
  PEFT_ASSIGN_OR_RETURN(
      const LoraFactors factors,
      SubtractInitialFactors({request.Input("a"), request.Input("b")},
                             {request.Input("a0"), request.Input("b0")}));
  request.Output(factors);
  const ConvertedConfig config =
      ConvertConfig(request.Get<int64_t>("r"), request.Get<double>("alpha"),
                    request.Get<bool>("rslora"));
  return request.Output(
      "config",
      std::vector<double>{static_cast<double>(config.r), config.lora_alpha});
}

struct Op {
  const char* name;
  absl::Status (*run)(Request& request);
};
constexpr Op kOps[] = {
    {"draws", Draws},
    {"qr", RunQr},
    {"svd", RunSvd},
    {"init_linear", RunInitLinear},
    {"init_embedding", RunInitEmbedding},
    {"init_conv", RunInitConv},
    {"init_adalora", RunInitAdaLora},
    {"init_ia3", RunInitIa3},
    {"combine", RunCombine},
    {"combine_ia3", RunCombineIa3},
    {"subtract", RunSubtract},
};

absl::Status RunRequest(Request& request) {
  const std::string name = request.Get<std::string>("op");
  for (const Op& op : kOps) {
    if (name == op.name) return op.run(request);
  }
  return ArgumentError(absl::StrCat("there is no op \"", name, "\""));
}

absl::Status Run(const std::string& requests_path,
                 const std::string& inputs_path,
                 const std::string& outputs_path) {
  PEFT_ASSIGN_OR_RETURN(const std::string text,
                        ReadTextFile(requests_path, 64 << 20));
  PEFT_ASSIGN_OR_RETURN(const Json requests, ParseJson(text, requests_path));
  PEFT_ASSIGN_OR_RETURN(const SafetensorsFile inputs,
                        ReadSafetensors(inputs_path, ReadMode::kRead));
  TensorMap outputs;
  for (size_t i = 0; i < requests.size(); ++i) {
    Request request(requests[i], static_cast<int>(i), inputs.tensors, outputs);
    PEFT_RETURN_IF_ERROR(
        WithContext(RunRequest(request), absl::StrCat("request ", i)));
  }
  return WriteSafetensors(outputs_path, outputs, {});
}

}  // namespace
}  // namespace peft

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const absl::Status status = peft::Run(argv[1], argv[2], argv[3]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
