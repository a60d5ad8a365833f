#include "peft_cc/adapters/tiny_model.h"

#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace {

constexpr int64_t kHidden = 8;
constexpr int64_t kRows = 3;  // of make_testdata.py's input

int64_t Product(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1},
                         std::multiplies<int64_t>());
}

// make_testdata.py's base_model.
Tensor Parameter(const std::string& name, std::vector<int64_t> shape) {
  int64_t sum = 0;
  for (const unsigned char byte : name) sum += byte;
  std::vector<float> values(Product(shape));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((i * 7 + sum) % 17) / 16 - 0.5f;
  }
  return MakeTensor(std::move(shape), std::move(values));
}

Site LinearSite(const std::string& name, int64_t in, int64_t out, bool bias) {
  Site site;
  site.name = name;
  site.in_features = in;
  site.out_features = out;
  site.weight = Parameter(name + ".weight", {out, in});
  if (bias) site.bias = Parameter(name + ".bias", {out});
  return site;
}

Site NormSite(const std::string& name) {
  Site site;
  site.name = name;
  site.kind = SiteKind::kNorm;
  site.in_features = site.out_features = kHidden;
  site.weight = Parameter(name + ".weight", {kHidden});
  return site;
}

void AddLayer(const std::string& layer, std::vector<Site>& sites) {
  const std::string attention = layer + ".self_attn.";
  const std::string mlp = layer + ".mlp.";
  sites.push_back(LinearSite(attention + "q_proj", kHidden, kHidden, true));
  sites.push_back(LinearSite(attention + "k_proj", kHidden, 4, true));
  sites.push_back(LinearSite(attention + "v_proj", kHidden, 4, true));
  sites.push_back(LinearSite(attention + "o_proj", kHidden, kHidden, false));
  sites.push_back(LinearSite(mlp + "gate_proj", kHidden, 12, false));
  sites.push_back(LinearSite(mlp + "up_proj", kHidden, 12, false));
  sites.push_back(LinearSite(mlp + "down_proj", 12, kHidden, false));
  sites.push_back(NormSite(layer + ".input_layernorm"));
  sites.push_back(NormSite(layer + ".post_attention_layernorm"));
}

Site EmbeddingSite() {
  Site site = LinearSite("model.embed_tokens", kHidden, 10, false);
  site.kind = SiteKind::kEmbedding;
  site.in_features = 10;
  site.out_features = kHidden;
  return site;
}

std::vector<float> InputRow(int64_t row, int64_t width) {
  std::vector<float> x(width);
  for (int64_t i = 0; i < width; ++i) {
    x[i] = static_cast<float>((row * 5 + i * 3) % 7 - 3) / 4;
  }
  return x;
}

}  // namespace

SiteTable TinySites() {
  std::vector<Site> sites = {EmbeddingSite()};
  std::vector<std::string> names = {"", "model", "model.embed_tokens",
                                    "model.layers"};
  for (int i = 0; i < 2; ++i) {
    const std::string layer = absl::StrCat("model.layers.", i);
    for (const char* container : {"", ".self_attn", ".mlp", ".mlp.act_fn"}) {
      names.push_back(layer + container);
    }
    const size_t first = sites.size();
    AddLayer(layer, sites);
    for (size_t j = first; j < sites.size(); ++j) {
      names.push_back(sites[j].name);
    }
  }
  sites.push_back(NormSite("model.norm"));
  sites.push_back(LinearSite("lm_head", kHidden, 10, false));
  sites.back().is_output_embedding = true;
  names.insert(names.end(), {"model.norm", "lm_head"});
  return SiteTable(std::move(sites), std::move(names), "qwen2");
}

Tensor MakeTensor(std::vector<int64_t> shape, std::vector<float> values,
                  DType dtype) {
  void* data = nullptr;
  values.resize(Product(shape));
  Tensor tensor = *Tensor::Allocate(dtype, std::move(shape), &data);
  // Other dtypes stay zero: tests need no more of them.
  ConvertFromF32(values.data(), values.size(), dtype, data);
  return tensor;
}

AdapterConfig MakeLoraConfig(std::vector<std::string> targets) {
  AdapterConfig config;
  config.base.peft_type = "LORA";
  config.lora.emplace();
  config.lora->r = 2;
  config.lora->lora_alpha = 4;
  config.targets.target_modules.emplace();
  config.targets.target_modules->names = std::move(targets);
  return config;
}

void AddFactors(const SiteTable& sites, const std::string& module,
                TensorMap& tensors) {
  const Site& site = sites.sites()[sites.Find(module)];
  const std::string prefix = absl::StrCat("base_model.model.", module);
  const std::string a = prefix + ".lora_A.weight";
  const std::string b = prefix + ".lora_B.weight";
  tensors[a] = Parameter(a, {2, site.in_features});
  tensors[b] = Parameter(b, {site.out_features, 2});
}

std::vector<float> SiteOutput(const SiteTable& sites, const Plan& plan,
                              int index) {
  const Site& site = sites.sites()[index];
  const bool embedding = site.kind == SiteKind::kEmbedding;
  const int64_t rows = embedding ? site.in_features : kRows;
  const kernels::LinearGroup group = {&plan.linear(index), rows};
  const auto groups = absl::MakeConstSpan(&group, 1);
  std::vector<float> y(rows * site.out_features);
  const kernels::Rows out = {y.data(), rows, site.out_features,
                             site.out_features};
  if (embedding) {
    std::vector<int64_t> ids(rows);
    std::iota(ids.begin(), ids.end(), 0);
    std::vector<float> workspace(kernels::EmbeddingWorkspaceFloats(groups));
    kernels::RunEmbedding(groups, ids.data(), out, workspace.data(),
                          kernels::InlineThreadPool());
    return y;
  }
  std::vector<float> x;
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<float> values = InputRow(row, site.in_features);
    x.insert(x.end(), values.begin(), values.end());
  }
  std::vector<float> workspace(kernels::LinearWorkspaceFloats(groups));
  kernels::RunLinear(groups,
                     {x.data(), rows, site.in_features, site.in_features}, out,
                     workspace.data(), kernels::InlineThreadPool());
  return y;
}

}  // namespace peft
