#include "peft_cc/models/adapter_labels.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

// A folder with tensors of zeros.
std::string WriteTensors(
    const std::map<std::string, std::vector<int64_t>>& shapes) {
  const std::string folder = WriteAdapter(1);
  TensorMap tensors;
  for (const auto& [name, shape] : shapes) {
    void* data = nullptr;
    tensors[name] = *Tensor::Allocate(DType::kF32, shape, &data);
  }
  EXPECT_TRUE(
      WriteSafetensors(folder + "/adapter_model.safetensors", tensors, {})
          .ok());
  return folder;
}

int64_t LabelsOf(const std::vector<std::string>& folders) {
  const absl::StatusOr<int64_t> labels = LabelsOfAdapters(folders);
  EXPECT_TRUE(labels.ok()) << labels.status();
  return labels.value_or(-1);
}

TEST(AdapterLabelsTest, AreTheRowsOfTheFirstHead) {
  const std::string none =
      WriteTensors({{"base_model.model.model.q_proj.lora_A.weight", {2, 4}}});
  const std::string three =
      WriteTensors({{"base_model.model.classifier.weight", {3, 4}}});
  const std::string five = WriteTensors({{"score.bias", {5}}});
  EXPECT_EQ(LabelsOf({none, three, five}), 3);
  EXPECT_EQ(LabelsOf({five, three}), 5);
}

TEST(AdapterLabelsTest, AreUnknownWithoutAHead) {
  EXPECT_EQ(LabelsOf({}), 0);
  EXPECT_EQ(LabelsOf({WriteAdapter(1)}), 0);
  EXPECT_EQ(LabelsOf({WriteTensors({{"score.weight", {}}})}), 0);
  EXPECT_EQ(LabelsOf({WriteTensors({{"score.lora_A.weight", {2, 4}}})}), 0);
}

TEST(AdapterLabelsTest, FoldersWithoutTensorsAreErrors) {
  EXPECT_EQ(ErrorId(LabelsOfAdapters({"nowhere"}).status()),
            error_id::kFileNotFound);
}

}  // namespace
}  // namespace peft
