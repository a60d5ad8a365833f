#include "peft_cc/adapters/site_stack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

kernels::VectorView VectorOf(const std::vector<float>& values) {
  if (values.empty()) return {};
  return {values.data(), DType::kF32, static_cast<int64_t>(values.size())};
}

template <typename F>
bool Has(const SiteProgram& program) {
  return std::any_of(program.begin(), program.end(), [](const Form& form) {
    return std::holds_alternative<F>(form);
  });
}

kernels::VectorView VectorOf(const Floats& values) {
  if (values.empty()) return {};
  return {values.data(), DType::kF32, static_cast<int64_t>(values.size())};
}

// The elements of a view of aligned f32.
const float* ElementsOf(const kernels::VectorView& view) {
  return static_cast<const float*>(view.data);
}

void Multiply(const float* factor, std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) values[i] *= factor[i];
}

// `factor` with each number `repeat` times in sequence.
std::vector<float> Repeat(const Floats& factor, int64_t repeat) {
  std::vector<float> values;
  values.reserve(factor.size() * repeat);
  for (const float value : factor) values.insert(values.end(), repeat, value);
  return values;
}

}  // namespace

kernels::VectorView VectorOf(const Tensor& tensor) {
  if (tensor.dtype() == DType::kUnspecified) return {};
  return {tensor.data(), tensor.dtype(), tensor.num_elements()};
}

kernels::LinearPlan BasePlan(const Site& site, const Tensor& weight,
                             const Tensor& bias) {
  kernels::LinearPlan plan;
  plan.transposed = site.is_transposed() != weight.is_by_columns();
  // Norms and sites of a host that registered no weight have no matrix. That
  // of a convolution is over the columns of one group.
  if (weight.rank() >= 2) plan.weight = weight.Stored().AsMatrix();
  plan.bias = VectorOf(bias);
  return plan;
}

absl::Status SiteStack::Add(const SiteProgram& program, float scale,
                            absl::string_view name) {
  if (scale == 0 && !Has<MagnitudeScale>(program)) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(CheckConflicts(program, name));
  for (const Form& form : program) {
    std::visit([&](const auto& typed) { AddForm(typed, scale); }, form);
  }
  return absl::OkStatus();
}

absl::Status SiteStack::Conflict(absl::string_view name,
                                 absl::string_view why) const {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kAdapterConflict,
      absl::StrCat("adapter ", Quoted(name), " cannot be active together with ",
                   "another one: at ", Quoted(site_.name), " ", why,
                   "; activate one of them, or one per row of a batch"),
      {site_.name, "", ""});
}

absl::Status SiteStack::CheckConflicts(const SiteProgram& program,
                                       absl::string_view name) const {
  if (Has<Replace>(program) && is_replaced_) {
    return Conflict(name, "both replace the module");
  }
  if ((Has<Replace>(program) && has_magnitude_) ||
      (Has<MagnitudeScale>(program) && is_replaced_)) {
    return Conflict(name,
                    "one replaces the module whose norm the other has trained");
  }
  for (const Form& form : program) {
    const auto* rows = std::get_if<ReplaceRows>(&form);
    if (rows == nullptr) continue;
    const int64_t* const end = plan_.patch.ids + plan_.patch.rows.rows;
    for (const int64_t id : rows->ids) {
      if (std::binary_search(plan_.patch.ids, end, id)) {
        return Conflict(name, absl::StrCat("both replace row ", id));
      }
    }
  }
  return absl::OkStatus();
}

void SiteStack::AddForm(const LowRank& form, float scale) {
  // AdaLoRA has taken all ranks away: it only has its place among the methods.
  if (form.a.dim(0) == 0) return;
  const int gate = form.gate == nullptr ? -1 : GateIndex(form.gate);
  OpenStage().low_rank.push_back({form.a.AsMatrix(), form.b.AsMatrix(),
                                  scale * form.scale, gate,
                                  VectorOf(form.rank_scale)});
}

void SiteStack::AddForm(const Bias& form, float scale) {
  if (form.of_base) {
    AddToOwnBias(scale, form.delta);
    return;
  }
  std::vector<float>& sum = FoldedBias();
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += scale * form.delta[i];
}

void SiteStack::AddToOwnBias(float scale, const std::vector<float>& delta) {
  std::vector<float>& sum = FoldedBias();
  for (size_t i = 0; i < sum.size(); ++i) {
    const float gain = own_bias_gain_.empty() ? 1.0f : own_bias_gain_[i];
    sum[i] += gain * scale * delta[i];
    own_bias_[i] += scale * delta[i];
  }
}

// What is inside reads scaled inputs: the base through in_scale, the terms that
// are there through factors A of their own, which costs a copy of them. Only a
// method around another comes here with terms.
void SiteStack::AddForm(const ScaleIn& form, float) {
  kernels::VectorView factor = VectorOf(form.factor);
  if (form.repeat != 1) factor = Keep(Repeat(form.factor, form.repeat));
  for (kernels::LinearStage& stage : plan_.stages) {
    for (kernels::LowRankSegment& segment : stage.low_rank) {
      std::vector<float> a(segment.a.rows * segment.a.cols);
      ConvertToF32(segment.a.dtype, segment.a.data, a.size(), a.data());
      for (size_t i = 0; i < a.size(); ++i) {
        a[i] *= ElementsOf(factor)[i % factor.size];
      }
      segment.a.data = Keep(std::move(a)).data;
      segment.a.dtype = DType::kF32;
    }
  }
  plan_.in_scale = Product(plan_.in_scale, factor);
}

void SiteStack::AddForm(const ScaleOut& form, float) {
  MultiplyOutputs(VectorOf(form.factor));
  if (!form.with_bias || plan_.bias.data == nullptr) return;
  Multiply(form.factor.data(), FoldedBias());
  own_bias_gain_.resize(form.factor.size(), 1.0f);
  Multiply(form.factor.data(), own_bias_gain_);
}

void SiteStack::AddForm(const MagnitudeScale& form, float scale) {
  const double s = double{scale} * form.scale;
  std::vector<float> values(form.magnitude.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double square =
        form.norm0[i] + 2 * s * form.norm1[i] + s * s * form.norm2[i];
    values[i] = static_cast<float>(form.magnitude[i] /
                                   std::sqrt(std::max(square, 0.0)));
  }
  has_magnitude_ = true;
  const kernels::VectorView kept = Keep(std::move(values));
  MultiplyOutputs(kept);
  if (bias_ == nullptr) return;  // beta is the layer's own bias
  const float* const factor = ElementsOf(kept);
  for (size_t i = 0; i < bias_->size(); ++i) {
    (*bias_)[i] = own_bias_[i] + factor[i] * ((*bias_)[i] - own_bias_[i]);
  }
  for (size_t i = 0; i < own_bias_gain_.size(); ++i) {
    own_bias_gain_[i] = 1.0f + factor[i] * (own_bias_gain_[i] - 1.0f);
  }
}

void SiteStack::AddForm(const Replace& form, float) {
  const kernels::LinearPlan replaced = BasePlan(site_, form.weight, form.bias);
  plan_.weight = replaced.weight;
  plan_.transposed = replaced.transposed;
  // What others have added to the base's bias stays.
  if (bias_ != nullptr) {
    std::vector<float> base = site_.bias.ToF32();
    std::vector<float> other = form.bias.ToF32();
    base.resize(bias_->size(), 0.0f);
    other.resize(bias_->size(), 0.0f);
    for (size_t i = 0; i < other.size(); ++i) other[i] -= base[i];
    AddToOwnBias(1.0f, other);
  } else {
    plan_.bias = replaced.bias;
  }
  is_replaced_ = true;
}

void SiteStack::AddForm(const ReplaceRows& form, float) {
  if (plan_.patch.rows.rows == 0) {
    plan_.patch = {form.ids.data(), form.rows.AsMatrix()};
    return;
  }
  // Two adapters with different rows: one patch of both, in order.
  const kernels::RowPatch before = plan_.patch;
  const int64_t width = form.rows.dim(1);
  const auto old_count = static_cast<size_t>(before.rows.rows);
  std::vector<float> old_rows(old_count * width);
  ConvertToF32(before.rows.dtype, before.rows.data, old_rows.size(),
               old_rows.data());
  const std::vector<float> new_rows = form.rows.ToF32();
  std::vector<std::pair<int64_t, const float*>> all;
  for (size_t i = 0; i < old_count; ++i) {
    all.emplace_back(before.ids[i], old_rows.data() + i * width);
  }
  for (size_t i = 0; i < form.ids.size(); ++i) {
    all.emplace_back(form.ids[i], new_rows.data() + i * width);
  }
  std::sort(all.begin(), all.end());
  std::vector<float> rows;
  std::vector<int64_t> ids;
  for (const auto& [id, row] : all) {
    ids.push_back(id);
    rows.insert(rows.end(), row, row + width);
  }
  const auto count = static_cast<int64_t>(ids.size());
  storage_.ids.push_back(std::move(ids));
  plan_.patch = {
      storage_.ids.back().data(),
      {Keep(std::move(rows)).data, DType::kF32, count, width, width}};
}

kernels::LinearStage& SiteStack::OpenStage() {
  if (plan_.stages.empty() || plan_.stages.back().out_scale.data != nullptr) {
    plan_.stages.emplace_back();
  }
  return plan_.stages.back();
}

// Where nothing was added since the last factor, one product of both.
void SiteStack::MultiplyOutputs(const kernels::VectorView& factor) {
  const bool is_scaled =
      !plan_.stages.empty() && plan_.stages.back().out_scale.data != nullptr;
  kernels::LinearStage& stage = is_scaled ? plan_.stages.back() : OpenStage();
  stage.out_scale = Product(stage.out_scale, factor);
}

kernels::VectorView SiteStack::Product(const kernels::VectorView& a,
                                       const kernels::VectorView& b) {
  if (a.data == nullptr) return b;
  std::vector<float> product(ElementsOf(a), ElementsOf(a) + a.size);
  Multiply(ElementsOf(b), product);
  return Keep(std::move(product));
}

std::vector<float>& SiteStack::FoldedBias() {
  if (bias_ != nullptr) return *bias_;
  std::vector<float> values(site_.out_features, 0.0f);
  if (plan_.bias.data != nullptr) {
    ConvertToF32(plan_.bias.dtype, plan_.bias.data, values.size(),
                 values.data());
  }
  own_bias_ = values;
  plan_.bias = Keep(std::move(values));
  bias_ = &storage_.vectors.back();
  return *bias_;
}

kernels::VectorView SiteStack::Keep(std::vector<float> values) {
  storage_.vectors.push_back(std::move(values));
  return VectorOf(storage_.vectors.back());
}

int SiteStack::GateIndex(const InvocationTokens& tokens) {
  std::vector<InvocationTokens>& gates = storage_.gates;
  const auto same = std::find_if(
      gates.begin(), gates.end(),
      [&](const InvocationTokens& other) { return *other == *tokens; });
  const auto index = static_cast<int>(same - gates.begin());
  if (same == gates.end()) gates.push_back(tokens);
  return index;
}

}  // namespace peft
