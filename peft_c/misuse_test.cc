// What programs get wrong: every call answers with an error that says so, the
// sanitizers stay silent and nothing is left behind.

#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "peft_c/handle_table.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr char kGerman[] = "examples/quickstart/adapters/german";
constexpr int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};

template <typename Handle>
Handle* Garbage(uintptr_t value) {
  return reinterpret_cast<Handle*>(value);
}

// Not null, so that a test sees whether a failed call clears it.
template <typename Handle>
Handle* Dirty() {
  return Garbage<Handle>(0xdead);
}

peft_forward_input_t Prompt() {
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kPrompt;
  input.batch = 1;
  input.length = 6;
  return input;
}

class MisuseTest : public testing::Test {
 protected:
  void SetUp() override {
    peft_set_logger(nullptr, nullptr);
    handles_before_ = HandleTable::Global().size();
    peft_model_t* model = nullptr;
    ASSERT_PEFT_OK(peft_model_open(kBase, nullptr, &model));
    model_.reset(model);
    peft_session_t* session = nullptr;
    ASSERT_PEFT_OK(peft_session_create(model, nullptr, &session));
    session_.reset(session);
  }

  void TearDown() override {
    ExpectStillUsable();
    session_.reset();
    model_.reset();
    EXPECT_EQ(HandleTable::Global().size(), handles_before_);
  }

  void ExpectStillUsable() {
    const peft_forward_input_t input = Prompt();
    peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
    EXPECT_PEFT_OK(peft_session_reset(session_.get()));
    EXPECT_PEFT_OK(
        peft_session_forward(session_.get(), &input, nullptr, &logits));
  }

  Outcome Generate(const peft_forward_input_t* input,
                   const peft_generate_options_t* options) {
    auto* result = Dirty<peft_generate_result_t>();
    const Outcome outcome =
        Take(peft_session_generate(session_.get(), input, options, &result));
    if (outcome.ok()) {
      peft_generate_result_free(result);
    } else {
      EXPECT_EQ(result, nullptr);
    }
    return outcome;
  }

  Outcome Forward(const peft_forward_input_t* input,
                  const peft_forward_options_t* options = nullptr) {
    peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
    logits.rank = 7;
    const Outcome outcome =
        Take(peft_session_forward(session_.get(), input, options, &logits));
    EXPECT_TRUE(outcome.ok() || logits.rank == 0);
    return outcome;
  }

  Outcome Open(const peft_model_options_t* options) {
    auto* model = Dirty<peft_model_t>();
    const Outcome outcome = Take(peft_model_open(kBase, options, &model));
    if (outcome.ok()) {
      peft_model_free(model);
    } else {
      EXPECT_EQ(model, nullptr);
    }
    return outcome;
  }

  size_t handles_before_ = 0;
  OwnedModel model_;
  OwnedSession session_;
};

// -- Handles ------------------------------------------------------------------

// Gives `value` to every function that takes a handle.
void UseEverywhere(uintptr_t value, const char* reason) {
  SCOPED_TRACE(reason);
  const auto expect = [&](peft_status_t* status) {
    const Outcome outcome = Take(status);
    EXPECT_EQ(outcome.id, "HANDLE") << outcome;
    EXPECT_NE(outcome.message.find(reason), std::string::npos) << outcome;
  };
  auto* const model = Garbage<peft_model_t>(value);
  auto* const session = Garbage<peft_session_t>(value);
  auto* const state_dict = Garbage<peft_state_dict_t>(value);
  auto* const tensor = Garbage<peft_tensor_t>(value);
  auto* const report = Garbage<peft_load_report_t>(value);
  auto* const result = Garbage<peft_generate_result_t>(value);
  auto* const list = Garbage<peft_string_list_t>(value);
  auto* const string = Garbage<peft_string_t>(value);
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  peft_model_info_t info = PEFT_MODEL_INFO_INIT;
  peft_report_line_t line = PEFT_REPORT_LINE_INIT;
  const peft_forward_input_t input = Prompt();
  auto* const activation = Garbage<peft_activation_t>(value);
  peft_adapter_info_t adapter_info = PEFT_ADAPTER_INFO_INIT;
  peft_activation_t* out_activation = nullptr;
  peft_string_t* out_string = nullptr;
  int32_t has = 0;
  peft_string_list_t* names = nullptr;
  peft_state_dict_t* out_state_dict = nullptr;
  peft_tensor_t* out_tensor = nullptr;
  peft_session_t* out_session = nullptr;
  peft_generate_result_t* out_result = nullptr;
  DLManagedTensor* managed = nullptr;

  auto* const probe = Garbage<peft_probe_report_t>(value);
  auto* const runner = Garbage<peft_layer_runner_t>(value);
  auto* const lowered = Garbage<peft_lowered_t>(value);
  peft_layer_runner_t* out_runner = nullptr;
  peft_lowered_t* out_lowered = nullptr;
  peft_form_t form = PEFT_FORM_INIT;
  int64_t layer = 0;
  peft_probe_report_t* out_probe = nullptr;
  peft_probe_line_t probe_line = PEFT_PROBE_LINE_INIT;
  peft_probe_summary_t probe_summary = PEFT_PROBE_SUMMARY_INIT;
  expect(peft_model_get_info(model, &info));
  expect(peft_model_load_adapter(model, "a", kGerman, nullptr, nullptr));
  expect(peft_model_set_adapter(model, nullptr, 0, nullptr));
  expect(peft_model_disable_adapters(model));
  expect(peft_model_enable_adapters(model));
  expect(peft_model_active_adapters(model, &names));
  expect(peft_model_list_adapters(model, &names));
  expect(peft_model_get_adapter_state_dict(model, "a", &out_state_dict));
  expect(peft_model_delete_adapter(model, nullptr, 0));
  expect(peft_model_merge_adapter(model, nullptr, 0, nullptr));
  expect(peft_model_unmerge_adapter(model));
  expect(peft_model_merged_adapters(model, &names));
  expect(peft_model_merge_and_unload(model, "/no/such/folder/x", nullptr));
  expect(peft_model_unload(model));
  expect(peft_model_add_weighted_adapter(model, "a", nullptr, nullptr, 0,
                                         nullptr));
  expect(peft_model_probe_adapter(model, "a", nullptr, &out_probe));
  expect(peft_probe_report_get_line(probe, 0, &probe_line));
  expect(peft_probe_report_get_summary(probe, &probe_summary));
  expect(peft_model_load_adapter_from_memory(model, "a", "{}", state_dict,
                                             nullptr, nullptr));
  expect(peft_model_add_adapter(model, "a", "{}", nullptr));
  expect(peft_model_save_adapter(model, "a", "/no/such/folder/x", nullptr));
  expect(peft_model_get_adapter_info(model, "a", &adapter_info));
  expect(peft_model_get_adapter_source(model, "a", &out_string));
  expect(peft_model_get_adapter_config(model, "a", &out_string));
  expect(peft_model_has_adapter(model, "a", &has));
  expect(peft_model_rename_adapter(model, "a", "b"));
  expect(peft_model_replace_adapter(model, "a", kGerman, nullptr, nullptr));
  expect(peft_model_replace_adapter_from_memory(model, "a", "{}", state_dict,
                                                nullptr, nullptr));
  expect(peft_model_set_scale(model, "a", 1));
  expect(peft_model_set_adapter_limit(model, 0, 0));
  expect(peft_model_pin_adapter(model, "a", 1));
  expect(peft_activation_create(model, nullptr, nullptr, 0, &out_activation));
  expect(peft_model_run_layer(model, "a", &view, nullptr, &out_tensor));
  expect(peft_model_find_layer(model, "a", -1, &layer));
  expect(peft_layer_runner_create(model, &out_runner));
  expect(peft_layer_runner_run(runner, 0, &view, nullptr, &view));
  expect(peft_layer_runner_add_delta(runner, 0, &view, nullptr, &view));
  expect(peft_layer_runner_create_cuda(model, nullptr, &out_runner));
  expect(peft_layer_runner_set_weight(runner, 0, &view));
  expect(peft_layer_runner_update(runner, nullptr));
  expect(peft_model_lower_layer(model, 0, nullptr, &out_lowered));
  expect(peft_lowered_get_form(lowered, 0, &form));
  expect(peft_lowered_get_tensor(lowered, 0, 1, &view));
  expect(peft_session_create(model, nullptr, &out_session));
  expect(peft_session_reset(session));
  expect(peft_session_forward(session, &input, nullptr, &view));
  expect(peft_session_generate(session, &input, nullptr, &out_result));
  expect(peft_state_dict_write(state_dict, "/no/such/folder/x"));
  expect(peft_state_dict_set(state_dict, "x", &view));
  expect(peft_state_dict_get(state_dict, "x", &out_tensor));
  expect(peft_tensor_get_view(tensor, &view));
  expect(peft_tensor_to_dlpack(tensor, &managed));
  expect(peft_load_report_get_line(report, 0, &line));

  EXPECT_EQ(peft_session_cache_length(session), 0);
  EXPECT_EQ(peft_state_dict_size(state_dict), 0u);
  EXPECT_EQ(peft_state_dict_name(state_dict, 0), nullptr);
  EXPECT_EQ(peft_load_report_count(report, 0), 0u);
  EXPECT_EQ(peft_load_report_num_sites(report), 0);
  EXPECT_EQ(peft_load_report_num_parameters(report), 0);
  EXPECT_EQ(peft_generate_result_num_rows(result), 0u);
  EXPECT_EQ(peft_generate_result_tokens(result, 0, nullptr), nullptr);
  EXPECT_EQ(peft_generate_result_finish_reason(result, 0), 0);
  EXPECT_EQ(peft_lowered_size(lowered), 0u);
  EXPECT_EQ(peft_string_list_size(list), 0u);
  EXPECT_EQ(peft_string_list_get(list, 0), nullptr);
  EXPECT_STREQ(peft_string_data(string), "");
  EXPECT_EQ(peft_string_size(string), 0u);

  peft_model_free(model);
  peft_session_free(session);
  peft_state_dict_free(state_dict);
  peft_tensor_free(tensor);
  peft_load_report_free(report);
  peft_probe_report_free(probe);
  peft_generate_result_free(result);
  peft_string_list_free(list);
  peft_string_free(string);
  peft_activation_free(activation);
  peft_layer_runner_free(runner);
  peft_lowered_free(lowered);
}

TEST_F(MisuseTest, NullHandles) { UseEverywhere(0, "is NULL"); }

TEST_F(MisuseTest, GarbageHandles) {
  int on_the_stack = 0;
  for (const uintptr_t value :
       {uintptr_t{1}, uintptr_t{8}, ~uintptr_t{0},
        reinterpret_cast<uintptr_t>(&on_the_stack),
        // One bit of a good handle is wrong: its tag, its generation.
        reinterpret_cast<uintptr_t>(model_.get()) ^ 2,
        reinterpret_cast<uintptr_t>(model_.get()) ^ uintptr_t{1} << 60}) {
    UseEverywhere(value, "is not a handle");
  }
}

TEST_F(MisuseTest, HandlesOfAnotherKind) {
  peft_status_t* const status = peft_model_open("", nullptr, nullptr);
  ASSERT_NE(status, nullptr);
  UseEverywhere(reinterpret_cast<uintptr_t>(status), "is a status, expected a");
  EXPECT_EQ(peft_status_code(status), PEFT_INVALID_ARGUMENT);
  peft_status_free(status);
}

TEST_F(MisuseTest, ActivationsThatAreNone) {
  const peft_forward_input_t input = Prompt();
  peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
  options.num_activations = 1;
  EXPECT_EQ(Forward(&input, &options).id, "ARGUMENT");
  const auto* const garbage = Garbage<const peft_activation_t>(24);
  options.activations = &garbage;
  const Outcome outcome = Forward(&input, &options);
  EXPECT_EQ(outcome.id, "HANDLE");
  EXPECT_EQ(outcome.subject, "options.activations[0]");
  peft_activation_t* activation = nullptr;
  ASSERT_PEFT_OK(
      peft_activation_create(model_.get(), nullptr, nullptr, 0, &activation));
  peft_activation_free(activation);
  options.activations = &activation;
  EXPECT_EQ(Forward(&input, &options).id, "HANDLE");
}

TEST_F(MisuseTest, RowsOfNames) {
  const peft_forward_input_t input = Prompt();
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  options.num_adapter_names = 1;
  EXPECT_EQ(Generate(&input, &options).id, "ARGUMENT");
  const char* const null_name = nullptr;
  options.adapter_names = &null_name;
  EXPECT_EQ(Generate(&input, &options).id, "UTF8");
  options.num_adapter_names = ~size_t{0};
  EXPECT_EQ(Generate(&input, &options).id, "ARGUMENT");
}

TEST_F(MisuseTest, FreedHandles) {
  peft_model_t* model = nullptr;
  ASSERT_PEFT_OK(peft_model_open(kBase, nullptr, &model));
  peft_model_free(model);
  EXPECT_NE(Take(peft_model_disable_adapters(model))
                .message.find("was already freed"),
            std::string::npos);
  peft_model_free(model);
  peft_session_t* session = nullptr;
  ASSERT_PEFT_OK(peft_session_create(model_.get(), nullptr, &session));
  peft_session_free(session);
  EXPECT_NE(Take(peft_session_reset(session)).message.find("already freed"),
            std::string::npos);
  peft_session_free(session);
}

TEST_F(MisuseTest, NullOutParameters) {
  EXPECT_PEFT_ERROR(peft_model_open(kBase, nullptr, nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_session_create(model_.get(), nullptr, nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_state_dict_create(nullptr), PEFT_INVALID_ARGUMENT,
                    "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_model_list_adapters(model_.get(), nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_model_get_info(model_.get(), nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(
      peft_session_get_output(session_.get(), PEFT_OUTPUT_LOGITS, nullptr),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

// -- Structs ------------------------------------------------------------------

TEST_F(MisuseTest, StructSizes) {
  for (const size_t size : {size_t{0}, size_t{4}, ~size_t{0}}) {
    peft_model_options_t model_options = PEFT_MODEL_OPTIONS_INIT;
    model_options.struct_size = size;
    EXPECT_EQ(Open(&model_options).id, "STRUCT_SIZE");
    peft_forward_input_t input = Prompt();
    input.struct_size = size;
    EXPECT_EQ(Forward(&input).id, "STRUCT_SIZE");
    const peft_forward_input_t good = Prompt();
    peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
    options.struct_size = size;
    EXPECT_EQ(Generate(&good, &options).id, "STRUCT_SIZE");
    peft_model_info_t info = PEFT_MODEL_INFO_INIT;
    info.struct_size = size;
    EXPECT_PEFT_ERROR(peft_model_get_info(model_.get(), &info),
                      PEFT_INVALID_ARGUMENT, "STRUCT_SIZE");
    peft_build_info_t build_info = PEFT_BUILD_INFO_INIT;
    build_info.struct_size = size;
    peft_get_build_info(&build_info);
    EXPECT_EQ(build_info.version, nullptr);
  }
  EXPECT_EQ(Forward(nullptr).id, "ARGUMENT");
  peft_adapter_estimate_t estimate = PEFT_ADAPTER_ESTIMATE_INIT;
  estimate.struct_size = 8;
  EXPECT_PEFT_ERROR(peft_estimate_adapter(kGerman, nullptr, &estimate),
                    PEFT_INVALID_ARGUMENT, "STRUCT_SIZE");
  peft_save_options_t save_options = PEFT_SAVE_OPTIONS_INIT;
  save_options.struct_size = 8;
  EXPECT_PEFT_ERROR(
      peft_model_save_adapter(model_.get(), "a", "x", &save_options),
      PEFT_INVALID_ARGUMENT, "STRUCT_SIZE");
}

TEST_F(MisuseTest, FlagsAndConstants) {
  peft_model_options_t model_options = PEFT_MODEL_OPTIONS_INIT;
  model_options.read_mode = 3;
  EXPECT_EQ(Open(&model_options).id, "ARGUMENT");
  model_options = PEFT_MODEL_OPTIONS_INIT;
  model_options.num_threads = -1;
  EXPECT_EQ(Open(&model_options).id, "ARGUMENT");
  peft_load_options_t load_options = PEFT_LOAD_OPTIONS_INIT;
  load_options.lenient = 2;
  EXPECT_PEFT_ERROR(peft_model_load_adapter(model_.get(), "a", kGerman,
                                            &load_options, nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  const peft_forward_input_t input = Prompt();
  peft_forward_options_t forward_options = PEFT_FORWARD_OPTIONS_INIT;
  forward_options.allow_activation_change = -1;
  EXPECT_EQ(Forward(&input, &forward_options).id, "ARGUMENT");
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  options.do_sample = 7;
  EXPECT_EQ(Generate(&input, &options).id, "ARGUMENT");
}

// -- Texts and arrays ---------------------------------------------------------

TEST_F(MisuseTest, Texts) {
  const char* const bad = "caf\xe9";
  auto* model = Dirty<peft_model_t>();
  EXPECT_PEFT_ERROR(peft_model_open(nullptr, nullptr, &model),
                    PEFT_INVALID_ARGUMENT, "UTF8");
  const Outcome outcome = Take(peft_model_open(bad, nullptr, &model));
  EXPECT_EQ(outcome.id, "UTF8");
  EXPECT_EQ(outcome.subject, "path");
  EXPECT_NE(outcome.message.find("from byte 3"), std::string::npos) << outcome;
  EXPECT_PEFT_ERROR(
      peft_model_load_adapter(model_.get(), bad, kGerman, nullptr, nullptr),
      PEFT_INVALID_ARGUMENT, "UTF8");
  const char* const names[] = {"a", nullptr};
  const Outcome second =
      Take(peft_model_set_adapter(model_.get(), names, 2, nullptr));
  EXPECT_EQ(second.id, "UTF8");
  EXPECT_EQ(second.subject, "names[1]");
}

TEST_F(MisuseTest, Counts) {
  const char* const name = "a";
  EXPECT_PEFT_ERROR(
      peft_model_set_adapter(model_.get(), &name, ~size_t{0}, nullptr),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_model_delete_adapter(model_.get(), nullptr, 1),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  const peft_forward_input_t input = Prompt();
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  options.num_eos_token_ids = 1;
  EXPECT_EQ(Generate(&input, &options).id, "ARGUMENT");
  options = PEFT_GENERATE_OPTIONS_INIT;
  const size_t lengths[] = {0, ~size_t{0}};
  options.stop_tokens = kPrompt;
  options.num_stop_sequences = 1;
  for (const size_t& length : lengths) {
    options.stop_sequence_lengths = &length;
    EXPECT_EQ(Generate(&input, &options).id, "ARGUMENT");
  }
  const size_t one = 1;
  options.stop_sequence_lengths = &one;
  options.stop_tokens = nullptr;
  EXPECT_EQ(Generate(&input, &options).id, "ARGUMENT");
}

TEST_F(MisuseTest, CountZeroTakesAnyPointer) {
  EXPECT_PEFT_OK(peft_model_set_adapter(
      model_.get(), Garbage<const char* const>(8), 0, nullptr));
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  options.eos_token_ids = Garbage<const int64_t>(8);
  options.stop_tokens = Garbage<const int64_t>(8);
  const peft_forward_input_t input = Prompt();
  EXPECT_TRUE(Generate(&input, &options).ok());
}

TEST_F(MisuseTest, InputShapes) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  struct Shape {
    int64_t batch;
    int64_t length;
  };
  for (const Shape& shape :
       {Shape{0, 6}, Shape{1, 0}, Shape{-1, 6}, Shape{1, -6},
        Shape{kHuge, kHuge}, Shape{int64_t{1} << 32, int64_t{1} << 32}}) {
    peft_forward_input_t input = Prompt();
    input.batch = shape.batch;
    input.length = shape.length;
    EXPECT_EQ(Forward(&input).id, "ARGUMENT") << shape.batch;
    EXPECT_EQ(Generate(&input, nullptr).id, "ARGUMENT") << shape.batch;
  }
  peft_forward_input_t input = Prompt();
  input.ids = nullptr;
  EXPECT_EQ(Forward(&input).id, "ARGUMENT");
}

TEST_F(MisuseTest, TokensOutOfRange) {
  for (const int64_t id :
       {int64_t{-1}, int64_t{56}, std::numeric_limits<int64_t>::min()}) {
    peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
    input.ids = &id;
    input.batch = 1;
    input.length = 1;
    EXPECT_EQ(Forward(&input).id, "TOKEN_OUT_OF_RANGE");
  }
}

TEST_F(MisuseTest, GenerateNumbers) {
  const peft_forward_input_t input = Prompt();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto expect_refused = [&](auto set) {
    peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
    options.do_sample = 1;
    set(options);
    EXPECT_EQ(Generate(&input, &options).id, "ARGUMENT");
  };
  expect_refused([](auto& options) { options.max_new_tokens = -1; });
  expect_refused([](auto& options) { options.temperature = 0; });
  expect_refused([&](auto& options) { options.temperature = nan; });
  expect_refused([](auto& options) { options.top_k = -1; });
  expect_refused([](auto& options) { options.top_p = 2; });
  expect_refused([&](auto& options) { options.min_p = nan; });
  expect_refused([](auto& options) { options.repetition_penalty = 0; });
}

}  // namespace
}  // namespace peft
