#include "peft_cc/adapters/placed_weights.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status BiasError(const Site& site) {
  const absl::string_view problem =
      site.has_bias() ? "would lose its bias" : "has no bias to write to";
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kAdapterNotMergeable,
      absl::StrCat("module ", Quoted(site.name), " ", problem,
                   ", and what the adapters do needs that; let the library run "
                   "the layer instead"),
      {site.name, "", ""});
}

// Exchanges `merged` with the site's tensor, unless it is that itself.
void Place(const Tensor& site, const Tensor& merged, PlacedWeights& placed) {
  if (merged.data() == site.data()) return;
  placed.Add(site, merged);
}

// Bytes from one row, an index of the first axis, to the next.
int64_t RowStep(const Tensor& tensor) {
  const int64_t elements = tensor.is_by_columns() ? 1
                           : tensor.is_contiguous()
                               ? tensor.num_elements() / tensor.dim(0)
                               : tensor.line_stride();
  return elements * DTypeSize(tensor.dtype());
}

// Bytes from one element of a row to the next.
int64_t ColumnStep(const Tensor& tensor) {
  const int64_t elements = tensor.is_by_columns() ? tensor.line_stride() : 1;
  return elements * DTypeSize(tensor.dtype());
}

}  // namespace

PlacedWeights::Axis PlacedWeights::RowsOf(const Tensor& site,
                                          const Tensor& kept) {
  return {site.dim(0), RowStep(site), RowStep(kept)};
}

PlacedWeights::Axis PlacedWeights::ColumnsOf(const Tensor& site,
                                             const Tensor& kept) {
  return {site.num_elements() / site.dim(0), ColumnStep(site),
          ColumnStep(kept)};
}

void PlacedWeights::Add(const Tensor& site, const Tensor& kept) {
  const int64_t size = DTypeSize(site.dtype());
  Pair pair = {static_cast<char*>(const_cast<void*>(site.data())),
               static_cast<char*>(const_cast<void*>(kept.data())),
               RowsOf(site, kept), ColumnsOf(site, kept), size};
  if (site.is_by_columns() && kept.is_by_columns()) {
    std::swap(pair.outer, pair.inner);
  }
  // Elements that follow each other in both are one run.
  if (pair.inner.site_step == size && pair.inner.kept_step == size) {
    pair.size = pair.inner.count * size;
    pair.inner = {1, 0, 0};
  }
  pairs_.push_back(pair);
}

void PlacedWeights::Exchange() {
  for (const Pair& pair : pairs_) {
    for (int64_t i = 0; i < pair.outer.count; ++i) {
      char* site = pair.site + i * pair.outer.site_step;
      char* kept = pair.kept + i * pair.outer.kept_step;
      for (int64_t j = 0; j < pair.inner.count; ++j) {
        std::swap_ranges(site, site + pair.size, kept);
        site += pair.inner.site_step;
        kept += pair.inner.kept_step;
      }
    }
  }
}

absl::StatusOr<Placement> PlaceWeights(
    const SiteTable& sites, std::shared_ptr<const BaseOverlay> merged) {
  Placement result;
  auto overlay = std::make_shared<BaseOverlay>(*merged);
  auto originals = std::make_shared<BaseOverlay>();
  for (auto& [index, weights] : overlay->sites) {
    const Site& site = sites.sites()[index];
    if (!site.is_writable) continue;
    const bool has_bias = weights.bias.dtype() != DType::kUnspecified;
    if (has_bias != site.has_bias()) return BiasError(site);
    Place(site.weight, weights.weight, result.placed);
    if (has_bias) Place(site.bias, weights.bias, result.placed);
    originals->sites[index] = std::move(weights);
    weights = {site.weight, site.bias};
  }
  if (originals->sites.empty()) {
    result.overlay = std::move(merged);
    return result;
  }
  result.overlay = std::move(overlay);
  result.originals = std::move(originals);
  return result;
}

}  // namespace peft
