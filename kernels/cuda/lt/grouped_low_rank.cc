#include "kernels/cuda/lt/grouped_low_rank.h"

#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using Products = std::vector<GroupedProduct>;

Products ShrinksOf(absl::Span<const LowRankGroup> groups) {
  Products products;
  for (const LowRankGroup& group : groups) {
    products.push_back({group.x, group.a, group.t});
  }
  return products;
}

Products ExpandsOf(absl::Span<const LowRankGroup> groups) {
  Products products;
  for (const LowRankGroup& group : groups) {
    products.push_back({group.t, group.b, group.y});
  }
  return products;
}

absl::Status CheckGroup(const LowRankGroup& group) {
  const int64_t rows = group.x.rows;
  const int64_t rank = group.a.rows;
  PEFT_RETURN_IF_ERROR(CheckShape("x", group.x, rows, group.x.cols));
  PEFT_RETURN_IF_ERROR(CheckShape("a", group.a, rank, group.x.cols));
  PEFT_RETURN_IF_ERROR(CheckShape("t", group.t, rows, rank));
  PEFT_RETURN_IF_ERROR(CheckShape("b", group.b, group.y.cols, rank));
  return CheckShape("y", group.y, rows, group.y.cols);
}

// Adds one launch for each.
absl::Status AddEach(const Products& products, bool accumulate,
                     PlanCache* cache, Launches* launches) {
  for (const GroupedProduct& one : products) {
    Product product = ProductOf(one.left, one.right, one.out);
    product.right_transposed = true;
    product.accumulate = accumulate;
    PEFT_RETURN_IF_ERROR(launches->Add(cache, product));
  }
  return absl::OkStatus();
}

// Both launches of all groups.
absl::StatusOr<std::vector<GroupedGemm>> PlanGrouped(PlanCache* cache,
                                                     const Products& shrinks,
                                                     const Products& expands,
                                                     DevicePtr table) {
  PEFT_ASSIGN_OR_RETURN(
      GroupedGemm shrink,
      GroupedGemm::Plan(cache->handle(), cache->settings(), shrinks,
                        /*accumulate=*/false, table));
  const DevicePtr second =
      table + sizeof(uint64_t) * kGroupedArrays * shrinks.size();
  PEFT_ASSIGN_OR_RETURN(
      GroupedGemm expand,
      GroupedGemm::Plan(cache->handle(), cache->settings(), expands,
                        /*accumulate=*/true, second));
  return std::vector<GroupedGemm>{shrink, expand};
}

}  // namespace

std::vector<uint64_t> GroupedLowRank::Table(
    absl::Span<const LowRankGroup> groups) {
  std::vector<uint64_t> table = GroupedTable(ShrinksOf(groups));
  const std::vector<uint64_t> second = GroupedTable(ExpandsOf(groups));
  table.insert(table.end(), second.begin(), second.end());
  return table;
}

absl::StatusOr<GroupedLowRank> GroupedLowRank::Plan(
    PlanCache* cache, absl::Span<const LowRankGroup> groups, DevicePtr table) {
  for (const LowRankGroup& group : groups) {
    PEFT_RETURN_IF_ERROR(CheckGroup(group));
  }
  GroupedLowRank result;
  if (groups.empty()) return result;
  const Products shrinks = ShrinksOf(groups);
  const Products expands = ExpandsOf(groups);
  auto grouped = PlanGrouped(cache, shrinks, expands, table);
  if (grouped.ok()) {
    result.grouped_ = *std::move(grouped);
    return result;
  }
  if (!absl::IsUnimplemented(grouped.status())) return grouped.status();
  PEFT_RETURN_IF_ERROR(AddEach(shrinks, false, cache, &result.each_));
  PEFT_RETURN_IF_ERROR(AddEach(expands, true, cache, &result.each_));
  return result;
}

absl::Status GroupedLowRank::Run(const LtStream& stream) const {
  for (const GroupedGemm& gemm : grouped_) {
    PEFT_RETURN_IF_ERROR(gemm.Run(stream));
  }
  return each_.Run(stream);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
