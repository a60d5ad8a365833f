/* Each noun of peft_c.h but sessions, used from plain C99 against the shared
 * library.
 *
 *   peft_c_test FOLDER   with the quickstart's base/ and adapters/
 */
#include <math.h>
#include <stdlib.h>

#include "peft_c/c_test_util.h"

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

/* The function writes what the macro does; static, so that padding is zero. */
#define EXPECT_SAME_DEFAULTS(type, function, macro)      \
  do {                                                   \
    static const type wanted = macro;                    \
    type made;                                           \
    function(&made, sizeof(made));                       \
    EXPECT(memcmp(&made, &wanted, sizeof(wanted)) == 0); \
  } while (0)

static void TestDefaults(void) {
  EXPECT_SAME_DEFAULTS(peft_tensor_view_t, peft_tensor_view_init,
                       PEFT_TENSOR_VIEW_INIT);
  EXPECT_SAME_DEFAULTS(peft_model_options_t, peft_model_options_init,
                       PEFT_MODEL_OPTIONS_INIT);
  EXPECT_SAME_DEFAULTS(peft_load_options_t, peft_load_options_init,
                       PEFT_LOAD_OPTIONS_INIT);
  EXPECT_SAME_DEFAULTS(peft_set_adapter_options_t,
                       peft_set_adapter_options_init,
                       PEFT_SET_ADAPTER_OPTIONS_INIT);
  EXPECT_SAME_DEFAULTS(peft_add_adapter_options_t,
                       peft_add_adapter_options_init,
                       PEFT_ADD_ADAPTER_OPTIONS_INIT);
  EXPECT_SAME_DEFAULTS(peft_save_options_t, peft_save_options_init,
                       PEFT_SAVE_OPTIONS_INIT);
  EXPECT_SAME_DEFAULTS(peft_session_options_t, peft_session_options_init,
                       PEFT_SESSION_OPTIONS_INIT);
  EXPECT_SAME_DEFAULTS(peft_forward_input_t, peft_forward_input_init,
                       PEFT_FORWARD_INPUT_INIT);
  EXPECT_SAME_DEFAULTS(peft_forward_options_t, peft_forward_options_init,
                       PEFT_FORWARD_OPTIONS_INIT);
  EXPECT_SAME_DEFAULTS(peft_generate_options_t, peft_generate_options_init,
                       PEFT_GENERATE_OPTIONS_INIT);
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

static int32_t OnDownload(void* user_data, int64_t bytes, int64_t total_bytes,
                          int64_t files, int64_t total_files) {
  (void)bytes, (void)total_bytes, (void)files, (void)total_files;
  ++*(int*)user_data;
  return 0;
}

static void TestFetch(void) {
  int calls = 0;
  peft_load_options_t load = PEFT_LOAD_OPTIONS_INIT;
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  peft_string_t* folder = NULL;

  load.on_download = options.on_download = OnDownload;
  load.user_data = options.user_data = &calls;
  EXPECT_OK(peft_fetch_adapter(Path("adapters/roman"), &load, &folder));
  EXPECT(strcmp(peft_string_data(folder), Path("adapters/roman")) == 0);
  peft_string_free(folder);
  EXPECT_OK(peft_fetch_model(Path("base"), &options, &folder));
  EXPECT(strcmp(peft_string_data(folder), Path("base")) == 0);
  peft_string_free(folder);
  EXPECT_ERROR(peft_fetch_adapter("a..b/c", &load, &folder), PEFT_NOT_FOUND,
               "FILE_NOT_FOUND");
  EXPECT(folder == NULL);
  EXPECT(calls == 0);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: peft_c_test FOLDER\n");
    return 2;
  }
  g_folder = argv[1];
  TestBuildInfo();
  TestDefaults();
  TestStateDict();
  TestModel();
  TestAdapterVerbs();
  TestLoadReport();
  TestInspect();
  TestFetch();
  return failures == 0 ? 0 : 1;
}
