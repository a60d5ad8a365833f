#include "peft_cc/models/weight_names.h"

#include <string>

#include "gtest/gtest.h"

namespace peft {
namespace {

// The name under which files with the tensor `stored` have weight `name`.
std::string Found(const std::string& stored, const std::string& prefix,
                  const std::string& name) {
  TensorMap tensors;
  tensors[stored];
  const auto found = FindWeight(tensors, prefix, name);
  return found == tensors.end() ? "" : found->first;
}

TEST(WeightNamesTest, ThePrefixMayBeMissingOrTooMuch) {
  EXPECT_EQ(Found("model.norm.weight", "model.", "model.norm.weight"),
            "model.norm.weight");
  EXPECT_EQ(Found("norm.weight", "model.", "model.norm.weight"), "norm.weight");
  EXPECT_EQ(Found("model.norm.weight", "", "norm.weight"), "model.norm.weight");
  EXPECT_EQ(Found("model.score.weight", "model.", "score.weight"),
            "model.score.weight");
  EXPECT_EQ(Found("bert.norm.weight", "model.", "model.norm.weight"), "");
}

TEST(WeightNamesTest, NormsMayHaveTheNamesOfTensorFlow) {
  EXPECT_EQ(Found("bert.LayerNorm.gamma", "bert.", "bert.LayerNorm.weight"),
            "bert.LayerNorm.gamma");
  EXPECT_EQ(Found("LayerNorm.beta", "bert.", "bert.LayerNorm.bias"),
            "LayerNorm.beta");
  EXPECT_EQ(Found("bert.dense.gamma", "bert.", "bert.dense.weight"), "");
}

TEST(WeightNamesTest, WhetherAWeightIsThereNeedsNoPrefix) {
  TensorMap tensors;
  tensors["transformer.wte.weight"];
  tensors["score.weight"];
  EXPECT_TRUE(HoldsWeight(tensors, "wte.weight"));
  EXPECT_TRUE(HoldsWeight(tensors, "transformer.wte.weight"));
  EXPECT_TRUE(HoldsWeight(tensors, "score.weight"));
  EXPECT_FALSE(HoldsWeight(tensors, "lm_head.weight"));
}

}  // namespace
}  // namespace peft
