/* Each noun of peft_c.h, used from plain C99 against the shared library.
 *
 *   peft_c_test FOLDER   with the quickstart's base/ and adapters/
 */
#include "peft_c/peft_c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_OF(array) (sizeof(array) / sizeof((array)[0]))

static int failures = 0;

static void Expect(int condition, const char* text, int line) {
  if (condition) return;
  fprintf(stderr, "peft_c_test.c:%d: expected %s\n", line, text);
  ++failures;
}
#define EXPECT(condition) Expect(condition, #condition, __LINE__)

static void ExpectOk(peft_status_t* status, const char* call, int line) {
  if (status == NULL) return;
  fprintf(stderr, "peft_c_test.c:%d: %s failed: %s [%s]\n", line, call,
          peft_status_message(status), peft_status_id(status));
  peft_status_free(status);
  ++failures;
}
#define EXPECT_OK(call) ExpectOk(call, #call, __LINE__)

static void ExpectError(peft_status_t* status, int32_t code, const char* id,
                        int line) {
  if (peft_status_code(status) != code ||
      strcmp(peft_status_id(status), id) != 0) {
    fprintf(stderr, "peft_c_test.c:%d: expected %d %s, got %d %s: %s\n", line,
            (int)code, id, (int)peft_status_code(status),
            peft_status_id(status), peft_status_message(status));
    ++failures;
  }
  peft_status_free(status);
}
#define EXPECT_ERROR(call, code, id) ExpectError(call, code, id, __LINE__)

/* FOLDER/name; the text lives until the next call but two. */
static const char* g_folder = NULL;
static const char* Path(const char* name) {
  static char paths[3][1024];
  static int next = 0;
  char* path = paths[next++ % 3];
  snprintf(path, sizeof(paths[0]), "%s/%s", g_folder, name);
  return path;
}

static void TestBuildInfo(void) {
  peft_build_info_t info = PEFT_BUILD_INFO_INIT;
  EXPECT(peft_api_version() == PEFT_API_VERSION);
  peft_get_build_info(&info);
  EXPECT(info.api_version == PEFT_API_VERSION);
  EXPECT(strlen(info.version) > 0);
  EXPECT(strlen(info.compiler) > 0);
  EXPECT(strlen(info.cpu_kernels) > 0);
  EXPECT(strstr(info.methods, "LORA") != NULL);
  EXPECT(strstr(info.model_types, "llama,") != NULL);
  peft_get_build_info(NULL);
}

static void TestInitFunctionsWriteWhatTheMacrosDo(void) {
  const peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  const peft_model_options_t model = PEFT_MODEL_OPTIONS_INIT;
  const peft_generate_options_t generate = PEFT_GENERATE_OPTIONS_INIT;
  peft_tensor_view_t made_view;
  peft_model_options_t made_model;
  peft_load_options_t made_load;
  peft_set_adapter_options_t made_set;
  peft_session_options_t made_session;
  peft_forward_input_t made_input;
  peft_forward_options_t made_forward;
  peft_generate_options_t made_generate;

  peft_tensor_view_init(&made_view, sizeof(made_view));
  EXPECT(memcmp(&made_view, &view, sizeof(view)) == 0);
  peft_model_options_init(&made_model, sizeof(made_model));
  EXPECT(memcmp(&made_model, &model, sizeof(model)) == 0);
  peft_load_options_init(&made_load, sizeof(made_load));
  EXPECT(made_load.struct_size == sizeof(made_load) && !made_load.lenient);
  peft_set_adapter_options_init(&made_set, sizeof(made_set));
  EXPECT(made_set.scales == NULL);
  peft_session_options_init(&made_session, sizeof(made_session));
  EXPECT(made_session.max_length == 0);
  peft_forward_input_init(&made_input, sizeof(made_input));
  EXPECT(made_input.ids == NULL && made_input.batch == 0);
  peft_forward_options_init(&made_forward, sizeof(made_forward));
  EXPECT(made_forward.logits_to_keep == 0);
  peft_generate_options_init(&made_generate, sizeof(made_generate));
  EXPECT(made_generate.max_new_tokens == generate.max_new_tokens);
  EXPECT(made_generate.temperature == generate.temperature);
  EXPECT(made_generate.top_k == generate.top_k);
}

static void TestStateDict(void) {
  const float values[] = {1, 2, 3, 4, 5, 6};
  const int64_t sizes[] = {2, 3};
  const char* folder = getenv("TEST_TMPDIR");
  char path[1024];
  peft_state_dict_t* state_dict = NULL;
  peft_state_dict_t* read = NULL;
  peft_tensor_t* tensor = NULL;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  peft_tensor_view_t got = PEFT_TENSOR_VIEW_INIT;

  snprintf(path, sizeof(path), "%s/c.safetensors", folder ? folder : "/tmp");
  view.data = values;
  view.dtype = PEFT_DTYPE_F32;
  view.rank = 2;
  view.sizes = sizes;
  EXPECT_OK(peft_state_dict_create(&state_dict));
  EXPECT_OK(peft_state_dict_set(state_dict, "weight", &view));
  EXPECT_OK(peft_state_dict_write(state_dict, path));
  EXPECT_OK(peft_state_dict_read(path, &read));
  EXPECT(peft_state_dict_size(read) == 1);
  EXPECT(strcmp(peft_state_dict_name(read, 0), "weight") == 0);
  EXPECT_OK(peft_state_dict_get(read, "weight", &tensor));
  peft_state_dict_free(state_dict);
  peft_state_dict_free(read);
  EXPECT_OK(peft_tensor_get_view(tensor, &got));
  EXPECT(got.rank == 2 && got.sizes[0] == 2 && got.sizes[1] == 3);
  EXPECT(memcmp(got.data, values, sizeof(values)) == 0);
  peft_tensor_free(tensor);
}

static peft_model_t* OpenBase(void) {
  peft_model_t* model = NULL;
  EXPECT_OK(peft_model_open(Path("base"), NULL, &model));
  return model;
}

static void Load(peft_model_t* model, const char* name) {
  char path[64];
  snprintf(path, sizeof(path), "adapters/%s", name);
  EXPECT_OK(peft_model_load_adapter(model, name, Path(path), NULL, NULL));
}

static void TestModel(void) {
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  peft_model_info_t info = PEFT_MODEL_INFO_INIT;
  peft_model_t* model = NULL;

  EXPECT_ERROR(peft_model_open("/no/such/folder", NULL, &model), PEFT_NOT_FOUND,
               "FILE_NOT_FOUND");
  EXPECT(model == NULL);
  options.read_mode = PEFT_READ_MODE_READ;
  options.num_threads = 1;
  EXPECT_OK(peft_model_open(Path("base"), &options, &model));
  EXPECT_OK(peft_model_get_info(model, &info));
  EXPECT(strcmp(info.model_type, "llama") == 0);
  EXPECT(info.vocab_size == 56 && info.hidden_size == 160);
  EXPECT(info.num_layers == 4 && info.max_position_embeddings == 128);
  EXPECT(info.num_parameters * 2 == info.size_bytes); /* bf16 */
  EXPECT(info.num_sites > 4 * 7);
  peft_model_free(model);
}

/* The names as "a,b", in a buffer that the next call overwrites. */
static const char* Joined(peft_status_t* status, peft_string_list_t* names) {
  static char text[256];
  size_t i;
  text[0] = '\0';
  EXPECT_OK(status);
  for (i = 0; i < peft_string_list_size(names); ++i) {
    if (i > 0) strcat(text, ",");
    strcat(text, peft_string_list_get(names, i));
  }
  EXPECT(peft_string_list_get(names, i) == NULL);
  peft_string_list_free(names);
  return text;
}

static const char* Active(const peft_model_t* model) {
  peft_string_list_t* names = NULL;
  peft_status_t* status = peft_model_active_adapters(model, &names);
  return Joined(status, names);
}

static const char* Loaded(const peft_model_t* model) {
  peft_string_list_t* names = NULL;
  peft_status_t* status = peft_model_list_adapters(model, &names);
  return Joined(status, names);
}

static void TestAdapterVerbs(void) {
  const char* both[] = {"roman", "german"};
  const char* unknown[] = {"german", "klingon"};
  const float scales[] = {0.5f, 2.0f};
  const float bad_scales[] = {0.5f, (float)INFINITY};
  peft_set_adapter_options_t options = PEFT_SET_ADAPTER_OPTIONS_INIT;
  peft_state_dict_t* state_dict = NULL;
  peft_model_t* model = OpenBase();

  EXPECT(strcmp(Active(model), "") == 0);
  EXPECT_ERROR(peft_model_get_adapter_state_dict(model, NULL, &state_dict),
               PEFT_FAILED_PRECONDITION, "ADAPTER_NOT_FOUND");
  Load(model, "german");
  Load(model, "roman");
  EXPECT(strcmp(Loaded(model), "german,roman") == 0);
  EXPECT(strcmp(Active(model), "roman") == 0);
  EXPECT_ERROR(peft_model_load_adapter(model, "german", Path("adapters/german"),
                                       NULL, NULL),
               PEFT_ALREADY_EXISTS, "ADAPTER_EXISTS");

  options.scales = scales;
  EXPECT_OK(peft_model_set_adapter(model, both, 2, &options));
  EXPECT(strcmp(Active(model), "roman,german") == 0);
  EXPECT_ERROR(peft_model_set_adapter(model, unknown, 2, NULL), PEFT_NOT_FOUND,
               "ADAPTER_NOT_FOUND");
  options.scales = bad_scales;
  EXPECT_ERROR(peft_model_set_adapter(model, both, 2, &options),
               PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT(strcmp(Active(model), "roman,german") == 0);
  EXPECT_OK(peft_model_disable_adapters(model));
  EXPECT(strcmp(Active(model), "roman,german") == 0);
  EXPECT_OK(peft_model_enable_adapters(model));

  EXPECT_OK(peft_model_get_adapter_state_dict(model, "german", &state_dict));
  EXPECT(peft_state_dict_size(state_dict) > 0);
  EXPECT(strstr(peft_state_dict_name(state_dict, 0), "lora_A") != NULL);
  peft_state_dict_free(state_dict);

  EXPECT_ERROR(peft_model_delete_adapter(model, unknown, 2), PEFT_NOT_FOUND,
               "ADAPTER_NOT_FOUND");
  EXPECT_OK(peft_model_delete_adapter(model, both, 1));
  EXPECT(strcmp(Active(model), "german") == 0);
  EXPECT(strcmp(Loaded(model), "german") == 0);
  EXPECT_OK(peft_model_set_adapter(model, NULL, 0, NULL));
  EXPECT(strcmp(Active(model), "") == 0);
  peft_model_free(model);
}

static void TestLoadReport(void) {
  peft_load_report_t* report = NULL;
  peft_report_line_t line = PEFT_REPORT_LINE_INIT;
  peft_model_t* model = OpenBase();
  size_t lines;

  EXPECT_ERROR(
      peft_model_load_adapter(model, NULL, "/no/such/folder", NULL, &report),
      PEFT_NOT_FOUND, "FILE_NOT_FOUND");
  EXPECT(report == NULL);
  EXPECT_OK(peft_model_load_adapter(model, NULL, Path("adapters/german"), NULL,
                                    &report));
  EXPECT(strcmp(Loaded(model), "default") == 0);
  EXPECT(peft_load_report_num_sites(report) > 0);
  EXPECT(peft_load_report_num_parameters(report) > 0);
  EXPECT(peft_load_report_count(report, PEFT_REPORT_MATCHED) > 0);
  EXPECT(peft_load_report_count(report, PEFT_REPORT_MISSING) == 0);
  lines = peft_load_report_count(report, 0);
  EXPECT_OK(peft_load_report_get_line(report, 0, &line));
  EXPECT(line.kind >= PEFT_REPORT_MATCHED && line.kind <= PEFT_REPORT_NOTE);
  EXPECT(line.name != NULL && line.detail != NULL);
  EXPECT_ERROR(peft_load_report_get_line(report, lines, &line),
               PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT(line.name == NULL);
  peft_load_report_free(report);
  peft_model_free(model);
}

static void TestInspect(void) {
  peft_string_t* json = NULL;
  peft_model_t* model = OpenBase();

  EXPECT_OK(peft_inspect_adapter(Path("adapters/roman"), NULL, NULL, &json));
  EXPECT(strstr(peft_string_data(json), "\"peft_type\": \"LORA\"") != NULL);
  EXPECT(strlen(peft_string_data(json)) == peft_string_size(json));
  EXPECT(strstr(peft_string_data(json), "\"model\"") == NULL);
  peft_string_free(json);
  EXPECT_OK(peft_inspect_adapter(Path("adapters/roman"), NULL, model, &json));
  EXPECT(strstr(peft_string_data(json), "\"loads\": true") != NULL);
  peft_string_free(json);
  EXPECT_ERROR(peft_inspect_adapter(Path("base"), NULL, NULL, &json),
               PEFT_NOT_FOUND, "FILE_NOT_FOUND");
  EXPECT(json == NULL);
  peft_model_free(model);
}

/* "<bos> 1 2 3 4 =", and the tokens that answer it. */
static const int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};

static peft_forward_input_t Prompt(void) {
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kPrompt;
  input.batch = 1;
  input.length = NUMBER_OF(kPrompt);
  return input;
}

static int64_t ArgMax(const float* logits, int64_t size) {
  int64_t best = 0;
  int64_t i;
  for (i = 1; i < size; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

static void TestForward(void) {
  const peft_forward_input_t input = Prompt();
  peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
  peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
  peft_forward_input_t next = PEFT_FORWARD_INPUT_INIT;
  peft_session_t* session = NULL;
  peft_model_t* model = OpenBase();
  int64_t token;

  EXPECT_OK(peft_session_create(model, NULL, &session));
  EXPECT_OK(peft_session_forward(session, &input, NULL, &logits));
  EXPECT(logits.dtype == PEFT_DTYPE_F32 && logits.rank == 3);
  EXPECT(logits.sizes[0] == 1 && logits.sizes[1] == 6 && logits.sizes[2] == 56);
  EXPECT(peft_session_cache_length(session) == 6);
  token = ArgMax((const float*)logits.data + 5 * 56, 56);
  EXPECT(token == 30); /* the "o" of "one" */

  next.ids = &token;
  next.batch = 1;
  next.length = 1;
  EXPECT_OK(peft_session_forward(session, &next, NULL, &logits));
  EXPECT(logits.sizes[1] == 1);
  EXPECT(ArgMax((const float*)logits.data, 56) == 29); /* "n" */

  Load(model, "german");
  EXPECT_ERROR(peft_session_forward(session, &next, NULL, &logits),
               PEFT_FAILED_PRECONDITION, "ACTIVATION_CHANGED");
  EXPECT(logits.data == NULL && peft_session_cache_length(session) == 7);
  options.allow_activation_change = 1;
  EXPECT_OK(peft_session_forward(session, &next, &options, &logits));
  EXPECT_OK(peft_session_reset(session));
  EXPECT(peft_session_cache_length(session) == 0);

  /* The session keeps what it needs of the model. */
  peft_model_free(model);
  options.logits_to_keep = 1;
  EXPECT_OK(peft_session_forward(session, &input, &options, &logits));
  EXPECT(logits.sizes[1] == 1);
  EXPECT(ArgMax((const float*)logits.data, 56) == 20); /* "eintausend..." */
  peft_session_free(session);
}

/* Counts, and cancels at the third token. */
static int32_t CancelAtThird(void* user_data, int64_t row, int64_t token) {
  int* count = (int*)user_data;
  (void)row;
  (void)token;
  return ++*count == 3;
}

static void TestGenerate(void) {
  /* "one" and its space. */
  const int64_t stop[] = {20, 14};
  const size_t stop_length = 2;
  const peft_forward_input_t input = Prompt();
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  peft_generate_result_t* result = NULL;
  peft_session_t* session = NULL;
  peft_model_t* model = OpenBase();
  const int64_t* tokens;
  size_t num_tokens = 0;
  int count = 0;

  EXPECT_OK(peft_session_create(model, NULL, &session));
  EXPECT_OK(peft_session_generate(session, &input, NULL, &result));
  EXPECT(peft_generate_result_num_rows(result) == 1);
  EXPECT(peft_generate_result_tokens(result, 0, &num_tokens) != NULL);
  EXPECT(num_tokens == 20); /* the default */
  EXPECT(peft_generate_result_finish_reason(result, 0) == PEFT_FINISH_LENGTH);
  EXPECT(peft_generate_result_tokens(result, 1, &num_tokens) == NULL);
  EXPECT(num_tokens == 0);
  EXPECT(peft_generate_result_finish_reason(result, 1) == 0);
  peft_generate_result_free(result);

  options.max_new_tokens = 64;
  EXPECT_OK(peft_session_generate(session, &input, &options, &result));
  EXPECT(peft_generate_result_finish_reason(result, 0) == PEFT_FINISH_EOS);
  tokens = peft_generate_result_tokens(result, 0, &num_tokens);
  EXPECT(num_tokens > 0 && tokens[num_tokens - 1] == 2);
  peft_generate_result_free(result);

  options.stop_tokens = stop;
  options.stop_sequence_lengths = &stop_length;
  options.num_stop_sequences = 1;
  EXPECT_OK(peft_session_generate(session, &input, &options, &result));
  EXPECT(peft_generate_result_finish_reason(result, 0) == PEFT_FINISH_STOP);
  tokens = peft_generate_result_tokens(result, 0, &num_tokens);
  EXPECT(num_tokens == 4 && tokens[3] == 14);
  peft_generate_result_free(result);

  options.on_token = CancelAtThird;
  options.user_data = &count;
  EXPECT_ERROR(peft_session_generate(session, &input, &options, &result),
               PEFT_CANCELLED, "CANCELLED");
  EXPECT(result == NULL && count == 3);
  peft_session_free(session);
  peft_model_free(model);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: peft_c_test FOLDER\n");
    return 2;
  }
  g_folder = argv[1];
  TestBuildInfo();
  TestInitFunctionsWriteWhatTheMacrosDo();
  TestStateDict();
  TestModel();
  TestAdapterVerbs();
  TestLoadReport();
  TestInspect();
  TestForward();
  TestGenerate();
  return failures == 0 ? 0 : 1;
}
