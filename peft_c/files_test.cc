// Models and adapters from files that are in no folder.

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base/";
constexpr char kAdapter[] = "examples/quickstart/adapters/german/";

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The bytes of a folder's files, by name.
using Files = std::map<std::string, std::string>;

Files FilesOf(const std::string& folder,
              const std::vector<std::string>& names) {
  Files files;
  for (const std::string& name : names) files[name] = Contents(folder + name);
  return files;
}

Files BaseFiles() {
  return FilesOf(kBase, {"config.json", "model.safetensors"});
}

Files AdapterFiles() {
  return FilesOf(kAdapter,
                 {"adapter_config.json", "adapter_model.safetensors"});
}

std::vector<peft_file_t> InMemory(const Files& files, int32_t copy = 1) {
  std::vector<peft_file_t> result;
  for (const auto& [name, bytes] : files) {
    peft_file_t file = PEFT_FILE_INIT;
    file.name = name.c_str();
    file.kind = PEFT_FILE_MEMORY;
    file.data = bytes.data();
    file.size = static_cast<int64_t>(bytes.size());
    file.copy_data = copy;
    result.push_back(file);
  }
  return result;
}

// The same bytes, one file after another in one, as packaged assets are.
class Package {
 public:
  explicit Package(const Files& files)
      : path_(testing::TempDir() + "/package") {
    std::ofstream out(path_, std::ios::binary);
    for (const auto& [name, bytes] : files) {
      out << "something else";
      peft_file_t file = PEFT_FILE_INIT;
      file.name = name.c_str();
      file.kind = PEFT_FILE_FD;
      file.offset = out.tellp();
      file.size = static_cast<int64_t>(bytes.size());
      files_.push_back(file);
      out << bytes;
    }
    out.close();
    fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    for (peft_file_t& file : files_) file.fd = fd_;
  }
  ~Package() { close(fd_); }
  std::vector<peft_file_t>& files() { return files_; }

 private:
  std::string path_;
  int fd_ = -1;
  std::vector<peft_file_t> files_;
};

// Gives a few bytes at a time.
int64_t ReadSome(void* user_data, int64_t offset, void* buffer, int64_t size) {
  const auto& bytes = *static_cast<const std::string*>(user_data);
  const int64_t count = size < 1000 ? size : 1000;
  std::memcpy(buffer, bytes.data() + offset, static_cast<size_t>(count));
  return count;
}

std::vector<peft_file_t> BehindFunctions(const Files& files) {
  std::vector<peft_file_t> result;
  for (const auto& [name, bytes] : files) {
    peft_file_t file = PEFT_FILE_INIT;
    file.name = name.c_str();
    file.kind = PEFT_FILE_READ;
    file.size = static_cast<int64_t>(bytes.size());
    file.read = ReadSome;
    file.user_data = const_cast<std::string*>(&bytes);
    result.push_back(file);
  }
  return result;
}

Outcome Open(const std::vector<peft_file_t>& files, OwnedModel* out,
             int32_t read_mode = PEFT_READ_MODE_MAP,
             const char* path = nullptr) {
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.files = files.data();
  options.num_files = files.size();
  options.read_mode = read_mode;
  peft_model_t* model = nullptr;
  const Outcome outcome = Take(peft_model_open(path, &options, &model));
  out->reset(model);
  return outcome;
}

Outcome Load(peft_model_t* model, const std::vector<peft_file_t>& files,
             int32_t map_file = 0, const char* path = nullptr) {
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  options.files = files.data();
  options.num_files = files.size();
  options.map_file = map_file;
  return Take(
      peft_model_load_adapter(model, "german", path, &options, nullptr));
}

// The logits of a prompt, which tell models and adapters apart.
std::vector<float> Logits(peft_model_t* model) {
  peft_session_t* session = nullptr;
  EXPECT_PEFT_OK(peft_session_create(model, nullptr, &session));
  const OwnedSession owned(session);
  const int64_t prompt[] = {1, 7, 5, 3, 10, 13};
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = prompt;
  input.batch = 1;
  input.length = 6;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  EXPECT_PEFT_OK(peft_session_forward(session, &input, nullptr, &view));
  if (view.rank != 3) return {};
  const auto* const data = static_cast<const float*>(view.data);
  return std::vector<float>(data, data + view.sizes[1] * view.sizes[2]);
}

std::vector<float> ExpectedLogits() {
  peft_model_t* model = nullptr;
  EXPECT_PEFT_OK(peft_model_open("examples/quickstart/base", nullptr, &model));
  const OwnedModel owned(model);
  EXPECT_PEFT_OK(peft_model_load_adapter(model, "german",
                                         "examples/quickstart/adapters/german",
                                         nullptr, nullptr));
  return Logits(model);
}

TEST(FilesTest, AModelAndAnAdapterInMemory) {
  for (const int32_t copy : {0, 1}) {
    Files base = BaseFiles();
    Files adapter = AdapterFiles();
    OwnedModel model;
    const Outcome opened = Open(InMemory(base, copy), &model);
    ASSERT_TRUE(opened.ok()) << opened;
    const Outcome loaded = Load(model.get(), InMemory(adapter, copy));
    ASSERT_TRUE(loaded.ok()) << loaded;
    if (copy == 1) base.clear();
    if (copy == 1) adapter.clear();
    EXPECT_EQ(Logits(model.get()), ExpectedLogits());
  }
}

TEST(FilesTest, PartsOfAnOpenFile) {
  for (const int32_t mode : {PEFT_READ_MODE_MAP, PEFT_READ_MODE_READ}) {
    OwnedModel model;
    const Files base = BaseFiles();
    const Files adapter = AdapterFiles();
    {
      Package package(base);
      const Outcome opened = Open(package.files(), &model, mode);
      ASSERT_TRUE(opened.ok()) << opened;
    }
    {
      Package package(adapter);
      const Outcome loaded =
          Load(model.get(), package.files(), mode == PEFT_READ_MODE_MAP);
      ASSERT_TRUE(loaded.ok()) << loaded;
    }
    EXPECT_EQ(Logits(model.get()), ExpectedLogits());
  }
}

TEST(FilesTest, BehindAFunction) {
  OwnedModel model;
  {
    const Files base = BaseFiles();
    const Outcome opened = Open(BehindFunctions(base), &model);
    ASSERT_TRUE(opened.ok()) << opened;
  }
  {
    const Files adapter = AdapterFiles();
    const Outcome loaded = Load(model.get(), BehindFunctions(adapter));
    ASSERT_TRUE(loaded.ok()) << loaded;
  }
  EXPECT_EQ(Logits(model.get()), ExpectedLogits());
}

TEST(FilesTest, ReplaceEstimateAndInspectTakeThemToo) {
  const Files base = BaseFiles();
  const Files adapter = AdapterFiles();
  OwnedModel model;
  ASSERT_TRUE(Open(InMemory(base), &model).ok());
  ASSERT_TRUE(Load(model.get(), InMemory(adapter)).ok());
  const std::vector<peft_file_t> files = InMemory(adapter);
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  options.files = files.data();
  options.num_files = files.size();
  EXPECT_PEFT_OK(peft_model_replace_adapter(model.get(), "german", nullptr,
                                            &options, nullptr));
  peft_adapter_estimate_t estimate = PEFT_ADAPTER_ESTIMATE_INIT;
  ASSERT_PEFT_OK(peft_estimate_files(files.data(), files.size(), &estimate));
  EXPECT_EQ(
      estimate.file_bytes,
      static_cast<int64_t>(adapter.at("adapter_model.safetensors").size()));
  peft_string_t* json = nullptr;
  ASSERT_PEFT_OK(
      peft_inspect_files(files.data(), files.size(), model.get(), &json));
  const OwnedString owned(json);
  EXPECT_NE(std::strstr(peft_string_data(json), "\"loads\":true"), nullptr)
      << peft_string_data(json);
  peft_string_t* source = nullptr;
  ASSERT_PEFT_OK(peft_model_get_adapter_source(model.get(), "german", &source));
  const OwnedString owned_source(source);
  EXPECT_STREQ(peft_string_data(source), "");
}

// Also the small files, which a program may have freed by then.
TEST(FilesTest, AMergedModelIsWrittenFromThem) {
  OwnedModel model;
  {
    const Files base = BaseFiles();
    ASSERT_TRUE(Open(InMemory(base), &model).ok());
    const Files adapter = AdapterFiles();
    ASSERT_TRUE(Load(model.get(), InMemory(adapter)).ok());
  }
  const std::string path = testing::TempDir() + "/merged";
  ASSERT_PEFT_OK(
      peft_model_merge_and_unload(model.get(), path.c_str(), nullptr));
  EXPECT_EQ(Contents(path + "/config.json"),
            Contents(std::string(kBase) + "config.json"));
}

TEST(FilesTest, AMissingFileIsNamed) {
  Files base = BaseFiles();
  base.erase("model.safetensors");
  OwnedModel model;
  const Outcome outcome = Open(InMemory(base), &model);
  EXPECT_EQ(outcome.id, "FILE_NOT_FOUND") << outcome;
  EXPECT_NE(outcome.message.find("the program's files"), std::string::npos);
}

TEST(FilesTest, AFileThatIsCutShortIsAnErrorByName) {
  OwnedModel model;
  const Files base = BaseFiles();
  ASSERT_TRUE(Open(InMemory(base), &model).ok());
  const Files adapter = AdapterFiles();
  std::vector<peft_file_t> cut = InMemory(adapter);
  cut[1].size -= 1;
  EXPECT_EQ(Load(model.get(), cut).id, "SAFETENSORS");
  Package package(adapter);
  for (const int32_t map_file : {0, 1}) {
    package.files()[1].offset += 1;  // its end is behind the package's
    const Outcome outcome = Load(model.get(), package.files(), map_file);
    EXPECT_EQ(outcome.id, "FILE_READ") << outcome;
    EXPECT_EQ(outcome.code, PEFT_DATA_LOSS);
    EXPECT_EQ(outcome.subject, "adapter_model.safetensors");
  }
}

TEST(FilesTest, AFunctionThatFailsIsAnErrorByName) {
  OwnedModel model;
  const Files base = BaseFiles();
  ASSERT_TRUE(Open(InMemory(base), &model).ok());
  const Files adapter = AdapterFiles();
  const auto load = [&](peft_read_fn read) {
    std::vector<peft_file_t> files = BehindFunctions(adapter);
    files[1].read = read;
    return Load(model.get(), files);
  };
  for (const peft_read_fn bad : std::initializer_list<peft_read_fn>{
           [](void*, int64_t, void*, int64_t) { return int64_t{0}; },
           [](void*, int64_t, void*, int64_t) { return int64_t{-5}; },
           [](void*, int64_t, void*, int64_t size) { return size + 1; },
           [](void*, int64_t, void*, int64_t) -> int64_t { throw 1; }}) {
    const Outcome outcome = load(bad);
    EXPECT_EQ(outcome.id, "FILE_READ") << outcome;
    EXPECT_EQ(outcome.subject, "adapter_model.safetensors");
  }
}

TEST(FilesTest, FieldsThatAreWrongAreNamed) {
  const Files adapter = AdapterFiles();
  const auto subject = [&](auto change) {
    std::vector<peft_file_t> files = InMemory(adapter);
    change(files[1]);
    peft_adapter_estimate_t estimate = PEFT_ADAPTER_ESTIMATE_INIT;
    const Outcome outcome =
        Take(peft_estimate_files(files.data(), files.size(), &estimate));
    EXPECT_EQ(outcome.code, PEFT_INVALID_ARGUMENT) << outcome;
    return outcome.subject;
  };
  using File = peft_file_t;
  EXPECT_EQ(subject([](File& file) { file.kind = 0; }), "files[1].kind");
  EXPECT_EQ(subject([](File& file) { file.size = -1; }), "files[1].size");
  EXPECT_EQ(subject([](File& file) { file.data = nullptr; }), "files[1].data");
  EXPECT_EQ(subject([](File& file) { file.copy_data = 2; }),
            "files[1].copy_data");
  EXPECT_EQ(subject([](File& file) { file.kind = PEFT_FILE_READ; }),
            "files[1].read");
  EXPECT_EQ(subject([](File& file) { file.kind = PEFT_FILE_FD; }),
            "files[1].fd");
  EXPECT_EQ(subject([](File& file) {
              file.kind = PEFT_FILE_FD;
              file.fd = 0;
              file.offset = -1;
            }),
            "files[1].offset");
  EXPECT_EQ(subject([](File& file) { file.name = "adapter_config.json"; }),
            "files[1].name");
  EXPECT_EQ(subject([](File& file) { file.name = "../x"; }), "../x");
  EXPECT_EQ(subject([](File& file) { file.name = nullptr; }), "files[1].name");
  EXPECT_EQ(subject([](File& file) { file.struct_size += 8; }),
            "files[1].struct_size");
}

TEST(FilesTest, TheyStandForAPath) {
  OwnedModel model;
  const Files base = BaseFiles();
  ASSERT_TRUE(
      Open(InMemory(base), &model, PEFT_READ_MODE_MAP, "my-model").ok());
  const Files adapter = AdapterFiles();
  EXPECT_EQ(Load(model.get(), InMemory(adapter), 0, "a/path").subject, "path");
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  const std::vector<peft_file_t> files = InMemory(adapter);
  options.files = files.data();
  options.num_files = files.size();
  options.revision = "main";
  EXPECT_PEFT_ERROR(
      peft_model_load_adapter(model.get(), "a", nullptr, &options, nullptr),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  peft_string_t* folder = nullptr;
  EXPECT_PEFT_ERROR(peft_fetch_adapter("x", &options, &folder),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  peft_model_options_t model_options = PEFT_MODEL_OPTIONS_INIT;
  model_options.files = files.data();
  model_options.num_files = files.size();
  peft_model_t* host = nullptr;
  EXPECT_PEFT_ERROR(peft_model_create(nullptr, 0, &model_options, &host),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

}  // namespace
}  // namespace peft
