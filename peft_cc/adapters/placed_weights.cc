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
  placed.Add(site.data(), merged.data(),
             static_cast<size_t>(site.size_bytes()));
}

}  // namespace

void PlacedWeights::Add(const void* site, const void* kept, size_t size) {
  pairs_.push_back({static_cast<char*>(const_cast<void*>(site)),
                    static_cast<char*>(const_cast<void*>(kept)), size});
}

void PlacedWeights::Exchange() {
  for (const Pair& pair : pairs_) {
    std::swap_ranges(pair.site, pair.site + pair.size, pair.kept);
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
