#include "kernels/cuda/page_layout.h"

#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

TEST(PageLayoutTest, SitesShareAPage) {
  const std::vector<PairShape> sites = {{64, 64, 4}, {64, 128, 8}};
  const PageLayout layout = LayOut(sites, 2, 1 << 16);
  EXPECT_EQ(layout.num_pages, 1);
  ASSERT_EQ(layout.pieces.size(), 2u);
  EXPECT_EQ(layout.pieces[0].b_offset, 512u);
  EXPECT_EQ(layout.pieces[1].a_offset, 1024u);
  EXPECT_EQ(layout.pieces[1].num_ranks, 8);
}

TEST(PageLayoutTest, PairIsCutAtTheEndOfAPage) {
  const std::vector<PairShape> sites = {{64, 64, 20}};
  const PageLayout layout = LayOut(sites, 4, 8 * 128 * 4 + 1000);
  EXPECT_EQ(layout.num_pages, 3);
  ASSERT_EQ(layout.pieces.size(), 3u);
  EXPECT_EQ(layout.pieces[1].first_rank, 8);
  EXPECT_EQ(layout.pieces[2].num_ranks, 4);
  EXPECT_EQ(layout.pieces[2].page, 2);
}

TEST(PageLayoutTest, AdapterWithoutMatricesNeedsNoPage) {
  EXPECT_EQ(LayOut({}, 2, 4096).num_pages, 0);
  const std::vector<PairShape> sites = {{64, 64, 0}};
  EXPECT_EQ(LayOut(sites, 2, 4096).num_pages, 0);
}

class Layouts : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, Layouts, testing::Range(0, 50));

TEST_P(Layouts, HoldEveryRankOnceAndNothingTwice) {
  std::mt19937 random(GetParam());
  const auto draw = [&](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(random);
  };
  std::vector<PairShape> sites(draw(1, 12));
  for (PairShape& shape : sites) {
    shape = {draw(1, 300), draw(1, 300), draw(0, 70)};
  }
  const size_t element = draw(0, 1) == 0 ? 2 : 4;
  const size_t page = kRanksPerPiece * 600 * element + draw(600, 9000);
  const PageLayout layout = LayOut(sites, element, page);
  std::vector<int64_t> ranks(sites.size());
  std::vector<int> pieces(sites.size());
  std::map<int, size_t> ends;  // by page
  for (const PagePiece& piece : layout.pieces) {
    const PairShape& shape = sites[piece.site];
    EXPECT_EQ(piece.first_rank, ranks[piece.site]);
    ranks[piece.site] += piece.num_ranks;
    ++pieces[piece.site];
    EXPECT_GE(piece.a_offset, ends[piece.page]);
    EXPECT_GE(piece.b_offset,
              piece.a_offset + piece.num_ranks * shape.in * element);
    ends[piece.page] = piece.b_offset + piece.num_ranks * shape.out * element;
    EXPECT_LE(ends[piece.page], page);
    EXPECT_LT(piece.page, layout.num_pages);
    EXPECT_EQ(piece.a_offset % 256 + piece.b_offset % 256, 0u);
  }
  for (size_t i = 0; i < sites.size(); ++i) {
    EXPECT_EQ(ranks[i], sites[i].rank);
    EXPECT_LE(pieces[i], MaxPieces(sites[i], element, page));
  }
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
