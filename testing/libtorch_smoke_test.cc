#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/ones.h>

#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(LibtorchSmokeTest, Adds) {
  const at::Tensor sum = at::add(at::ones({2, 3}), at::ones({2, 3}));
  EXPECT_EQ(sum.sum().item<float>(), 12.0f);
}

}  // namespace
}  // namespace peft
