#include "peft_cc/models/host_layers.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/host_strides.h"

namespace peft {
namespace {

// Of strides, dilations and paddings. Keeps sums and products of positions in
// range.
constexpr int64_t kMaxStep = int64_t{1} << 31;

absl::Status Wrong(const HostLayer& layer, absl::string_view problem,
                   absl::string_view expected = "",
                   absl::string_view found = "") {
  return ArgumentError(
      absl::StrCat("layer ", Quoted(layer.name), ": ", problem,
                   expected.empty() ? "" : ", expected ", expected,
                   found.empty() ? "" : ", found ", found),
      {layer.name, std::string(expected), std::string(found)});
}

absl::Status CheckName(const HostLayer& layer) {
  const absl::string_view name = layer.name;
  if (!name.empty() && name.front() != '.' && name.back() != '.' &&
      !absl::StrContains(name, "..")) {
    return absl::OkStatus();
  }
  return Wrong(layer, "is no dotted name, as named_modules() has them");
}

bool IsSeen(const HostLayer& layer) {
  return layer.weight.dtype() != DType::kUnspecified;
}

// Of the weight, also of one that the program keeps to itself.
absl::Span<const int64_t> ShapeOf(const HostLayer& layer) {
  return IsSeen(layer) ? layer.weight.shape() : layer.unseen_shape;
}

int64_t Dim(const HostLayer& layer, int axis) { return ShapeOf(layer)[axis]; }

int RankOf(const HostLayer& layer) {
  return static_cast<int>(ShapeOf(layer).size());
}

absl::Status CheckFloats(const HostLayer& layer, absl::string_view what,
                         DType dtype) {
  if (IsComputeDType(dtype)) return absl::OkStatus();
  const absl::string_view found = dtype == DType::kUnspecified
                                      ? absl::string_view("none")
                                      : DTypeName(dtype);
  return Wrong(layer, what, "F32, BF16 or F16", found);
}

absl::Status CheckShape(const HostLayer& layer, int min_rank, int max_rank,
                        absl::string_view expected) {
  const DType dtype = IsSeen(layer) ? layer.weight.dtype() : layer.unseen_dtype;
  PEFT_RETURN_IF_ERROR(CheckFloats(layer, "weight", dtype));
  const int rank = RankOf(layer);
  if (rank >= min_rank && rank <= max_rank &&
      CheckedNumElements(ShapeOf(layer)).value_or(0) > 0) {
    return absl::OkStatus();
  }
  return Wrong(layer, "weight", expected, ShapeToString(ShapeOf(layer)));
}

absl::Status CheckBias(const HostLayer& layer, int64_t size) {
  if (layer.bias.dtype() == DType::kUnspecified) return absl::OkStatus();
  if (size == 0) return Wrong(layer, "has no bias of this kind, leave it out");
  PEFT_RETURN_IF_ERROR(CheckFloats(layer, "bias", layer.bias.dtype()));
  if (layer.bias.rank() == 1 && layer.bias.dim(0) == size) {
    return absl::OkStatus();
  }
  return Wrong(layer, "bias", ShapeToString({size}),
               ShapeToString(layer.bias.shape()));
}

absl::Status CheckRange(const HostLayer& layer, absl::string_view what,
                        int64_t value, int64_t min) {
  if (value >= min && value <= kMaxStep) return absl::OkStatus();
  return Wrong(layer, what, absl::StrCat(min, " to ", kMaxStep),
               absl::StrCat(value));
}

absl::Status SetAxis(const HostLayer& layer, int axis,
                     kernels::ConvGeometry& geometry) {
  const int64_t end = layer.padding_end[axis] == -1 ? layer.padding[axis]
                                                    : layer.padding_end[axis];
  PEFT_RETURN_IF_ERROR(CheckRange(layer, "stride", layer.stride[axis], 1));
  PEFT_RETURN_IF_ERROR(CheckRange(layer, "dilation", layer.dilation[axis], 1));
  PEFT_RETURN_IF_ERROR(CheckRange(layer, "padding", layer.padding[axis], 0));
  PEFT_RETURN_IF_ERROR(CheckRange(layer, "padding_end", end, 0));
  const int to = axis + 3 - geometry.num_axes;
  geometry.kernel[to] = Dim(layer, 2 + axis);
  geometry.stride[to] = layer.stride[axis];
  geometry.dilation[to] = layer.dilation[axis];
  geometry.padding_begin[to] = layer.padding[axis];
  geometry.padding_end[to] = end;
  return CheckRange(layer, "kernel", geometry.kernel[to], 1);
}

absl::Status SetConvolution(const HostLayer& layer, Site& site) {
  PEFT_RETURN_IF_ERROR(
      CheckShape(layer, 3, 5, "(out, in / groups, kernel ...)"));
  kernels::ConvGeometry& geometry = site.conv;
  geometry.num_axes = RankOf(layer) - 2;
  geometry.out_channels = Dim(layer, 0);
  geometry.groups = layer.groups;
  if (layer.groups < 1 || geometry.out_channels % layer.groups != 0) {
    return Wrong(layer, "groups",
                 absl::StrCat("a divisor of ", geometry.out_channels),
                 absl::StrCat(layer.groups));
  }
  geometry.in_channels = Dim(layer, 1) * layer.groups;
  for (int axis = 0; axis < geometry.num_axes; ++axis) {
    PEFT_RETURN_IF_ERROR(SetAxis(layer, axis, geometry));
  }
  site.in_features = geometry.num_columns();
  site.out_features = geometry.out_channels;
  return absl::OkStatus();
}

absl::Status SetMatrix(const HostLayer& layer, Site& site) {
  PEFT_RETURN_IF_ERROR(CheckShape(layer, 2, 2, "a matrix"));
  // An embedding's table has its inputs, the ids, along the rows.
  const bool rows_are_inputs =
      site.is_transposed() || site.kind == SiteKind::kEmbedding;
  site.in_features = Dim(layer, rows_are_inputs ? 0 : 1);
  site.out_features = Dim(layer, rows_are_inputs ? 1 : 0);
  if (site.kind == SiteKind::kMultiheadAttention &&
      site.out_features != 3 * site.in_features) {
    return Wrong(layer, "weight of in_proj", "(3 d, d)",
                 ShapeToString(ShapeOf(layer)));
  }
  return absl::OkStatus();
}

absl::Status SetNorm(const HostLayer& layer, Site& site) {
  PEFT_RETURN_IF_ERROR(CheckShape(layer, 1, 1, "(width)"));
  if (!(layer.norm_epsilon >= 0) || std::isinf(layer.norm_epsilon)) {
    return Wrong(layer, "epsilon", "a finite number, 0 or more",
                 absl::StrCat(layer.norm_epsilon));
  }
  site.in_features = site.out_features = Dim(layer, 0);
  site.is_rms_norm = layer.is_rms_norm;
  site.norm_epsilon = layer.norm_epsilon;
  return absl::OkStatus();
}

absl::Status SetShape(const HostLayer& layer, Site& site) {
  switch (site.kind) {
    case SiteKind::kConvolution:
      return SetConvolution(layer, site);
    case SiteKind::kNorm:
      return SetNorm(layer, site);
    default:
      return SetMatrix(layer, site);
  }
}

void SetWeight(const HostLayer& layer, Site& site) {
  site.weight = layer.weight;
  site.is_writable = layer.is_writable;
  if (!IsSeen(layer)) site.unseen_shape = layer.unseen_shape;
}

// The kernels read tables and convolutions by rows.
absl::Status SetStrides(const HostLayer& layer, Site& site) {
  if (layer.weight_strides.empty()) return absl::OkStatus();
  const bool takes_columns =
      site.kind != SiteKind::kEmbedding && site.kind != SiteKind::kConvolution;
  PEFT_ASSIGN_OR_RETURN(
      site.weight, WithStrides(layer.name, layer.weight, layer.weight_strides,
                               takes_columns));
  return absl::OkStatus();
}

absl::StatusOr<Site> SiteOf(const HostLayer& layer) {
  Site site;
  site.name = layer.name;
  site.kind = *layer.kind;
  SetWeight(layer, site);
  site.bias = layer.bias;
  site.is_output_embedding = layer.is_output_embedding;
  PEFT_RETURN_IF_ERROR(SetShape(layer, site));
  PEFT_RETURN_IF_ERROR(SetStrides(layer, site));
  const bool can_have_bias =
      site.kind != SiteKind::kEmbedding && !site.is_rms_norm;
  PEFT_RETURN_IF_ERROR(CheckBias(layer, can_have_bias ? site.out_features : 0));
  return site;
}

// Matrix `index` of a parameter of three axes.
absl::StatusOr<Tensor> MatrixAt(const HostLayer& layer, int64_t index) {
  const Tensor& all = layer.weight;
  const absl::Span<const int64_t> strides = layer.weight_strides;
  const int64_t step = strides.empty() ? all.dim(1) * all.dim(2) : strides[0];
  const char* const data = static_cast<const char*>(all.data()) +
                           index * step * DTypeSize(all.dtype());
  Tensor matrix(all.dtype(), {all.dim(1), all.dim(2)}, data, all.owner());
  if (strides.empty()) return matrix;
  return WithStrides(layer.name, matrix, strides.subspan(1),
                     /*takes_columns=*/true);
}

// The matrices of a parameter of three axes follow each other.
absl::Status CheckExperts(const HostLayer& layer, const Tensor& matrix) {
  if (layer.weight_strides.empty() || Dim(layer, 0) == 1) {
    return absl::OkStatus();
  }
  const int64_t extent =
      (matrix.num_lines() - 1) * matrix.line_stride() + matrix.line_length();
  if (layer.weight_strides[0] >= extent) return absl::OkStatus();
  return Wrong(layer, "stride of the weight's first axis",
               absl::StrCat(extent, " or more"),
               absl::StrCat(layer.weight_strides[0]));
}

absl::Status SetExpert(const HostLayer& layer, int64_t index, Site& site) {
  site.name = absl::StrCat(layer.name, "[", index, "]");
  if (!IsSeen(layer)) {
    site.unseen_shape.erase(site.unseen_shape.begin());
    return absl::OkStatus();
  }
  PEFT_ASSIGN_OR_RETURN(site.weight, MatrixAt(layer, index));
  return index == 0 ? CheckExperts(layer, site.weight) : absl::OkStatus();
}

absl::Status AddParameter(const HostLayer& layer, std::vector<Site>& sites) {
  PEFT_RETURN_IF_ERROR(
      CheckShape(layer, 2, 3, "a matrix, or (experts, out, in)"));
  const bool is_stack = RankOf(layer) == 3;
  const int64_t count = is_stack ? Dim(layer, 0) : 1;
  if (layer.is_transposed && !is_stack) {
    return Wrong(layer, "is_transposed belongs to a parameter of three axes");
  }
  for (int64_t i = 0; i < count; ++i) {
    Site site;
    site.name = layer.name;
    site.kind = SiteKind::kParameter;
    site.parameter = layer.name;
    site.is_parameter_transposed = layer.is_transposed;
    SetWeight(layer, site);
    PEFT_RETURN_IF_ERROR(is_stack ? SetExpert(layer, i, site)
                                  : SetStrides(layer, site));
    site.in_features = site.weight_shape()[layer.is_transposed ? 0 : 1];
    site.out_features = site.weight_shape()[layer.is_transposed ? 1 : 0];
    sites.push_back(std::move(site));
  }
  return CheckBias(layer, 0);
}

// The modules of a model, each after those that hold it.
class ModuleNames {
 public:
  ModuleNames() { Add(""); }

  // The module and those around it.
  void AddWithParents(absl::string_view name) {
    for (size_t dot = name.find('.'); dot != name.npos;
         dot = name.find('.', dot + 1)) {
      Add(name.substr(0, dot));
    }
    Add(name);
  }

  std::vector<std::string> Release() { return std::move(names_); }

 private:
  void Add(absl::string_view name) {
    if (known_.insert(std::string(name)).second) names_.emplace_back(name);
  }

  std::vector<std::string> names_;
  std::unordered_set<std::string> known_;
};

absl::string_view ModuleOf(const HostLayer& layer) {
  const absl::string_view name = layer.name;
  if (layer.kind != SiteKind::kParameter) return name;
  const size_t dot = name.rfind('.');
  return dot == name.npos ? absl::string_view() : name.substr(0, dot);
}

absl::Status AddLayer(const HostLayer& layer, std::vector<Site>& sites) {
  if (layer.kind == SiteKind::kParameter) return AddParameter(layer, sites);
  if (layer.is_transposed) {
    return Wrong(layer, "is_transposed belongs to a parameter of three axes");
  }
  if (!layer.kind.has_value()) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(sites.emplace_back(), SiteOf(layer));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SiteTable> BuildHostSites(const std::vector<HostLayer>& layers,
                                         const LayerRanges& layer_replication) {
  std::set<absl::string_view> known;
  std::vector<Site> sites;
  ModuleNames modules;
  for (const HostLayer& layer : layers) {
    PEFT_RETURN_IF_ERROR(CheckName(layer));
    if (!known.insert(layer.name).second) {
      return Wrong(layer, "is listed twice");
    }
    PEFT_RETURN_IF_ERROR(AddLayer(layer, sites));
    modules.AddWithParents(ModuleOf(layer));
  }
  PEFT_RETURN_IF_ERROR(CheckWritable(sites));
  return SiteTable(std::move(sites), modules.Release(), "", layer_replication);
}

}  // namespace peft
