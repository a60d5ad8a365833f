#include "peft_cc/adapters/completeness.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A file with these tensors, of which `taken` parts of lm_head are used.
class CompletenessTest : public ::testing::Test {
 protected:
  absl::Status Check(const std::vector<std::string>& file,
                     const std::vector<std::string>& taken,
                     bool lenient = false, const char* task_type = "") {
    TensorMap tensors;
    for (const std::string& name : file) tensors[name] = MakeTensor({1});
    const KeyMap keys = *MapKeys(tensors, TinySites());
    TensorTaker taker(tensors, &keys, &report_);
    for (const std::string& part : taken) {
      EXPECT_TRUE(taker.Take("lm_head", part, {1}, "").ok());
    }
    return CheckCompleteness(taker, task_type, lenient, report_);
  }

  LoadReport report_;
};

TEST_F(CompletenessTest, AllIsUsed) {
  EXPECT_TRUE(Check({"lm_head.bias"}, {"bias"}).ok());
}

TEST_F(CompletenessTest, MissingNamesAlsoWhatIsLeftOver) {
  const absl::Status status =
      Check({"lm_head.bias", "lm_head.other"}, {"bias", "lora_A.weight"});
  EXPECT_EQ(ErrorId(status), error_id::kTensorMissing);
  EXPECT_EQ(GetErrorDetails(status).tensor, "lm_head.lora_A.weight");
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"lm_head.other\""));
}

TEST_F(CompletenessTest, AHintExplainsWhatIsMissing) {
  const absl::Status status =
      Check({"lm_head.bias", "lm_head.a", "_orig_mod.lm_head.lora_A.weight"},
            {"bias", "lora_A.weight"});
  EXPECT_EQ(ErrorId(status), error_id::kTensorUnexpected);
  EXPECT_EQ(GetErrorDetails(status).tensor, "_orig_mod.lm_head.lora_A.weight");
  EXPECT_THAT(std::string(status.message()), HasSubstr("compiled"));
}

TEST_F(CompletenessTest, AHeadThatTheModelLacksSaysHowToOpenTheBase) {
  const auto message = [&](const char* name, const char* task_type) {
    const absl::Status status =
        Check({"lm_head.bias", name}, {"bias"}, /*lenient=*/false, task_type);
    EXPECT_EQ(ErrorId(status), error_id::kTensorUnexpected);
    EXPECT_EQ(GetErrorDetails(status).tensor, name);
    return std::string(status.message());
  };
  EXPECT_THAT(message("score.weight", "SEQ_CLS"),
              HasSubstr("task sequence-classification and num_labels 1 "
                        "(options.task, options.num_labels; "));
  EXPECT_THAT(message("classifier.bias", "TOKEN_CLS"),
              HasSubstr("task token-classification and num_labels 1 "));
  EXPECT_THAT(message("qa_outputs.weight", "QUESTION_ANS"),
              HasSubstr("task question-answering (options.task"));
}

TEST_F(CompletenessTest, ThreeNamesAreShown) {
  const absl::Status status =
      Check({"lm_head.bias", "a.x", "b.x", "c.x", "d.x", "e.x"}, {"bias"});
  EXPECT_EQ(ErrorId(status), error_id::kTensorUnexpected);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("5 tensors"), HasSubstr("\"c.x\" and 2 more")));
}

TEST_F(CompletenessTest, LenientReportsInstead) {
  EXPECT_TRUE(Check({"lm_head.bias", "lm_head.other"},
                    {"bias", "lora_A.weight"}, /*lenient=*/true)
                  .ok());
  EXPECT_EQ(report_.Count(ReportKind::kMissing), 1);
  EXPECT_EQ(report_.Count(ReportKind::kUnexpected), 1);
}

TEST_F(CompletenessTest, NothingUsedIsNeverFine) {
  for (const bool lenient : {false, true}) {
    EXPECT_EQ(ErrorId(Check({"a.x"}, {"lora_A.weight"}, lenient)),
              error_id::kAdapterTensors);
    EXPECT_EQ(ErrorId(Check({}, {}, lenient)), error_id::kAdapterTensors);
  }
}

}  // namespace
}  // namespace peft
