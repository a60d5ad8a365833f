// The image holds code for each architecture that we name.

#include "kernels/cuda/kernel_image.h"

#include <cstdint>
#include <cstring>
#include <set>
#include <utility>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// The image's header, and what stands in front of each piece of code, as far as
// it matters. Not documented by NVIDIA, and the same since CUDA 4.
struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t header_size;
  uint64_t size;  // of all pieces
};
constexpr uint32_t kMagic = 0xba55ed50;
struct Piece {
  uint16_t kind;
  uint16_t attributes;
  uint32_t header_size;
  uint64_t size;
  uint32_t unused[3];
  uint32_t architecture;  // 90: compute capability 9.0
};
constexpr uint16_t kPtx = 1;
constexpr uint16_t kMachineCode = 2;

TEST(KernelImageTest, HoldsCodeForAmpereHopperBlackwellAndWhatComesAfter) {
  const char* const image = static_cast<const char*>(KernelImage());
  ASSERT_NE(image, nullptr);
  Header header;
  std::memcpy(&header, image, sizeof(header));
  ASSERT_EQ(header.magic, kMagic);
  std::set<std::pair<int, int>> found;
  for (uint64_t offset = 0; offset < header.size;) {
    Piece piece;
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
