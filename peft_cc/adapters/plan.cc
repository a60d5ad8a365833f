#include "peft_cc/adapters/plan.h"

#include <utility>
#include <variant>

namespace peft {
namespace {

kernels::MatrixView MatrixOf(const Tensor& tensor) {
  return {tensor.data(), tensor.dtype(), tensor.dim(0), tensor.dim(1),
          tensor.dim(1)};
}

kernels::VectorView VectorOf(const Tensor& tensor) {
  return {tensor.data(), tensor.dtype(), tensor.num_elements()};
}

// Norms and sites of a host that registered no weight have no matrix.
kernels::LinearPlan BasePlan(const Site& site) {
  kernels::LinearPlan plan;
  if (site.weight.rank() == 2) plan.weight = MatrixOf(site.weight);
  if (site.has_bias()) plan.bias = VectorOf(site.bias);
  return plan;
}

// The base's bias in f32; zeros where the layer has none.
std::vector<float> BaseBias(const Site& site) {
  if (site.has_bias()) return site.bias.ToF32();
  return std::vector<float>(site.out_features, 0.0f);
}

void AddScaled(const std::vector<float>& delta, float scale,
               std::vector<float>& sum) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += scale * delta[i];
}

}  // namespace

bool Activation::SameAs(const Activation& other) const {
  if (entries.size() != other.entries.size()) return false;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& mine = entries[i];
    const Entry& theirs = other.entries[i];
    if (mine.scale != theirs.scale) return false;
    if (mine.adapter->generation() != theirs.adapter->generation()) {
      return false;
    }
  }
  return true;
}

Plan::Plan(const SiteTable& sites, Activation activation)
    : activation_(std::move(activation)) {
  linear_.reserve(sites.sites().size());
  for (const Site& site : sites.sites()) linear_.push_back(BasePlan(site));
}

std::shared_ptr<const Plan> Plan::Create(const SiteTable& sites,
                                         Activation activation) {
  std::shared_ptr<Plan> plan(new Plan(sites, std::move(activation)));
  for (const Activation::Entry& entry : plan->activation_.entries) {
    for (const Adapter::SiteEntry& site : entry.adapter->entries()) {
      plan->AddProgram(sites, site, entry.scale);
    }
  }
  return plan;
}

void Plan::AddProgram(const SiteTable& sites, const Adapter::SiteEntry& entry,
                      float scale) {
  kernels::LinearPlan& plan = linear_[entry.site];
  for (const Form& form : entry.program) {
    if (const auto* low_rank = std::get_if<LowRank>(&form)) {
      plan.low_rank.push_back({MatrixOf(low_rank->a), MatrixOf(low_rank->b),
                               scale * low_rank->scale});
    } else if (const auto* bias = std::get_if<Bias>(&form)) {
      std::vector<float>& sum =
          FoldedBias(sites.sites()[entry.site], entry.site);
      AddScaled(bias->delta, scale, sum);
    }
  }
}

std::vector<float>& Plan::FoldedBias(const Site& site, int index) {
  const auto [it, is_new] = biases_.try_emplace(index);
  if (is_new) {
    it->second = BaseBias(site);
    linear_[index].bias = {it->second.data(), DType::kF32,
                           static_cast<int64_t>(it->second.size())};
  }
  return it->second;
}

}  // namespace peft
