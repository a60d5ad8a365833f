#include "peft_cc/adapters/merge_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

constexpr int64_t kMiB = 1 << 20;

Tensor Filled(MergeMemory& memory, int64_t size, char value) {
  void* data = nullptr;
  Tensor tensor = *memory.Allocate(DType::kI8, {size}, &data);
  EXPECT_EQ(tensor.data(), data);
  std::memset(data, value, size);
  return tensor;
}

bool Holds(const Tensor& tensor, char value) {
  const auto* const bytes = static_cast<const char*>(tensor.data());
  return std::all_of(bytes, bytes + tensor.size_bytes(),
                     [value](char byte) { return byte == value; });
}

TEST(MergeMemoryTest, TensorsDoNotOverlap) {
  MergeMemory memory(40 * kMiB);
  std::vector<Tensor> tensors;
  const std::vector<int64_t> sizes = {0,        1,         65,       3 * kMiB,
                                      kMiB + 7, 30 * kMiB, 40 * kMiB};
  for (size_t i = 0; i < sizes.size(); ++i) {
    tensors.push_back(Filled(memory, sizes[i], static_cast<char>(i)));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors[i].data()) % 64, 0u);
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_TRUE(Holds(tensors[i], static_cast<char>(i))) << sizes[i];
  }
}

TEST(MergeMemoryTest, NeighboursShareABlock) {
  MergeMemory memory(4 * kMiB);
  const Tensor first = Filled(memory, kMiB, 1);
  const Tensor second = Filled(memory, kMiB, 2);
  EXPECT_EQ(static_cast<const char*>(first.data()) + kMiB, second.data());
}

TEST(MergeMemoryTest, TensorsOutliveTheMemory) {
  Tensor tensor;
  {
    MergeMemory memory(2 * kMiB);
    tensor = Filled(memory, kMiB, 3);
  }
  EXPECT_TRUE(Holds(tensor, 3));
}

TEST(MergeMemoryTest, ABlockWithoutTensorsIsUsedAgain) {
  MergeMemory memory(0);
  const void* const first = Filled(memory, kMiB, 1).data();
  EXPECT_EQ(Filled(memory, kMiB, 2).data(), first);
}

TEST(MergeMemoryTest, AShapeThatOverflowsIsRefused) {
  MergeMemory memory(0);
  void* data = nullptr;
  const auto tensor = memory.Allocate(DType::kF32, {INT64_MAX / 2, 8}, &data);
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(MergeMemoryTest, TheWorkspaceGrows) {
  MergeMemory memory(0);
  memory.Workspace(10)[9] = 1.0f;
  float* const larger = memory.Workspace(1000);
  larger[999] = 1.0f;
  EXPECT_EQ(memory.Workspace(100), larger);
}

}  // namespace
}  // namespace peft
