#include "peft_cc/adapters/probe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "absl/types/span.h"
#include "kernels/conv_geometry.h"
#include "kernels/convolution.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

double RatioOf(double delta, double base) {
  if (base == 0 && delta != 0) return std::numeric_limits<double>::infinity();
  return base == 0 ? 0 : delta / base;
}

// Adds up what two outputs have, element by element.
class Norms {
 public:
  void Add(double base, double delta) {
    base_ += base * base;
    delta_ += delta * delta;
  }
  ProbeLine Line(const std::string& site) const {
    return {site, std::sqrt(base_), std::sqrt(delta_)};
  }

 private:
  double base_ = 0;
  double delta_ = 0;
};

// Rows of uniform numbers with variance 1: the standard library's normal ones
// differ between implementations.
std::vector<float> RandomRows(int64_t count, std::mt19937_64& random) {
  std::vector<float> values(count);
  for (float& value : values) {
    const double unit = std::ldexp(static_cast<double>(random() >> 11), -53);
    value = static_cast<float>((2 * unit - 1) * std::sqrt(3.0));
  }
  return values;
}

class Prober {
 public:
  Prober(const SiteTable& sites, const Plan& base, const Plan& plan,
         const ProbeOptions& options, kernels::ThreadPool& pool)
      : sites_(sites),
        base_(base),
        plan_(plan),
        options_(options),
        random_(options.seed),
        pool_(pool) {}

  ProbeLine Probe(int site) {
    switch (sites_.sites()[site].kind) {
      case SiteKind::kEmbedding:
        return ProbeTable(site);
      case SiteKind::kNorm:
        return ProbeNorm(site);
      default:
        return ProbeLinear(site);
    }
  }

 private:
  // `bias`, which the base's outputs hold, is no part of their norm.
  ProbeLine Compare(const Site& site, const std::vector<float>& base,
                    const std::vector<float>& adapted,
                    const std::vector<float>& bias) const {
    Norms norms;
    for (size_t i = 0; i < base.size(); ++i) {
      const double shift = bias.empty() ? 0.0 : bias[i % bias.size()];
      norms.Add(base[i] - shift, double{adapted[i]} - base[i]);
    }
    return norms.Line(site.name);
  }

  ProbeLine ProbeLinear(int index) {
    const Site& site = sites_.sites()[index];
    const std::vector<float> x =
        RandomRows(options_.rows * site.in_features, random_);
    return Compare(site, RunLinear(base_, index, x), RunLinear(plan_, index, x),
                   site.bias.ToF32());
  }

  std::vector<float> RunLinear(const Plan& plan, int index,
                               const std::vector<float>& x) {
    const Site& site = sites_.sites()[index];
    const int64_t rows = options_.rows;
    std::vector<float> y(rows * site.out_features);
    if (site.kind == SiteKind::kConvolution) {
      RunWindows(plan.linear(index), site.conv, x, y);
      return y;
    }
    Run(plan, index, rows, [&](auto groups) {
      std::vector<float> workspace(kernels::LinearWorkspaceFloats(groups));
      kernels::RunLinear(groups,
                         kernels::ConstRows(x.data(), rows, site.in_features,
                                            site.in_features),
                         {y.data(), rows, site.out_features, site.out_features},
                         workspace.data(), pool_);
    });
    return y;
  }

  // Each row is a window as large as the kernel, and so has one output.
  void RunWindows(const kernels::LinearPlan& plan,
                  const kernels::ConvGeometry& conv,
                  const std::vector<float>& x, std::vector<float>& y) {
    kernels::ConvGeometry window;
    window.num_axes = conv.num_axes;
    window.in_channels = conv.in_channels;
    window.out_channels = conv.out_channels;
    window.groups = conv.groups;
    window.kernel = conv.kernel;
    std::vector<float> workspace(kernels::ConvolutionWorkspaceFloats(
        plan, window, options_.rows, window.kernel));
    kernels::RunConvolution(plan, window, options_.rows, window.kernel,
                            x.data(), y.data(), workspace.data(), pool_);
  }

  ProbeLine ProbeTable(int index) {
    const Site& site = sites_.sites()[index];
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < options_.rows; ++i) {
      ids.push_back(static_cast<int64_t>(
          random_() % static_cast<uint64_t>(site.in_features)));
    }
    const kernels::RowPatch& patch = plan_.linear(index).patch;
    ids.insert(ids.end(), patch.ids, patch.ids + patch.rows.rows);
    return Compare(site, RunTable(base_, index, ids),
                   RunTable(plan_, index, ids), {});
  }

  std::vector<float> RunTable(const Plan& plan, int index,
                              const std::vector<int64_t>& ids) {
    const int64_t width = sites_.sites()[index].out_features;
    const auto rows = static_cast<int64_t>(ids.size());
    std::vector<float> y(rows * width);
    Run(plan, index, rows, [&](auto groups) {
      std::vector<float> workspace(kernels::EmbeddingWorkspaceFloats(groups));
      kernels::RunEmbedding(groups, ids.data(), {y.data(), rows, width, width},
                            workspace.data(), pool_);
    });
    return y;
  }

  // Calls call(the site's plan as the only group, its gates open).
  template <typename Call>
  void Run(const Plan& plan, int index, int64_t rows, Call call) {
    const std::vector<uint8_t> open(rows, 1);
    const std::vector<const uint8_t*> gates(plan.gates().size(), open.data());
    const kernels::LinearGroup group = {&plan.linear(index), rows,
                                        gates.data()};
    call(absl::MakeConstSpan(&group, 1));
  }

  // Normalised input times the weight, plus the bias.
  ProbeLine ProbeNorm(int index) {
    const Site& site = sites_.sites()[index];
    const std::vector<float> x =
        RandomRows(options_.rows * site.out_features, random_);
    return Compare(site, RunNorm(base_, index, x), RunNorm(plan_, index, x),
                   site.bias.ToF32());
  }

  static std::vector<float> RunNorm(const Plan& plan, int index,
                                    std::vector<float> x) {
    const std::vector<float> weight = ToF32(plan.norm(index).weight);
    const std::vector<float> bias = ToF32(plan.norm(index).bias);
    for (size_t i = 0; i < x.size(); ++i) {
      if (!weight.empty()) x[i] *= weight[i % weight.size()];
      if (!bias.empty()) x[i] += bias[i % bias.size()];
    }
    return x;
  }

  static std::vector<float> ToF32(const kernels::VectorView& vector) {
    std::vector<float> values(vector.data == nullptr ? 0 : vector.size);
    ConvertToF32(vector.dtype, vector.data, static_cast<int64_t>(values.size()),
                 values.data());
    return values;
  }

  const SiteTable& sites_;
  const Plan& base_;
  const Plan& plan_;
  const ProbeOptions& options_;
  std::mt19937_64 random_;
  kernels::ThreadPool& pool_;
};

}  // namespace

double ProbeLine::Ratio() const { return RatioOf(delta_norm, base_norm); }

double ProbeReport::Ratio() const {
  double base = 0;
  double delta = 0;
  for (const ProbeLine& line : lines) {
    base += line.base_norm * line.base_norm;
    delta += line.delta_norm * line.delta_norm;
  }
  return RatioOf(std::sqrt(delta), std::sqrt(base));
}

double ProbeReport::MaxRatio() const {
  double ratio = 0;
  for (const ProbeLine& line : lines) ratio = std::max(ratio, line.Ratio());
  return ratio;
}

int64_t ProbeReport::NumUnchanged() const {
  return std::count_if(lines.begin(), lines.end(), [](const ProbeLine& line) {
    return line.delta_norm == 0;
  });
}

absl::StatusOr<ProbeReport> ProbeAdapter(const SiteTable& sites,
                                         const std::string& name,
                                         std::shared_ptr<const Adapter> adapter,
                                         const ProbeOptions& options,
                                         kernels::ThreadPool& pool) {
  PEFT_ASSIGN_OR_RETURN(const std::shared_ptr<const Plan> base,
                        Plan::Create(sites, {}));
  Activation activation;
  activation.entries.push_back({adapter, 1.0f, name});
  PEFT_ASSIGN_OR_RETURN(const std::shared_ptr<const Plan> plan,
                        Plan::Create(sites, activation));
  Prober prober(sites, *base, *plan, options, pool);
  ProbeReport report;
  for (const Adapter::SiteEntry& entry : adapter->entries()) {
    report.lines.push_back(prober.Probe(entry.site));
  }
  return report;
}

}  // namespace peft
