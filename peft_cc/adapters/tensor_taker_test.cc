#include "peft_cc/adapters/tensor_taker.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class TensorTakerTest : public ::testing::Test {
 protected:
  TensorTakerTest()
      : tensors_{{"base_model.model.lm_head.lora_A.weight", MakeTensor({2, 8})},
                 {"base_model.model.lm_head.lora_B.weight",
                  MakeTensor({10, 2})}},
        keys_(*MapKeys(tensors_, TinySites())),
        taker_(tensors_, &keys_, &report_) {}

  TensorMap tensors_;
  KeyMap keys_;
  LoadReport report_;
  TensorTaker taker_;
};

TEST_F(TensorTakerTest, TakesATensorOnce) {
  EXPECT_NE(taker_.Peek("lm_head", "lora_A.weight"), nullptr);
  const auto tensor = taker_.Take("lm_head", "lora_A.weight", {2, 8}, "");
  ASSERT_TRUE(tensor->has_value());
  EXPECT_EQ((*tensor)->data(), tensors_.begin()->second.data());
  EXPECT_EQ(taker_.Peek("lm_head", "lora_A.weight"), nullptr);
  EXPECT_EQ(*taker_.Take("lm_head", "lora_A.weight", {2, 8}, ""), std::nullopt);
}

TEST_F(TensorTakerTest, KeepsAccount) {
  ASSERT_TRUE(taker_.Take("lm_head", "lora_A.weight", {2, 8}, "").ok());
  EXPECT_TRUE(taker_.any_taken());
  EXPECT_EQ(report_.num_parameters, 16);
  EXPECT_EQ(report_.size_bytes, 64);
  EXPECT_EQ(report_.Count(ReportKind::kMatched), 1);
  ASSERT_THAT(taker_.Unused(), SizeIs(1));
  EXPECT_EQ(taker_.Unused()[0]->part, "lora_B.weight");
}

TEST_F(TensorTakerTest, MissingTensorsHaveTheFilesPrefix) {
  EXPECT_EQ(*taker_.Take("lm_head", "bias", {10}, ""), std::nullopt);
  ASSERT_THAT(taker_.missing(), SizeIs(1));
  EXPECT_EQ(taker_.missing()[0].name, "base_model.model.lm_head.bias");
  EXPECT_EQ(taker_.missing()[0].instead, IfMissing::kUntrained);
  EXPECT_FALSE(taker_.any_taken());
}

TEST_F(TensorTakerTest, SettledTensorsAreNotInUse) {
  taker_.Settle("lm_head", "lora_A.weight", MakeTensor({1}));
  EXPECT_FALSE(taker_.any_taken());
  EXPECT_EQ(report_.num_parameters, 0);
  EXPECT_THAT(taker_.ReleaseStateDict(), SizeIs(1));
}

TEST_F(TensorTakerTest, AShapeThatDoesNotFitStaysUnused) {
  const auto tensor = taker_.Take("lm_head", "lora_A.weight", {3, 8}, "why");
  EXPECT_EQ(ErrorId(tensor.status()), error_id::kTensorShapeMismatch);
  EXPECT_THAT(taker_.Unused(), SizeIs(2));
  EXPECT_THAT(taker_.ReleaseStateDict(), IsEmpty());
}

TEST_F(TensorTakerTest, CopiesWhatIsNotTaken) {
  ASSERT_TRUE(taker_.CopyRemaining().ok());
  EXPECT_NE(taker_.Peek("lm_head", "lora_A.weight")->data(),
            tensors_.begin()->second.data());
}

}  // namespace
}  // namespace peft
