// The image holds code for each architecture that we name.

#include "kernels/cuda/kernel_image.h"

#include <cstdint>
#include <cstring>
#include <set>
#include <utility>

#include "gtest/gtest.h"
#include "testing/fatbin.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

TEST(KernelImageTest, HoldsCodeForAmpereHopperBlackwellAndWhatComesAfter) {
  const char* const image = static_cast<const char*>(KernelImage());
  ASSERT_NE(image, nullptr);
  FatbinHeader header;
  std::memcpy(&header, image, sizeof(header));
  ASSERT_EQ(header.magic, kFatbinMagic);
  std::set<std::pair<int, int>> found;
  for (uint64_t offset = 0; offset < header.size;) {
    FatbinEntry piece;
    std::memcpy(&piece, image + header.header_size + offset, sizeof(piece));
    found.insert({piece.kind, piece.architecture});
    offset += piece.header_size + piece.size;
  }
  EXPECT_EQ(found, (std::set<std::pair<int, int>>{{kMachineCode, 80},
                                                  {kMachineCode, 90},
                                                  {kMachineCode, 100},
                                                  {kPtx, 100}}));
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
