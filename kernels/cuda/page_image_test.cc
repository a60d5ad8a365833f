#include "kernels/cuda/page_image.h"

#include <cstdint>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

TEST(PageImageTest, TakesTheRanksOfAPieceWithoutGaps) {
  // 3 ranks, 2 inputs and 4 outputs, with a gap after each row.
  std::vector<uint16_t> a(3 * 5);
  std::vector<uint16_t> b(4 * 6);
  std::iota(a.begin(), a.end(), 0);
  std::iota(b.begin(), b.end(), 100);
  const std::vector<HostPair> pairs = {
      {{a.data(), DType::kF16, 3, 2, 5}, {b.data(), DType::kF16, 4, 3, 6}}};
  PagePiece piece;
  piece.first_rank = 1;
  piece.num_ranks = 2;
  piece.a_offset = 0;
  piece.b_offset = 8;
  std::vector<uint16_t> page(13, 9999);
  EXPECT_EQ(FillPage(pairs, {piece}, reinterpret_cast<char*>(page.data())),
            24u);
  EXPECT_EQ(page, (std::vector<uint16_t>{5, 6, 10, 11, 101, 102, 107, 108, 113,
                                         114, 119, 120, 9999}));
}

TEST(PageImageTest, PageWithoutPiecesIsEmpty) {
  EXPECT_EQ(FillPage({}, {}, nullptr), 0u);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
