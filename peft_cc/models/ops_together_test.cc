#include "peft_cc/models/ops_together.h"

#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

Op Linear(int input) {
  Op op;
  op.kind = OpKind::kLinear;
  op.input = input;
  return op;
}

Op Rope(int input) {
  Op op;
  op.kind = OpKind::kRope;
  op.input = input;
  return op;
}

TEST(OpsTogetherTest, LinearLayersOfOneInput) {
  const std::vector<Op> ops = {Linear(1), Linear(1), Linear(1), Rope(1)};
  EXPECT_EQ(NumOpsTogether(ops, 0), 3);
  EXPECT_EQ(NumOpsTogether(ops, 2), 1);
}

TEST(OpsTogetherTest, AnotherInputEndsThem) {
  const std::vector<Op> ops = {Linear(1), Linear(1), Linear(2)};
  EXPECT_EQ(NumOpsTogether(ops, 0), 2);
}

TEST(OpsTogetherTest, OtherOperationsRunAlone) {
  const std::vector<Op> ops = {Rope(1), Rope(1)};
  EXPECT_EQ(NumOpsTogether(ops, 0), 1);
}

TEST(OpsTogetherTest, NoMoreThanTheKernelsTake) {
  const std::vector<Op> ops(7, Linear(1));
  EXPECT_EQ(NumOpsTogether(ops, 0), 4);
  EXPECT_EQ(NumOpsTogether(ops, 4), 3);
}

}  // namespace
}  // namespace peft
