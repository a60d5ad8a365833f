// Every allocation of a call that reads files fails once, the small ones of the
// parsers too: the call answers OUT_OF_MEMORY, leaves nothing behind, and works
// when memory is back. The same for files that are refused: memory can run out
// in the middle of the message.

#include <sys/stat.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/failing_allocations.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr char kAdapters[] = "examples/quickstart/adapters/";
constexpr char kAdapterData[] = "peft_cc/adapters/testdata/";
constexpr char kModelData[] = "peft_cc/models/testdata/models/";
constexpr char kTensorData[] = "peft_cc/tensors/testdata/";

std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// A new folder for the files of a test.
std::string MakeFolder(const std::string& name) {
  const std::string folder = testing::TempDir() + "oom_" + name;
  mkdir(folder.c_str(), 0700);
  return folder;
}

peft_model_t* OpenModel(const std::string& folder = kBase) {
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  peft_model_t* model = nullptr;
  EXPECT_PEFT_OK(peft_model_open(folder.c_str(), &options, &model));
  return model;
}

// -- State dicts --------------------------------------------------------------

void ReadStateDict(const std::string& path, const std::string& expected_id) {
  SCOPED_TRACE(path);
  FailEveryAllocationOf<peft_state_dict_t, peft_state_dict_free>(
      [&](peft_state_dict_t** out) {
        return peft_state_dict_read(path.c_str(), out);
      },
      expected_id);
}

TEST(OutOfMemoryFilesTest, ReadingTensors) {
  for (const char* name :
       {"zip.safetensors", "zip.bin", "zip_views.bin", "zip_parameters.bin",
        "zip_protocol5.bin", "zip_zip64.bin", "legacy.bin",
        "legacy_protocol4.bin", "legacy_views.bin"}) {
    ReadStateDict(std::string(kTensorData) + name, "");
  }
}

TEST(OutOfMemoryFilesTest, ReadingTensorsThatAreNotThere) {
  ReadStateDict("a/folder/that/is/not/there.safetensors", "FILE_NOT_FOUND");
}

TEST(OutOfMemoryFilesTest, ReadingTensorsThatAreCutShort) {
  const std::string path = MakeFolder("cut") + "/file";
  for (const char* name : {"zip.bin", "legacy.bin"}) {
    const std::string text = ReadText(std::string(kTensorData) + name);
    WriteText(path + ".bin", text.substr(0, text.size() * 2 / 3));
    ReadStateDict(path + ".bin", "TORCH_FILE");
  }
  const std::string text =
      ReadText(std::string(kTensorData) + "zip.safetensors");
  WriteText(path + ".safetensors", text.substr(0, text.size() / 2));
  ReadStateDict(path + ".safetensors", "SAFETENSORS");
}

TEST(OutOfMemoryFilesTest, ReadingTensorsOfAnotherProgram) {
  const std::string path = MakeFolder("pickle") + "/file.bin";
  std::string text = ReadText(std::string(kTensorData) + "zip.bin");
  const std::string global = "_rebuild_tensor_v2";
  ASSERT_NE(text.find(global), std::string::npos);
  text.replace(text.find(global), global.size(), "_rebuild_tensor_v9");
  WriteText(path, text);
  ReadStateDict(path, "PICKLE_REFUSED");
}

TEST(OutOfMemoryFilesTest, ReadingTensorsWithABadHeader) {
  const std::string path = MakeFolder("header") + "/file.safetensors";
  for (const std::string header :
       {R"({"a name":{"dtype":"F32","shape":[1],"offsets":[0,4]}})",
        R"({"a name":{"dtype":"F32","shape":[[[[)",
        R"({"a name which is long, even twice":{"dtype":"F32","shape":[1],)"
        R"("data_offsets":[0,4]},"a name which is long, even twice":{}})"}) {
    std::string text(8, '\0');
    text[0] = static_cast<char>(header.size());
    WriteText(path, text + header + "1234");
    ReadStateDict(path, "SAFETENSORS");
  }
}

// -- Adapters -----------------------------------------------------------------

void LoadAdapter(peft_model_t* model, const std::string& folder,
                 const std::string& expected_id, Steps steps = kMost) {
  SCOPED_TRACE(folder);
  const char* const name = "adapter";
  for (const auto after : {AfterFailure::kAllFail, AfterFailure::kNoneFails}) {
    peft_load_report_t* report = nullptr;
    FailEveryAllocation(
        steps, after, expected_id,
        [&] {
          peft_status_t* const status = peft_model_load_adapter(
              model, name, folder.c_str(), nullptr, &report);
          EXPECT_EQ(status == nullptr, report != nullptr);
          return status;
        },
        [&] {
          peft_load_report_free(report);
          if (expected_id.empty()) {
            EXPECT_PEFT_OK(peft_model_delete_adapter(model, &name, 1));
          }
        });
  }
}

TEST(OutOfMemoryFilesTest, LoadingAdapters) {
  const OwnedModel model(OpenModel());
  for (const char* name : {"german", "french", "roman"}) {
    LoadAdapter(model.get(), std::string(kAdapters) + name, "");
  }
}

TEST(OutOfMemoryFilesTest, LoadingASmallAdapter) {
  const OwnedModel model(OpenModel(std::string(kModelData) + "llama"));
  LoadAdapter(model.get(), "peft_cc/models/testdata/adapter", "", kAll);
}

TEST(OutOfMemoryFilesTest, LoadingAdaptersThatDoNotFit) {
  const OwnedModel model(OpenModel());
  LoadAdapter(model.get(), "a/folder/that/is/not/there", "FILE_NOT_FOUND");
  LoadAdapter(model.get(), std::string(kAdapterData) + "ia3",
              "TENSOR_SHAPE_MISMATCH");
  LoadAdapter(model.get(), std::string(kAdapterData) + "plain",
              "TENSOR_SHAPE_MISMATCH");
  LoadAdapter(model.get(), std::string(kAdapterData) + "bias_all",
              "TENSOR_SHAPE_MISMATCH");
}

TEST(OutOfMemoryFilesTest, LoadingAdaptersWithABadConfig) {
  const OwnedModel model(OpenModel());
  const std::string folder = MakeFolder("config");
  WriteText(
      folder + "/adapter_model.safetensors",
      ReadText(std::string(kAdapters) + "german/adapter_model.safetensors"));
  const std::pair<const char*, const char*> cases[] = {
      {R"({"peft_type": "LORA", "r": [[{"a": [1, {"b": )", "JSON"},
      {R"({"peft_type": "LORA", "r": [[{"a": {"b": ["a long text is here"]}}]],
           "target_modules": ["q_proj"]})",
       "ADAPTER_CONFIG"},
      {R"({"peft_type": "LORA", "a_key_that_is_not_known": {"a": [1, "b"]},
           "target_modules": ["q_proj"]})",
       "ADAPTER_CONFIG_UNKNOWN_KEY"},
      {R"({"peft_type": "LORA", "use_qalora": true, "target_modules": "q_proj"})",
       "ADAPTER_FEATURE_UNSUPPORTED"},
      {R"({"peft_type": "LOHA", "target_modules": "q_proj"})",
       "ADAPTER_METHOD_UNSUPPORTED"},
      {R"({"peft_type": "LORA", "target_modules": ".*[unfinished"})", "REGEX"},
      {R"({"peft_type": "LORA", "target_modules": "(?:[a-z0-9_.]+)+[#!]"})",
       "REGEX"},
      {R"({"peft_type": "LORA", "target_modules": ["no_such_module"]})",
       "NO_TARGET_MATCHED"},
      {R"({"peft_type": "LORA", "target_modules": ["q_proj"]})",
       "TENSOR_SHAPE_MISMATCH"}};
  for (const auto& [config, id] : cases) {
    SCOPED_TRACE(config);
    WriteText(folder + "/adapter_config.json", config);
    LoadAdapter(model.get(), folder, id);
  }
}

// The files of an adapter's folder, in memory that outlives them.
std::vector<peft_file_t> FilesInMemory(
    const std::map<std::string, std::string>& contents) {
  std::vector<peft_file_t> files;
  for (const auto& [name, text] : contents) {
    peft_file_t file = PEFT_FILE_INIT;
    file.name = name.c_str();
    file.kind = PEFT_FILE_MEMORY;
    file.data = text.data();
    file.size = static_cast<int64_t>(text.size());
    files.push_back(file);
  }
  return files;
}

TEST(OutOfMemoryFilesTest, LoadingGivenFiles) {
  const OwnedModel model(OpenModel());
  std::map<std::string, std::string> contents;
  for (const char* name :
       {"adapter_config.json", "adapter_model.safetensors"}) {
    contents[name] = ReadText(std::string(kAdapters) + "german/" + name);
  }
  const std::vector<peft_file_t> files = FilesInMemory(contents);
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  options.files = files.data();
  options.num_files = files.size();
  const char* const name = "adapter";
  FailEveryAllocation(
      kMost, AfterFailure::kNoneFails, "",
      [&] {
        return peft_model_load_adapter(model.get(), name, nullptr, &options,
                                       nullptr);
      },
      [&] {
        EXPECT_PEFT_OK(peft_model_delete_adapter(model.get(), &name, 1));
      });
  FailEveryAllocationOf<peft_string_t, peft_string_free>(
      [&](peft_string_t** out) {
        return peft_inspect_files(files.data(), files.size(), nullptr, out);
      },
      "", kSome);
}

void InspectAdapter(const std::string& folder, const peft_model_t* model,
                    const std::string& expected_id, Steps steps = kMost) {
  SCOPED_TRACE(folder);
  FailEveryAllocationOf<peft_string_t, peft_string_free>(
      [&](peft_string_t** out) {
        return peft_inspect_adapter(folder.c_str(), nullptr, model, out);
      },
      expected_id, steps);
}

TEST(OutOfMemoryFilesTest, InspectingAdapters) {
  const OwnedModel model(OpenModel());
  InspectAdapter(std::string(kAdapterData) + "rslora_patterns", nullptr, "",
                 kAll);
  InspectAdapter(std::string(kAdapterData) + "bias_all", model.get(), "");
  InspectAdapter(std::string(kAdapterData) + "prompt_tuning", nullptr, "");
  InspectAdapter("a/folder/that/is/not/there", nullptr, "FILE_NOT_FOUND");
}

// -- Models -------------------------------------------------------------------

void OpenModel(const std::string& folder, const std::string& expected_id,
               Steps steps = kMost) {
  SCOPED_TRACE(folder);
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  FailEveryAllocationOf<peft_model_t, peft_model_free>(
      [&](peft_model_t** out) {
        return peft_model_open(folder.c_str(), &options, out);
      },
      expected_id, steps);
}

TEST(OutOfMemoryFilesTest, OpeningModels) {
  OpenModel(std::string(kModelData) + "llama_bf16", "", kAll);
  OpenModel(std::string(kModelData) + "mistral_sliding_old_style", "");
  OpenModel(std::string(kModelData) + "qwen2_sliding_sharded", "");
}

TEST(OutOfMemoryFilesTest, OpeningAModelWithANewHead) {
  const std::string adapter = std::string(kAdapters) + "german";
  const char* const for_adapters = adapter.c_str();
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  options.task = PEFT_TASK_TOKEN_CLASSIFICATION;
  options.for_adapters = &for_adapters;
  options.num_for_adapters = 1;
  FailEveryAllocationOf<peft_model_t, peft_model_free>([&](peft_model_t** out) {
    return peft_model_open(kBase, &options, out);
  });
}

TEST(OutOfMemoryFilesTest, OpeningGivenFiles) {
  std::map<std::string, std::string> contents;
  for (const char* name : {"config.json", "model.safetensors"}) {
    contents[name] = ReadText(std::string(kModelData) + "llama_bf16/" + name);
  }
  const std::vector<peft_file_t> files = FilesInMemory(contents);
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  options.files = files.data();
  options.num_files = files.size();
  FailEveryAllocationOf<peft_model_t, peft_model_free>([&](peft_model_t** out) {
    return peft_model_open(nullptr, &options, out);
  });
}

TEST(OutOfMemoryFilesTest, OpeningModelsThatAreNoModels) {
  OpenModel("a/folder/that/is/not/there", "FILE_NOT_FOUND");
  const std::string folder = MakeFolder("model");
  for (const auto& [config, id] :
       {std::make_pair("{\"model_type\": [[{\"a\": [", "JSON"),
        std::make_pair("{\"model_type\": \"an_unknown_type\"}",
                       "MODEL_UNSUPPORTED"),
        std::make_pair("{\"model_type\": \"llama\", \"hidden_size\": [[4]]}",
                       "MODEL_CONFIG")}) {
    WriteText(folder + "/config.json", config);
    OpenModel(folder, id);
  }
  WriteText(folder + "/config.json",
            ReadText(std::string(kModelData) + "llama/config.json"));
  OpenModel(folder, "FILE_NOT_FOUND");
}

}  // namespace
}  // namespace peft
