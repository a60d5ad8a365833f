// What options say about the Hub, checked and never silent. No request is made:
// testing/hub_ids_test.py has a Hub to ask.

#include <cstddef>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr char kGerman[] = "examples/quickstart/adapters/german";
constexpr char kNoFolder[] = "no/such/folder";

int32_t NeverCalled(void*, int64_t, int64_t, int64_t, int64_t) {
  ADD_FAILURE() << "nothing is fetched here";
  return 0;
}

peft_model_options_t ModelDefaults() { return PEFT_MODEL_OPTIONS_INIT; }
peft_load_options_t LoadDefaults() { return PEFT_LOAD_OPTIONS_INIT; }

Outcome Open(const char* path, const peft_model_options_t& options) {
  peft_model_t* model = nullptr;
  const Outcome outcome = Take(peft_model_open(path, &options, &model));
  EXPECT_EQ(outcome.ok(), model != nullptr);
  peft_model_free(model);
  return outcome;
}

Outcome FetchAdapter(const char* path, const peft_load_options_t& options) {
  peft_string_t* folder = nullptr;
  const Outcome outcome = Take(peft_fetch_adapter(path, &options, &folder));
  EXPECT_EQ(outcome.ok(), folder != nullptr);
  peft_string_free(folder);
  return outcome;
}

// Each field that both structs have, set wrongly.
template <typename Options>
void ExpectFieldsAreChecked(Options (*defaults)(),
                            Outcome (*call)(const char*, const Options&),
                            const char* path) {
  const auto expect_refused = [&](const char* id, auto set) {
    Options options = defaults();
    set(options);
    const Outcome outcome = call(path, options);
    EXPECT_EQ(outcome.code, PEFT_INVALID_ARGUMENT) << outcome;
    EXPECT_EQ(outcome.id, id) << outcome;
    EXPECT_EQ(outcome.message.find("secret"), std::string::npos) << outcome;
  };
  expect_refused("ARGUMENT", [](auto& options) { options.revision = ""; });
  expect_refused("ARGUMENT", [](auto& options) { options.token = ""; });
  expect_refused("ARGUMENT", [](auto& options) { options.cache_dir = ""; });
  expect_refused("ARGUMENT", [](auto& options) { options.endpoint = ""; });
  expect_refused("UTF8", [](auto& options) { options.token = "\xff"; });
  expect_refused("UTF8", [](auto& options) { options.endpoint = "\xff"; });
  expect_refused("ARGUMENT",
                 [](auto& options) { options.local_files_only = 2; });
  expect_refused("ARGUMENT",
                 [](auto& options) { options.force_download = -1; });
  expect_refused("ARGUMENT", [](auto& options) { options.num_proxies = 1; });
  static const char* const proxies[] = {"ftp=http://secret"};
  expect_refused("ARGUMENT", [](auto& options) {
    options.proxies = proxies;
    options.num_proxies = 1;
  });
  expect_refused("ARGUMENT", [](auto& options) {
    options.proxies = proxies;
    options.num_proxies = ~size_t{0};
  });
}

TEST(HubOptionsTest, FieldsAreCheckedAlsoForLocalFolders) {
  ExpectFieldsAreChecked(ModelDefaults, Open, kBase);
  ExpectFieldsAreChecked(LoadDefaults, FetchAdapter, kGerman);
}

TEST(HubOptionsTest, FieldsOfModelsAloneAreCheckedToo) {
  peft_model_options_t options = ModelDefaults();
  options.adapter_revision = "";
  EXPECT_EQ(Open(kBase, options).id, "ARGUMENT");
  options = ModelDefaults();
  options.adapter_subfolder = "\xff";
  EXPECT_EQ(Open(kBase, options).id, "UTF8");
  options = ModelDefaults();
  options.subfolder = "../base";
  EXPECT_EQ(Open("examples/quickstart", options).id, "PATH_ESCAPES");
  options.subfolder = "base";
  EXPECT_TRUE(Open("examples/quickstart", options).ok());
}

TEST(HubOptionsTest, AModelNeedsANameOrAnAdapterThatNamesIt) {
  peft_model_options_t options = ModelDefaults();
  EXPECT_EQ(Open(nullptr, options).id, "UTF8");
  EXPECT_EQ(Open("", options).id, "ARGUMENT");
  const char* const adapter = kGerman;
  options.for_adapters = &adapter;
  options.num_for_adapters = 1;
  const Outcome outcome = Open(nullptr, options);
  EXPECT_EQ(outcome.code, PEFT_NOT_FOUND) << outcome;
  EXPECT_NE(outcome.message.find("../../base"), std::string::npos) << outcome;
  EXPECT_EQ(Open("", options).id, "ARGUMENT");
}

// What these structs were before they had all of their fields.
TEST(HubOptionsTest, StructsOfOlderProgramsHaveDefaults) {
  peft_load_options_t load = LoadDefaults();
  load.struct_size = offsetof(peft_load_options_t, endpoint);
  load.endpoint = "";
  EXPECT_TRUE(FetchAdapter(kGerman, load).ok());
  peft_model_options_t model = ModelDefaults();
  model.struct_size = offsetof(peft_model_options_t, subfolder);
  model.revision = "";
  model.local_files_only = 7;
  EXPECT_TRUE(Open(kBase, model).ok());
}

TEST(HubOptionsTest, AFolderIsFoundWithoutTheHub) {
  peft_load_options_t load = LoadDefaults();
  load.on_download = NeverCalled;
  EXPECT_TRUE(FetchAdapter(kGerman, load).ok());
  EXPECT_EQ(FetchAdapter(kNoFolder, load).id, "FILE_NOT_FOUND");
  load.expected_generation = 1;
  EXPECT_EQ(FetchAdapter(kGerman, load).id, "ARGUMENT");
  peft_model_options_t model = ModelDefaults();
  model.on_download = NeverCalled;
  peft_string_t* folder = nullptr;
  EXPECT_PEFT_OK(peft_fetch_model(kBase, &model, &folder));
  EXPECT_STREQ(peft_string_data(folder), kBase);
  peft_string_free(folder);
  EXPECT_PEFT_ERROR(peft_fetch_model(kNoFolder, &model, &folder),
                    PEFT_NOT_FOUND, "FILE_NOT_FOUND");
  EXPECT_EQ(folder, nullptr);
  EXPECT_PEFT_ERROR(peft_fetch_model(kBase, &model, nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_fetch_adapter(nullptr, nullptr, &folder),
                    PEFT_INVALID_ARGUMENT, "UTF8");
}

void KeepLine(void* user_data, int32_t, const char* line) {
  static_cast<std::string*>(user_data)->append(line);
}

TEST(HubOptionsTest, OptionsWithoutEffectAreLogged) {
  std::string log;
  peft_set_logger(KeepLine, &log);
  peft_model_options_t options = ModelDefaults();
  options.revision = "main";
  options.token = "secret";
  EXPECT_TRUE(Open(kBase, options).ok());
  peft_set_logger(nullptr, nullptr);
  EXPECT_NE(log.find("without effect are revision, token"), std::string::npos)
      << log;
}

TEST(HubOptionsTest, ALoadReportsOptionsWithoutEffect) {
  peft_model_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_model_open(kBase, nullptr, &handle));
  const Owned<peft_model_t, peft_model_free> model(handle);
  peft_load_options_t options = LoadDefaults();
  options.revision = "main";
  options.token = "secret";
  const auto load = [&](const char* path, peft_load_report_t** report) {
    return Take(
        peft_model_load_adapter(model.get(), "a", path, &options, report));
  };
  // The test runs with HF_HUB_OFFLINE.
  const Outcome absent = load("owner/absent", nullptr);
  EXPECT_EQ(absent.code, PEFT_NOT_FOUND) << absent;
  EXPECT_EQ(absent.id, "HUB_LOCAL_ENTRY_NOT_FOUND") << absent;
  EXPECT_EQ(load(kNoFolder, nullptr).id, "FILE_NOT_FOUND");
  peft_load_report_t* lines = nullptr;
  ASSERT_TRUE(load(kGerman, &lines).ok());
  const Owned<peft_load_report_t, peft_load_report_free> report(lines);
  std::string notes;
  for (size_t i = 0; i < peft_load_report_count(report.get(), 0); ++i) {
    peft_report_line_t line = PEFT_REPORT_LINE_INIT;
    ASSERT_PEFT_OK(peft_load_report_get_line(report.get(), i, &line));
    if (line.kind == PEFT_REPORT_NOTE) notes += line.detail;
  }
  EXPECT_NE(notes.find("without effect are revision, token"), std::string::npos)
      << notes;
}

// The test runs with HF_HUB_OFFLINE.
TEST(HubOptionsTest, AnIdThatCannotBeFetchedIsNamed) {
  peft_load_options_t load = LoadDefaults();
  load.cache_dir = "/no/such/cache";
  const Outcome adapter = FetchAdapter("owner/name", load);
  EXPECT_EQ(adapter.code, PEFT_NOT_FOUND) << adapter;
  EXPECT_EQ(adapter.id, "HUB_LOCAL_ENTRY_NOT_FOUND") << adapter;
  EXPECT_NE(adapter.message.find("owner/name"), std::string::npos) << adapter;
  peft_model_options_t model = ModelDefaults();
  model.cache_dir = "/no/such/cache";
  model.local_files_only = 1;
  EXPECT_EQ(Open("gpt2", model).id, "HUB_LOCAL_ENTRY_NOT_FOUND");
}

}  // namespace
}  // namespace peft
