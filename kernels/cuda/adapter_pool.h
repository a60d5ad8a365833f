// The adapters that are in a device's memory, and which of them act.
//
// Matrices lie in pages of one size, so that adapters of any rank come and go
// and leave no gaps. What acts is written in slots of a small table in device
// memory, which kernels read: to exchange adapters is to write one slot, and a
// captured graph goes on working.
#ifndef KERNELS_CUDA_ADAPTER_POOL_H_
#define KERNELS_CUDA_ADAPTER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/page_image.h"
#include "kernels/cuda/page_layout.h"
#include "kernels/cuda/staging.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

struct AdapterPoolOptions {
  // (in, out) of each site, with the largest sum of ranks that a slot may have
  // there.
  std::vector<PairShape> sites;
  DType dtype = DType::kBF16;  // of all A and B
  size_t page_bytes = size_t{1} << 20;
  int num_pages = 0;
  int num_slots = 1;
  // Adapters that act together in one slot, at most.
  int max_adapters_per_slot = 1;
};

using AdapterId = int64_t;

// One adapter in a slot.
struct SlotEntry {
  AdapterId adapter = 0;
  float scale = 1.0f;  // of all its sites
  // A further factor for each of the pool's sites; empty: 1.
  absl::Span<const float> site_scales = {};
};

// The one term of a slot at a site.
struct PoolTerm {
  DevicePtr a = 0;      // (rank, in)
  DevicePtr b = 0;      // (out, rank)
  DevicePtr scale = 0;  // one f32, in the table
  int32_t rank = 0;     // 0: there is none, or there are several
};

// Thread-safe: a load does not hold up those who set slots.
class AdapterPool {
 public:
  // Keeps the device. Allocates everything that it ever needs.
  static absl::StatusOr<std::unique_ptr<AdapterPool>> Create(
      const Device& device, const AdapterPoolOptions& options);
  ~AdapterPool();
  AdapterPool(const AdapterPool&) = delete;
  AdapterPool& operator=(const AdapterPool&) = delete;

  // Copies an adapter to the device, `pairs` by site, in the pool's dtype.
  // Reads them before it returns; the device may still be copying then, which
  // SetSlot takes care of. Where pages are out it fails with RESOURCE_EXHAUSTED
  // (OUT_OF_MEMORY), says how many there are, and nothing has changed.
  absl::StatusOr<AdapterId> Load(absl::Span<const HostPair> pairs);
  // Gives the pages back. Fails while the adapter is in a slot. Work that
  // reads it may still be running in `stream`, but in no other.
  absl::Status Unload(AdapterId adapter, StreamHandle stream);

  // Makes the adapters act in a slot, in this order; none: the base alone. For
  // all work that is enqueued in `stream` afterwards, graphs included.
  absl::Status SetSlot(int slot, absl::Span<const SlotEntry> entries,
                       StreamHandle stream);

  // Whether it is in a slot.
  bool IsActive(AdapterId adapter) const;
  // What SetSlot has written last.
  PoolTerm OnlyTerm(int slot, int site) const;

  // For LowRankArgs, RowTile and FusedShape. They never change.
  DevicePtr terms(int site) const;
  int32_t first_term(int slot) const;
  int32_t num_terms() const { return terms_per_site_; }
  int32_t columns() const { return columns_; }
  int32_t chunks() const { return chunks_; }
  // A term has a unit for every two chunks, and for the odd one.
  int32_t units() const { return (chunks_ + terms_per_site_) / 2; }

  int num_free_pages() const;
  const AdapterPoolOptions& options() const { return options_; }

 private:
  struct Piece {
    DevicePtr a = 0;
    DevicePtr b = 0;
    int32_t rank = 0;
  };
  struct Adapter {
    std::vector<int> pages;
    std::vector<std::vector<Piece>> sites;
    Event loaded;
    int slots = 0;  // that it is in
  };
  // A page that was freed, and when it is really free.
  struct FreePage {
    int page = 0;
    std::shared_ptr<const Event> unused;  // null: it is
  };

  AdapterPool(const Device& device, const AdapterPoolOptions& options)
      : device_(device), options_(options) {}
  absl::Status CheckOptions() const;
  // What a slot needs at each site for any adapters that fit into it.
  void CountTerms();
  absl::Status Allocate();
  size_t SlotBytes() const;

  absl::Status CheckPairs(absl::Span<const HostPair> pairs) const;
  absl::StatusOr<std::vector<FreePage>> TakePages(int count);
  void GiveBack(std::vector<FreePage> pages);
  absl::Status CopyPages(absl::Span<const HostPair> pairs,
                         const PageLayout& layout,
                         absl::Span<const FreePage> pages);
  absl::Status CopyPage(absl::Span<const HostPair> pairs,
                        absl::Span<const PagePiece> pieces,
                        const FreePage& page);
  absl::StatusOr<AdapterId> Add(const PageLayout& layout,
                                absl::Span<const FreePage> pages);
  DevicePtr PageAddress(int page) const;

  absl::Status CheckEntries(int slot,
                            absl::Span<const SlotEntry> entries) const;
  absl::StatusOr<std::vector<LowRankTerm>> MakeTerms(
      absl::Span<const SlotEntry> entries) const;
  absl::Status CopySlot(int slot, const std::vector<LowRankTerm>& terms,
                        StreamHandle stream);

  const Device& device_;
  const AdapterPoolOptions options_;
  int terms_per_site_ = 0;  // of a slot
  int32_t columns_ = 0;
  int32_t chunks_ = 0;
  DeviceBuffer pages_;
  DeviceBuffer table_;  // (slots, sites, terms_per_site_) of LowRankTerm

  std::mutex load_mutex_;  // locked before mutex_, where both are
  Stream copies_;
  Staging page_staging_[2];
  int next_page_staging_ = 0;

  mutable std::mutex mutex_;
  std::deque<FreePage> free_;  // taken from the end, given back to the front
  std::map<AdapterId, Adapter> adapters_;
  AdapterId next_id_ = 1;
  std::vector<std::vector<AdapterId>> slots_;
  std::vector<std::vector<LowRankTerm>> slot_terms_;  // as in the table
  Staging slot_staging_[4];
  int next_slot_staging_ = 0;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_ADAPTER_POOL_H_
