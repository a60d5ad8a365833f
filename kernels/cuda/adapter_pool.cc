#include "kernels/cuda/adapter_pool.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/round_up.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

std::string ShapeText(int64_t rows, int64_t cols) {
  return absl::StrCat("[", rows, ", ", cols, "]");
}

constexpr char kCopies[] = "copies of adapters";

// Where a part of T may begin, for fast reads of it.
constexpr int32_t kColumnAlignment = 4;

float ScaleAt(const SlotEntry& entry, size_t site) {
  return entry.site_scales.empty() ? 1.0f : entry.site_scales[site];
}

int32_t NumChunks(int64_t rank) {
  return static_cast<int32_t>((rank + kTileOutputs - 1) / kTileOutputs);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AdapterPool>> AdapterPool::Create(
    const Device& device, const AdapterPoolOptions& options) {
  std::unique_ptr<AdapterPool> pool(new AdapterPool(device, options));
  PEFT_RETURN_IF_ERROR(pool->CheckOptions());
  PEFT_RETURN_IF_ERROR(pool->Allocate());
  return pool;
}

AdapterPool::~AdapterPool() {
  // Pages may still be copied to. What Create could not make has nothing to
  // wait for.
  if (copies_.handle() != nullptr) (void)copies_.Synchronize();
}

absl::Status AdapterPool::CheckOptions() const {
  if (!IsComputeDType(options_.dtype)) {
    return ArgumentError(
        absl::StrCat("adapters on CUDA are F32, F16 or BF16, "
                     "not ",
                     DTypeName(options_.dtype)));
  }
  if (options_.num_pages <= 0 || options_.num_slots <= 0 ||
      options_.max_adapters_per_slot <= 0) {
    return ArgumentError(
        "a pool of adapters needs a page, a slot and an adapter in it at "
        "least");
  }
  for (const PairShape& site : options_.sites) {
    const size_t needed = PieceBytes(site, std::min(site.rank, kRanksPerPiece),
                                     DTypeSize(options_.dtype));
    if (needed <= options_.page_bytes) continue;
    return ArgumentError(absl::StrCat("a page of ", options_.page_bytes,
                                      " bytes is too small for a layer with ",
                                      site.in, " inputs and ", site.out,
                                      " outputs, which needs ", needed),
                         {"page_bytes", absl::StrCat(needed),
                          absl::StrCat(options_.page_bytes)});
  }
  return absl::OkStatus();
}

size_t AdapterPool::SlotBytes() const {
  return options_.sites.size() * terms_per_site_ * sizeof(LowRankTerm);
}

void AdapterPool::CountTerms() {
  const int adapters = options_.max_adapters_per_slot;
  for (const PairShape& site : options_.sites) {
    const int pieces =
        MaxPieces(site, DTypeSize(options_.dtype), options_.page_bytes);
    // Each adapter may begin in the rest of a page, and end with a piece of
    // less than 8 ranks.
    terms_per_site_ = std::max(terms_per_site_, pieces + 2 * (adapters - 1));
    columns_ = std::max(
        columns_, RoundUp(static_cast<int32_t>(site.rank), kColumnAlignment) +
                      kColumnAlignment * (adapters - 1));
    chunks_ = std::max(chunks_, NumChunks(site.rank) + adapters - 1);
  }
  terms_per_site_ = std::max(terms_per_site_, 1);
}

absl::Status AdapterPool::Allocate() {
  CountTerms();
  PEFT_ASSIGN_OR_RETURN(
      pages_, device_.Allocate(options_.num_pages * options_.page_bytes,
                               "the pool of adapters"));
  PEFT_ASSIGN_OR_RETURN(
      table_,
      device_.Allocate(std::max<size_t>(options_.num_slots * SlotBytes(), 1),
                       "the table of adapters"));
  PEFT_ASSIGN_OR_RETURN(copies_, device_.CreateStream());
  for (Staging& staging : page_staging_) {
    PEFT_ASSIGN_OR_RETURN(
        staging, Staging::Create(device_, options_.page_bytes, kCopies));
  }
  for (Staging& staging : slot_staging_) {
    PEFT_ASSIGN_OR_RETURN(
        staging,
        Staging::Create(device_, std::max<size_t>(SlotBytes(), 1), kCopies));
  }
  for (int page = options_.num_pages - 1; page >= 0; --page) {
    free_.push_back({page, nullptr});
  }
  slots_.resize(options_.num_slots);
  slot_terms_.resize(options_.num_slots);
  // No slot has an adapter: all ranks are 0.
  PEFT_RETURN_IF_ERROR(device_.Call(
      "clearing the table of adapters", &DriverTable::cuMemsetD8Async,
      table_.address(), 0, table_.bytes(), copies_.handle()));
  return copies_.Synchronize();
}

absl::Status AdapterPool::CheckPairs(absl::Span<const HostPair> pairs) const {
  if (pairs.size() != options_.sites.size()) {
    return ArgumentError(absl::StrCat("an adapter with matrices for ",
                                      pairs.size(),
                                      " sites, where the pool "
                                      "has ",
                                      options_.sites.size()));
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    const PairShape& site = options_.sites[i];
    const MatrixView& a = pairs[i].a;
    const MatrixView& b = pairs[i].b;
    if (a.rows == 0) continue;
    if (a.dtype != options_.dtype || b.dtype != options_.dtype) {
      return ArgumentError(
          absl::StrCat("site ", i, ": A is ", DTypeName(a.dtype), " and B is ",
                       DTypeName(b.dtype), ", the pool's adapters are ",
                       DTypeName(options_.dtype)));
    }
    if (a.rows > site.rank || a.cols != site.in || b.rows != site.out ||
        b.cols != a.rows) {
      const std::string found =
          ShapeText(a.rows, a.cols) + " and " + ShapeText(b.rows, b.cols);
      return ArgumentError(absl::StrCat(
          "site ", i, ": A and B are ", found, ", expected [r, ", site.in,
          "] and [", site.out, ", r] with r up to ", site.rank));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AdapterPool::FreePage>> AdapterPool::TakePages(
    int count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int free = static_cast<int>(free_.size());
  if (count > free) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, error_id::kOutOfMemory,
        absl::StrCat("the adapter needs ", count, " pages of ",
                     options_.page_bytes, " bytes on CUDA device ",
                     device_.ordinal(), ", where ", free, " of ",
                     options_.num_pages,
                     " are free; unload adapters, or make the pool larger"),
        {"", absl::StrCat(count), absl::StrCat(free)});
  }
  std::vector<FreePage> pages(free_.end() - count, free_.end());
  free_.resize(free - count);
  return pages;
}

void AdapterPool::GiveBack(std::vector<FreePage> pages) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.insert(free_.begin(), pages.begin(), pages.end());
}

DevicePtr AdapterPool::PageAddress(int page) const {
  return pages_.address() + page * options_.page_bytes;
}

absl::Status AdapterPool::CopyPage(absl::Span<const HostPair> pairs,
                                   absl::Span<const PagePiece> pieces,
                                   const FreePage& page) {
  const Staging& staging = page_staging_[next_page_staging_++ % 2];
  PEFT_ASSIGN_OR_RETURN(char* const data, staging.Begin());
  const size_t bytes = FillPage(pairs, pieces, data);
  if (page.unused != nullptr) {
    PEFT_RETURN_IF_ERROR(page.unused->MakeWait(copies_.handle()));
  }
  return staging.CopyTo(PageAddress(page.page), bytes, copies_.handle(),
                        "copying an adapter to the device");
}

absl::Status AdapterPool::CopyPages(absl::Span<const HostPair> pairs,
                                    const PageLayout& layout,
                                    absl::Span<const FreePage> pages) {
  const absl::Span<const PagePiece> pieces(layout.pieces);
  size_t first = 0;
  for (int page = 0; page < layout.num_pages; ++page) {
    size_t end = first;
    while (end < pieces.size() && pieces[end].page == page) ++end;
    PEFT_RETURN_IF_ERROR(
        CopyPage(pairs, pieces.subspan(first, end - first), pages[page]));
    first = end;
  }
  return absl::OkStatus();
}

absl::StatusOr<AdapterId> AdapterPool::Add(const PageLayout& layout,
                                           absl::Span<const FreePage> pages) {
  Adapter adapter;
  PEFT_ASSIGN_OR_RETURN(adapter.loaded, device_.CreateEvent());
  PEFT_RETURN_IF_ERROR(adapter.loaded.Record(copies_.handle()));
  for (const FreePage& page : pages) adapter.pages.push_back(page.page);
  adapter.sites.resize(options_.sites.size());
  for (const PagePiece& piece : layout.pieces) {
    const DevicePtr page = PageAddress(adapter.pages[piece.page]);
    adapter.sites[piece.site].push_back(
        {page + piece.a_offset, page + piece.b_offset,
         static_cast<int32_t>(piece.num_ranks)});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  adapters_[next_id_] = std::move(adapter);
  return next_id_++;
}

absl::StatusOr<AdapterId> AdapterPool::Load(absl::Span<const HostPair> pairs) {
  PEFT_RETURN_IF_ERROR(CheckPairs(pairs));
  std::vector<PairShape> shapes = options_.sites;
  for (size_t i = 0; i < pairs.size(); ++i) shapes[i].rank = pairs[i].a.rows;
  const PageLayout layout =
      LayOut(shapes, DTypeSize(options_.dtype), options_.page_bytes);
  const std::lock_guard<std::mutex> lock(load_mutex_);
  PEFT_ASSIGN_OR_RETURN(std::vector<FreePage> pages,
                        TakePages(layout.num_pages));
  absl::Status status = CopyPages(pairs, layout, pages);
  if (status.ok()) {
    absl::StatusOr<AdapterId> id = Add(layout, pages);
    if (id.ok()) return id;
    status = id.status();
  }
  GiveBack(std::move(pages));
  return status;
}

absl::Status AdapterPool::Unload(AdapterId id, StreamHandle stream) {
  PEFT_ASSIGN_OR_RETURN(Event event, device_.CreateEvent());
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = adapters_.find(id);
  if (found == adapters_.end()) {
    return ArgumentError(absl::StrCat("the pool has no adapter ", id));
  }
  const Adapter& adapter = found->second;
  if (adapter.slots > 0) {
    return ArgumentError(absl::StrCat("adapter ", id, " is in ", adapter.slots,
                                      " slots; set those to others first"));
  }
  // The copy itself may not have begun.
  PEFT_RETURN_IF_ERROR(adapter.loaded.MakeWait(stream));
  PEFT_RETURN_IF_ERROR(event.Record(stream));
  const auto unused = std::make_shared<const Event>(std::move(event));
  for (const int page : adapter.pages) {
    free_.push_front({page, unused});
  }
  adapters_.erase(found);
  return absl::OkStatus();
}

absl::Status AdapterPool::CheckEntries(
    int slot, absl::Span<const SlotEntry> entries) const {
  if (slot < 0 || slot >= options_.num_slots) {
    return ArgumentError(absl::StrCat("the pool has no slot ", slot, ", only ",
                                      options_.num_slots));
  }
  if (static_cast<int>(entries.size()) > options_.max_adapters_per_slot) {
    return ArgumentError(absl::StrCat(entries.size(),
                                      " adapters for a slot that has room for ",
                                      options_.max_adapters_per_slot));
  }
  for (const SlotEntry& entry : entries) {
    if (adapters_.count(entry.adapter) != 1) {
      return ArgumentError(
          absl::StrCat("the pool has no adapter ", entry.adapter));
    }
    if (!entry.site_scales.empty() &&
        entry.site_scales.size() != options_.sites.size()) {
      return ArgumentError(absl::StrCat(entry.site_scales.size(),
                                        " scales for a pool of ",
                                        options_.sites.size(), " sites"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LowRankTerm>> AdapterPool::MakeTerms(
    absl::Span<const SlotEntry> entries) const {
  std::vector<LowRankTerm> terms(options_.sites.size() * terms_per_site_);
  for (size_t site = 0; site < options_.sites.size(); ++site) {
    int count = 0;
    int32_t column = 0;
    int32_t ranks = 0;
    for (const SlotEntry& entry : entries) {
      for (const Piece& piece : adapters_.at(entry.adapter).sites[site]) {
        ranks += piece.rank;
        if (ranks > options_.sites[site].rank) {
          return ArgumentError(absl::StrCat(
              "site ", site, ": the slot's ranks sum up to more than ",
              options_.sites[site].rank, ", which the pool was made for"));
        }
        assert(count < terms_per_site_);
        LowRankTerm& term = terms[site * terms_per_site_ + count++];
        term.a = piece.a;
        term.b = piece.b;
        term.scale = entry.scale * ScaleAt(entry, site);
        term.rank = piece.rank;
        term.column = column;
        column += piece.rank;
      }
      column = RoundUp(column, kColumnAlignment);
    }
  }
  return terms;
}

absl::Status AdapterPool::CopySlot(int slot,
                                   const std::vector<LowRankTerm>& terms,
                                   StreamHandle stream) {
  if (terms.empty()) return absl::OkStatus();
  const Staging& staging = slot_staging_[next_slot_staging_++ % 4];
  PEFT_ASSIGN_OR_RETURN(char* const data, staging.Begin());
  std::memcpy(data, terms.data(), SlotBytes());
  return staging.CopyTo(table_.address() + slot * SlotBytes(), SlotBytes(),
                        stream, "writing a slot of the table of adapters");
}

absl::Status AdapterPool::SetSlot(int slot, absl::Span<const SlotEntry> entries,
                                  StreamHandle stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  PEFT_RETURN_IF_ERROR(CheckEntries(slot, entries));
  PEFT_ASSIGN_OR_RETURN(std::vector<LowRankTerm> terms, MakeTerms(entries));
  for (const SlotEntry& entry : entries) {
    PEFT_RETURN_IF_ERROR(adapters_.at(entry.adapter).loaded.MakeWait(stream));
  }
  PEFT_RETURN_IF_ERROR(CopySlot(slot, terms, stream));
  for (const AdapterId id : slots_[slot]) --adapters_.at(id).slots;
  slots_[slot].clear();
  for (const SlotEntry& entry : entries) {
    ++adapters_.at(entry.adapter).slots;
    slots_[slot].push_back(entry.adapter);
  }
  slot_terms_[slot] = std::move(terms);
  return absl::OkStatus();
}

bool AdapterPool::IsActive(AdapterId adapter) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = adapters_.find(adapter);
  return found != adapters_.end() && found->second.slots > 0;
}

PoolTerm AdapterPool::OnlyTerm(int slot, int site) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::vector<LowRankTerm>& terms = slot_terms_[slot];
  if (terms.empty()) return {};
  const int first = site * terms_per_site_;
  const LowRankTerm& term = terms[first];
  const bool is_alone = terms_per_site_ == 1 || terms[first + 1].rank == 0;
  if (!is_alone) return {};
  return {term.a, term.b,
          table_.address() + slot * SlotBytes() + first * sizeof(LowRankTerm) +
              offsetof(LowRankTerm, scale),
          term.rank};
}

DevicePtr AdapterPool::terms(int site) const {
  return table_.address() + site * terms_per_site_ * sizeof(LowRankTerm);
}

int32_t AdapterPool::first_term(int slot) const {
  return static_cast<int32_t>(slot * options_.sites.size() * terms_per_site_);
}

int AdapterPool::num_free_pages() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(free_.size());
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
