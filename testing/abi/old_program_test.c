/* A program that was compiled against the first header: its structs are
 * smaller than today's, and all that it did then works now.
 *
 *   old_program_test FOLDER   with the quickstart's base/ and adapters/
 */
#include <stdio.h>
#include <string.h>

#include "testing/abi/v1/peft_c.h"

#if PEFT_API_VERSION != 1
#error "this must be the first header"
#endif

/* Expectations that did not hold. */
static int failures = 0;

static void Expect(int condition, const char* text, int line) {
  if (condition) return;
  fprintf(stderr, "line %d: expected %s\n", line, text);
  ++failures;
}
#define EXPECT(condition) Expect(condition, #condition, __LINE__)

static void ExpectOk(peft_status_t* status, const char* call, int line) {
  if (!status) return;
  fprintf(stderr, "line %d: %s failed: %s\n", line, call,
          peft_status_message(status));
  peft_status_free(status);
  ++failures;
}
#define EXPECT_OK(call) ExpectOk(call, #call, __LINE__)

/* A struct that the library fills, with what it must not touch behind it. */
#define GUARDED(type) \
  struct {            \
    type value;       \
    char guard[256];  \
  }
#define SET_GUARD(g) memset((g).guard, 0x5a, sizeof((g).guard))
#define EXPECT_GUARD(g) Expect(IsUntouched((g).guard), "guard", __LINE__)

static int IsUntouched(const char* guard) {
  for (int i = 0; i < 256; ++i) {
    if (guard[i] != 0x5a) return 0;
  }
  return 1;
}

static const char* Path(const char* folder, const char* name) {
  static char path[1024];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  return path;
}

static void TestBuildInfo(void) {
  const peft_build_info_t init = PEFT_BUILD_INFO_INIT;
  GUARDED(peft_build_info_t) info;
  info.value = init;
  SET_GUARD(info);
  peft_get_build_info(&info.value);
  EXPECT(info.value.api_version >= PEFT_API_VERSION);
  EXPECT(peft_api_version() == info.value.api_version);
  EXPECT(strstr(info.value.methods, "LORA") != NULL);
  EXPECT_GUARD(info);
}

/* What the functions write is what the macros of then say. */
static void TestInit(void) {
#define EXPECT_INIT(type, macro, init)                                \
  do {                                                                \
    static const type by_macro = macro;                               \
    GUARDED(type) by_function;                                        \
    SET_GUARD(by_function);                                           \
    init(&by_function.value, sizeof(type));                           \
    EXPECT(memcmp(&by_macro, &by_function.value, sizeof(type)) == 0); \
    EXPECT_GUARD(by_function);                                        \
  } while (0)
  EXPECT_INIT(peft_tensor_view_t, PEFT_TENSOR_VIEW_INIT, peft_tensor_view_init);
  EXPECT_INIT(peft_model_options_t, PEFT_MODEL_OPTIONS_INIT,
              peft_model_options_init);
  EXPECT_INIT(peft_load_options_t, PEFT_LOAD_OPTIONS_INIT,
              peft_load_options_init);
  EXPECT_INIT(peft_set_adapter_options_t, PEFT_SET_ADAPTER_OPTIONS_INIT,
              peft_set_adapter_options_init);
  EXPECT_INIT(peft_session_options_t, PEFT_SESSION_OPTIONS_INIT,
              peft_session_options_init);
  EXPECT_INIT(peft_forward_input_t, PEFT_FORWARD_INPUT_INIT,
              peft_forward_input_init);
  EXPECT_INIT(peft_forward_options_t, PEFT_FORWARD_OPTIONS_INIT,
              peft_forward_options_init);
  EXPECT_INIT(peft_generate_options_t, PEFT_GENERATE_OPTIONS_INIT,
              peft_generate_options_init);
}

static peft_model_t* Open(const char* folder) {
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  const peft_model_info_t init = PEFT_MODEL_INFO_INIT;
  GUARDED(peft_model_info_t) info;
  peft_model_t* model = NULL;
  options.read_mode = PEFT_READ_MODE_READ;
  options.num_threads = 1;
  EXPECT_OK(peft_model_open(Path(folder, "base"), &options, &model));
  info.value = init;
  SET_GUARD(info);
  EXPECT_OK(peft_model_get_info(model, &info.value));
  EXPECT(strcmp(info.value.model_type, "llama") == 0);
  EXPECT(info.value.vocab_size == 56);
  EXPECT_GUARD(info);
  return model;
}

static void Load(peft_model_t* model, const char* folder) {
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  const peft_report_line_t init = PEFT_REPORT_LINE_INIT;
  GUARDED(peft_report_line_t) line;
  peft_load_report_t* report = NULL;
  options.subfolder = "german";
  options.lenient = 1;
  EXPECT_OK(peft_model_load_adapter(model, "german", Path(folder, "adapters"),
                                    &options, &report));
  EXPECT(peft_load_report_count(report, PEFT_REPORT_MATCHED) > 0);
  EXPECT(peft_load_report_count(report, PEFT_REPORT_MISSING) == 0);
  line.value = init;
  SET_GUARD(line);
  EXPECT_OK(peft_load_report_get_line(report, 0, &line.value));
  EXPECT(line.value.kind == PEFT_REPORT_MATCHED);
  EXPECT_GUARD(line);
  peft_load_report_free(report);
}

static void Activate(peft_model_t* model) {
  const float scale = 1.0f;
  const char* const name = "german";
  peft_set_adapter_options_t options = PEFT_SET_ADAPTER_OPTIONS_INIT;
  peft_string_list_t* names = NULL;
  options.scales = &scale;
  EXPECT_OK(peft_model_set_adapter(model, &name, 1, &options));
  EXPECT_OK(peft_model_active_adapters(model, &names));
  EXPECT(peft_string_list_size(names) == 1);
  peft_string_list_free(names);
}

static int32_t CountTokens(void* user_data, int64_t row, int64_t token) {
  (void)row;
  (void)token;
  ++*(int*)user_data;
  return 0;
}

/* "1987=": the first tokens of its German words. */
static void Run(const peft_model_t* model) {
  static const int64_t kPrompt[] = {1, 4, 12, 11, 10, 13};
  static const int64_t kWanted[] = {20, 24, 29};
  peft_session_options_t session_options = PEFT_SESSION_OPTIONS_INIT;
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  peft_forward_options_t forward = PEFT_FORWARD_OPTIONS_INIT;
  peft_generate_options_t generate = PEFT_GENERATE_OPTIONS_INIT;
  const peft_tensor_view_t init = PEFT_TENSOR_VIEW_INIT;
  GUARDED(peft_tensor_view_t) logits;
  peft_session_t* session = NULL;
  peft_generate_result_t* result = NULL;
  size_t size = 0;
  int seen = 0;
  session_options.max_length = 32;
  EXPECT_OK(peft_session_create(model, &session_options, &session));
  input.ids = kPrompt;
  input.batch = 1;
  input.length = 6;
  forward.logits_to_keep = 1;
  forward.allow_activation_change = 1;
  logits.value = init;
  SET_GUARD(logits);
  EXPECT_OK(peft_session_forward(session, &input, &forward, &logits.value));
  EXPECT(logits.value.rank == 3 && logits.value.sizes[2] == 56);
  EXPECT_GUARD(logits);
  generate.max_new_tokens = 3;
  generate.on_token = CountTokens;
  generate.user_data = &seen;
  EXPECT_OK(peft_session_generate(session, &input, &generate, &result));
  const int64_t* const tokens = peft_generate_result_tokens(result, 0, &size);
  EXPECT(size == 3 && seen == 3);
  EXPECT(tokens && memcmp(tokens, kWanted, sizeof(kWanted)) == 0);
  EXPECT(peft_generate_result_finish_reason(result, 0) == PEFT_FINISH_LENGTH);
  peft_generate_result_free(result);
  peft_session_free(session);
}

static void TestTensors(peft_model_t* model) {
  static const float kValues[] = {1, 2, 3};
  static const int64_t kSize = 3;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  peft_state_dict_t* state_dict = NULL;
  peft_tensor_t* tensor = NULL;
  view.data = kValues;
  view.dtype = PEFT_DTYPE_F32;
  view.rank = 1;
  view.sizes = &kSize;
  EXPECT_OK(peft_model_get_adapter_state_dict(model, NULL, &state_dict));
  EXPECT(peft_state_dict_size(state_dict) > 0);
  EXPECT_OK(peft_state_dict_set(state_dict, "x", &view));
  EXPECT_OK(peft_state_dict_get(state_dict, "x", &tensor));
  EXPECT_OK(peft_tensor_get_view(tensor, &view));
  EXPECT(((const float*)view.data)[2] == 3);
  peft_tensor_free(tensor);
  peft_state_dict_free(state_dict);
}

int main(int argc, char** argv) {
  const char* const name = "german";
  if (argc != 2) return 2;
  TestBuildInfo();
  TestInit();
  peft_model_t* model = Open(argv[1]);
  Load(model, argv[1]);
  Activate(model);
  TestTensors(model);
  Run(model);
  EXPECT_OK(peft_model_disable_adapters(model));
  EXPECT_OK(peft_model_enable_adapters(model));
  EXPECT_OK(peft_model_delete_adapter(model, &name, 1));
  peft_model_free(model);
  return failures != 0;
}
