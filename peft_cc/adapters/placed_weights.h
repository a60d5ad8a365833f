// Merged weights in the memory of a program's own layers.
#ifndef PEFT_CC_ADAPTERS_PLACED_WEIGHTS_H_
#define PEFT_CC_ADAPTERS_PLACED_WEIGHTS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/base_overlay.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// Elements that change places: those of sites that are writable, and those that
// stand for them. What lies between a site's lines is not touched. Movable.
// Thread-compatible.
class PlacedWeights {
 public:
  // Both are to be exchanged: tensors of one dtype and shape, each in the order
  // that it has in memory.
  void Add(const Tensor& site, const Tensor& kept);
  // Exchanges all; a second time undoes it.
  void Exchange();
  bool empty() const { return pairs_.empty(); }

 private:
  // So many runs, which begin so many bytes apart.
  struct Axis {
    int64_t count;
    int64_t site_step;
    int64_t kept_step;
  };
  // Runs of `size` bytes along two axes.
  struct Pair {
    char* site;
    char* kept;
    Axis outer;
    Axis inner;
    int64_t size;
  };

  static Axis RowsOf(const Tensor& site, const Tensor& kept);
  static Axis ColumnsOf(const Tensor& site, const Tensor& kept);

  std::vector<Pair> pairs_;
};

// What a merge makes of the sites that are writable.
struct Placement {
  // As the merge made it, but for writable sites: these have views of their own
  // memory.
  std::shared_ptr<const BaseOverlay> overlay;
  // What is kept of writable sites; null where no site is.
  std::shared_ptr<const BaseOverlay> originals;
  // Puts the merged bytes into the sites, and what they had into `originals`.
  PlacedWeights placed;
};

// Plans that; nothing is written yet. FAILED_PRECONDITION
// (ADAPTER_NOT_MERGEABLE) where a site would get, or lose, a bias.
absl::StatusOr<Placement> PlaceWeights(
    const SiteTable& sites, std::shared_ptr<const BaseOverlay> merged);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_PLACED_WEIGHTS_H_
