#include "peft_c/state_dict.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

std::string TempPath(const std::string& name) {
  const char* const folder = std::getenv("TEST_TMPDIR");
  return std::string(folder == nullptr ? "/tmp" : folder) + "/" + name;
}

OwnedStateDict NewStateDict() {
  peft_state_dict_t* handle = nullptr;
  EXPECT_PEFT_OK(peft_state_dict_create(&handle));
  return OwnedStateDict(handle);
}

peft_status_t* SetVector(const OwnedStateDict& state_dict, const char* name,
                         const std::vector<float>& values) {
  const int64_t size = static_cast<int64_t>(values.size());
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = values.data();
  view.dtype = PEFT_DTYPE_F32;
  view.rank = 1;
  view.sizes = &size;
  return peft_state_dict_set(state_dict.get(), name, &view);
}

std::vector<float> GetVector(const OwnedStateDict& state_dict,
                             const char* name) {
  peft_tensor_t* handle = nullptr;
  EXPECT_PEFT_OK(peft_state_dict_get(state_dict.get(), name, &handle));
  const OwnedTensor tensor(handle);
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  EXPECT_PEFT_OK(peft_tensor_get_view(tensor.get(), &view));
  if (view.dtype != PEFT_DTYPE_F32 || view.rank != 1) return {};
  const auto* data = static_cast<const float*>(view.data);
  return std::vector<float>(data, data + view.sizes[0]);
}

TEST(StateDictTest, BeginsEmpty) {
  const OwnedStateDict state_dict = NewStateDict();
  EXPECT_EQ(peft_state_dict_size(state_dict.get()), 0u);
  EXPECT_EQ(peft_state_dict_name(state_dict.get(), 0), nullptr);
}

TEST(StateDictTest, NamesComeInOrder) {
  const OwnedStateDict state_dict = NewStateDict();
  EXPECT_PEFT_OK(SetVector(state_dict, "b", {2}));
  EXPECT_PEFT_OK(SetVector(state_dict, "a", {1}));
  EXPECT_STREQ(peft_state_dict_name(state_dict.get(), 0), "a");
  EXPECT_PEFT_OK(SetVector(state_dict, "0", {0}));
  EXPECT_STREQ(peft_state_dict_name(state_dict.get(), 0), "0");
  EXPECT_STREQ(peft_state_dict_name(state_dict.get(), 2), "b");
  EXPECT_EQ(peft_state_dict_name(state_dict.get(), 3), nullptr);
}

TEST(StateDictTest, SetRefusesNamesThatNoFileCanHold) {
  const OwnedStateDict state_dict = NewStateDict();
  for (const char* name : {"", "__metadata__"}) {
    EXPECT_PEFT_ERROR(SetVector(state_dict, name, {1}), PEFT_INVALID_ARGUMENT,
                      "ARGUMENT");
  }
  EXPECT_EQ(peft_state_dict_size(state_dict.get()), 0u);
}

TEST(StateDictTest, SetReplacesAndTensorsOutliveIt) {
  const OwnedStateDict state_dict = NewStateDict();
  EXPECT_PEFT_OK(SetVector(state_dict, "a", {1, 2}));
  peft_tensor_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_get(state_dict.get(), "a", &handle));
  const OwnedTensor old_tensor(handle);
  EXPECT_PEFT_OK(SetVector(state_dict, "a", {3}));
  EXPECT_EQ(GetVector(state_dict, "a"), std::vector<float>({3}));
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  ASSERT_PEFT_OK(peft_tensor_get_view(old_tensor.get(), &view));
  EXPECT_EQ(static_cast<const float*>(view.data)[1], 2);
}

TEST(StateDictTest, AMissingNameIsNotFound) {
  const OwnedStateDict state_dict = NewStateDict();
  auto* tensor = reinterpret_cast<peft_tensor_t*>(uintptr_t{1});
  const Outcome outcome =
      Take(peft_state_dict_get(state_dict.get(), "a", &tensor));
  EXPECT_EQ(outcome.code, PEFT_NOT_FOUND);
  EXPECT_EQ(outcome.id, "TENSOR_MISSING");
  EXPECT_EQ(outcome.subject, "a");
  EXPECT_EQ(tensor, nullptr);
}

TEST(StateDictTest, ReadsBackWhatItWrote) {
  const std::string path = TempPath("state_dict.safetensors");
  const OwnedStateDict state_dict = NewStateDict();
  EXPECT_PEFT_OK(SetVector(state_dict, "a", {1, 2, 3}));
  EXPECT_PEFT_OK(SetVector(state_dict, "b.weight", {4}));
  ASSERT_PEFT_OK(peft_state_dict_write(state_dict.get(), path.c_str()));
  peft_state_dict_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_read(path.c_str(), &handle));
  const OwnedStateDict read(handle);
  EXPECT_EQ(peft_state_dict_size(read.get()), 2u);
  EXPECT_EQ(GetVector(read, "a"), std::vector<float>({1, 2, 3}));
  EXPECT_EQ(GetVector(read, "b.weight"), std::vector<float>({4}));
}

struct FileCase {
  std::string contents;
  std::string id;
};

// The kind of a file is told by its contents, whatever its name is.
TEST(StateDictTest, TellsFormatsApartByTheirContents) {
  const std::vector<FileCase> cases = {
      {std::string("\x80\0\0\0\0\0\0\0{}", 10), "SAFETENSORS"},
      {std::string("PK\3\4nonsense", 12), "TORCH_FILE"},
      {std::string("\x80\2\x8a\nnonsense", 12), "TORCH_FILE"},
      {"", "SAFETENSORS"},
  };
  const std::string path = TempPath("state_dict.bin");
  for (const FileCase& c : cases) {
    std::ofstream(path, std::ios::binary) << c.contents;
    peft_state_dict_t* handle = nullptr;
    const Outcome outcome = Take(peft_state_dict_read(path.c_str(), &handle));
    EXPECT_EQ(outcome.id, c.id) << outcome;
    EXPECT_EQ(handle, nullptr);
  }
}

TEST(StateDictTest, AMissingFileIsNotFound) {
  peft_state_dict_t* handle = nullptr;
  EXPECT_PEFT_ERROR(peft_state_dict_read("/no/such/file", &handle),
                    PEFT_NOT_FOUND, "FILE_NOT_FOUND");
}

}  // namespace
}  // namespace peft
