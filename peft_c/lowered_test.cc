#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/host_model_test_util.h"

namespace peft {
namespace {

class LoweredTest : public HostModelTest {
 protected:
  OwnedLowered Lower(const peft_activation_t* activation = nullptr) {
    peft_lowered_t* lowered = nullptr;
    EXPECT_PEFT_OK(
        peft_model_lower_layer(model_.get(), layer_, activation, &lowered));
    return OwnedLowered(lowered);
  }
  static peft_form_t Form(const OwnedLowered& lowered, size_t index) {
    peft_form_t form = PEFT_FORM_INIT;
    EXPECT_PEFT_OK(peft_lowered_get_form(lowered.get(), index, &form));
    return form;
  }
  static std::vector<float> Values(const OwnedLowered& lowered, size_t index,
                                   int32_t tensor) {
    peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
    EXPECT_PEFT_OK(
        peft_lowered_get_tensor(lowered.get(), index, tensor, &view));
    int64_t count = 1;
    for (int32_t i = 0; i < view.rank; ++i) count *= view.sizes[i];
    const auto* const data = static_cast<const float*>(view.data);
    return std::vector<float>(data, data + count);
  }
};

TEST_F(LoweredTest, OfNothingIsEmpty) {
  Create(Weights::kKept);
  EXPECT_EQ(peft_lowered_size(Lower().get()), 0u);
}

TEST_F(LoweredTest, ALoraIsItsFactorsAndScale) {
  Create(Weights::kKept);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 3).ok());
  ASSERT_PEFT_OK(peft_model_set_scale(model_.get(), "a", 0.5f));
  const OwnedLowered lowered = Lower();
  ASSERT_EQ(peft_lowered_size(lowered.get()), 1u);
  EXPECT_EQ(Form(lowered, 0).kind, PEFT_FORM_LOW_RANK);
  EXPECT_EQ(Form(lowered, 0).scale, 0.5f);
  EXPECT_EQ(Values(lowered, 0, PEFT_FORM_TENSOR_A),
            std::vector<float>({1, 1, 1}));
  EXPECT_EQ(Values(lowered, 0, PEFT_FORM_TENSOR_B), std::vector<float>({3, 6}));
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  EXPECT_PEFT_ERROR(peft_lowered_get_tensor(lowered.get(), 0,
                                            PEFT_FORM_TENSOR_RANK_SCALE, &view),
                    PEFT_NOT_FOUND, "TENSOR_MISSING");
  peft_form_t form = PEFT_FORM_INIT;
  EXPECT_PEFT_ERROR(peft_lowered_get_form(lowered.get(), 1, &form),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

TEST_F(LoweredTest, AnIa3IsFactorsAndTheBias) {
  Create(Weights::kKept);
  ASSERT_TRUE(LoadIa3(model_.get(), "outputs", false).ok());
  const OwnedLowered outputs = Lower();
  ASSERT_EQ(peft_lowered_size(outputs.get()), 2u);
  EXPECT_EQ(Form(outputs, 0).kind, PEFT_FORM_SCALE_OUT);
  EXPECT_EQ(Values(outputs, 0, PEFT_FORM_TENSOR_FACTOR),
            std::vector<float>({2, 2}));
  EXPECT_EQ(Form(outputs, 1).kind, PEFT_FORM_BIAS);
  EXPECT_EQ(Values(outputs, 1, PEFT_FORM_TENSOR_BIAS),
            std::vector<float>({20, 40}));
  ASSERT_TRUE(LoadIa3(model_.get(), "inputs", true).ok());
  const OwnedLowered inputs = Lower();
  ASSERT_EQ(peft_lowered_size(inputs.get()), 1u);
  EXPECT_EQ(Form(inputs, 0).kind, PEFT_FORM_SCALE_IN);
}

TEST_F(LoweredTest, KeepsTheGenerationThatItWasMadeOf) {
  Create(Weights::kKept);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 3).ok());
  const OwnedLowered lowered = Lower();
  const char* name = "a";
  ASSERT_PEFT_OK(peft_model_delete_adapter(model_.get(), &name, 1));
  model_.reset();
  EXPECT_EQ(Values(lowered, 0, PEFT_FORM_TENSOR_B), std::vector<float>({3, 6}));
}

}  // namespace
}  // namespace peft
