// What forwards of models with other heads give back through the C API. The
// numbers are compared in //peft_cc/models:heads_test.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"

namespace {

const char kHeads[] = "peft_cc/models/testdata/heads/";

// A session of one of the golden models, and the calls of these tests.
class Case {
 public:
  explicit Case(const std::string& name) {
    EXPECT_EQ(peft_model_open((kHeads + name).c_str(), nullptr, &model_),
              nullptr);
    EXPECT_EQ(peft_session_create(model_, nullptr, &session_), nullptr);
  }
  ~Case() {
    peft_session_free(session_);
    peft_model_free(model_);
  }

  peft_model_info_t Info() const {
    peft_model_info_t info = PEFT_MODEL_INFO_INIT;
    EXPECT_EQ(peft_model_get_info(model_, &info), nullptr);
    return info;
  }

  // The id of the error, "" for none. Two rows of three tokens.
  std::string Forward(int32_t outputs, peft_tensor_view_t* out_logits,
                      const int64_t* token_types = nullptr) {
    const int64_t ids[] = {5, 6, 7, 8, 9, 0};
    peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
    input.ids = ids;
    input.batch = 2;
    input.length = 3;
    input.token_type_ids = token_types;
    peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
    options.outputs = outputs;
    return IdOf(peft_session_forward(session_, &input, &options, out_logits));
  }

  // The sizes of an output, or empty with the error in `id`.
  std::vector<int64_t> Sizes(int32_t output) {
    peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
    id = IdOf(peft_session_get_output(session_, output, &view));
    if (!id.empty()) {
      EXPECT_EQ(view.data, nullptr);
      return {};
    }
    EXPECT_NE(view.data, nullptr);
    EXPECT_EQ(view.dtype, PEFT_DTYPE_F32);
    return std::vector<int64_t>(view.sizes, view.sizes + view.rank);
  }

  void Reset() { EXPECT_EQ(peft_session_reset(session_), nullptr); }

  std::string id;

 private:
  static std::string IdOf(peft_status_t* status) {
    std::string id = peft_status_id(status);
    peft_status_free(status);
    return id;
  }

  peft_model_t* model_ = nullptr;
  peft_session_t* session_ = nullptr;
};

using Shape = std::vector<int64_t>;

TEST(OutputsTest, InfoSaysWhatAModelIsFor) {
  const peft_model_info_t bert = Case("bert_bare").Info();
  EXPECT_EQ(bert.task, PEFT_TASK_BASE);
  EXPECT_EQ(bert.num_labels, 0);
  EXPECT_EQ(bert.num_token_types, 2);
  Case gpt2("gpt2_token");
  const peft_model_info_t info = gpt2.Info();
  EXPECT_EQ(info.task, PEFT_TASK_TOKEN_CLASSIFICATION);
  EXPECT_STREQ(info.architecture, "GPT2ForTokenClassification");
  EXPECT_STREQ(info.model_type, "gpt2");
  EXPECT_EQ(info.num_labels, 5);
}

TEST(OutputsTest, ABareModelGivesItsHiddenStates) {
  Case bert("bert_bare");
  EXPECT_EQ(bert.Forward(0, nullptr), "");
  EXPECT_EQ(bert.Sizes(PEFT_OUTPUT_LAST_HIDDEN_STATE), (Shape{2, 3, 16}));
  EXPECT_EQ(bert.Sizes(PEFT_OUTPUT_POOLER_OUTPUT), (Shape{2, 16}));
  EXPECT_EQ(bert.Sizes(PEFT_OUTPUT_LOGITS), Shape{});
  EXPECT_EQ(bert.id, "OUTPUT_NOT_COMPUTED");
}

TEST(OutputsTest, ABareModelHasNoLogits) {
  Case bert("bert_bare_without_pooler");
  peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
  EXPECT_EQ(bert.Forward(0, &logits), "MODEL_TASK");
  EXPECT_EQ(logits.data, nullptr);
  EXPECT_EQ(bert.Forward(PEFT_OUTPUT_POOLER_OUTPUT, nullptr), "MODEL_TASK");
}

TEST(OutputsTest, AClassifierOfSequencesGivesTwoAxes) {
  Case llama("llama_sequence");
  peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
  EXPECT_EQ(llama.Forward(0, &logits), "");
  ASSERT_EQ(logits.rank, 2);
  EXPECT_EQ(logits.sizes[0], 2);
  EXPECT_EQ(logits.sizes[1], 3);
}

TEST(OutputsTest, OutputsComeBesideTheLogits) {
  Case gpt2("gpt2_lm");
  peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
  EXPECT_EQ(gpt2.Forward(PEFT_OUTPUT_LAST_HIDDEN_STATE, &logits), "");
  EXPECT_EQ(logits.rank, 3);
  EXPECT_EQ(gpt2.Sizes(PEFT_OUTPUT_LOGITS), (Shape{2, 3, 64}));
  EXPECT_EQ(gpt2.Sizes(PEFT_OUTPUT_LAST_HIDDEN_STATE), (Shape{2, 3, 16}));
  gpt2.Reset();
  EXPECT_EQ(gpt2.Sizes(PEFT_OUTPUT_LOGITS), Shape{});
  EXPECT_EQ(gpt2.id, "OUTPUT_NOT_COMPUTED");
}

TEST(OutputsTest, UnknownOutputsAreRefused) {
  Case gpt2("gpt2_lm");
  EXPECT_EQ(gpt2.Forward(8, nullptr), "ARGUMENT");
  EXPECT_EQ(gpt2.Forward(-1, nullptr), "ARGUMENT");
  EXPECT_EQ(gpt2.Forward(0, nullptr), "");
  EXPECT_EQ(gpt2.Sizes(0), Shape{});
  EXPECT_EQ(gpt2.id, "ARGUMENT");
  EXPECT_EQ(gpt2.Sizes(3), Shape{});
  EXPECT_EQ(gpt2.id, "ARGUMENT");
}

TEST(OutputsTest, TokenTypesAreReadAndChecked) {
  Case bert("bert_sequence");
  const int64_t good[] = {0, 1, 2, 0, 1, 2};
  const int64_t bad[] = {0, 1, 3, 0, 1, 2};
  EXPECT_EQ(bert.Forward(0, nullptr, good), "");
  EXPECT_EQ(bert.Forward(0, nullptr, bad), "ARGUMENT");
  EXPECT_EQ(bert.Sizes(PEFT_OUTPUT_LOGITS), Shape{});
}

}  // namespace
