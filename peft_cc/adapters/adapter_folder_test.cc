#include "peft_cc/adapters/adapter_folder.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kTestdata[] = "peft_cc/adapters/testdata";

std::string Golden(const std::string& name) {
  return std::string(kTestdata) + "/" + name;
}

std::string EmptyFolder() {
  const std::string folder = ::testing::TempDir() + "/adapter_folder";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(FindAdapterFolderTest, JoinsTheSubfolder) {
  EXPECT_EQ(FindAdapterFolder(kTestdata, "")->path(), kTestdata);
  EXPECT_EQ(FindAdapterFolder(kTestdata, "plain")->path(), Golden("plain"));
}

TEST(FindAdapterFolderTest, MissingFolder) {
  for (const char* path : {"no/such/folder", ""}) {
    const absl::Status status = FindAdapterFolder(path, "").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(ErrorId(status), error_id::kFileNotFound);
    EXPECT_EQ(GetErrorDetails(status).tensor, path);
  }
}

TEST(FindAdapterFolderTest, FileInsteadOfFolder) {
  const absl::Status status =
      FindAdapterFolder(Golden("plain/adapter_config.json"), "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is a file"));
}

TEST(FindAdapterFolderTest, SubfolderStaysInside) {
  for (const char* subfolder : {"..", "plain/../..", "/etc", "a/../plain"}) {
    EXPECT_EQ(ErrorId(FindAdapterFolder(kTestdata, subfolder).status()),
              error_id::kPathEscapes)
        << subfolder;
  }
}

TEST(ReadAdapterTensorsTest, ReadsEitherFile) {
  EXPECT_THAT(*ReadAdapterTensors(Golden("plain")), SizeIs(8));
  EXPECT_THAT(*ReadAdapterTensors(Golden("bias_all")), SizeIs(14));
}

// Whoever has both files and a broken link to the better one wants that one.
TEST(ReadAdapterTensorsTest, ALinkToNothingIsAnErrorAndNotSkipped) {
  const std::string folder = EmptyFolder();
  const std::string link = folder + "/adapter_model.safetensors";
  std::filesystem::create_symlink("../blobs/gone", link);
  std::filesystem::copy(Golden("bias_all/adapter_model.bin"), folder);
  const absl::Status status = ReadAdapterTensors(folder).status();
  EXPECT_EQ(ErrorId(status), error_id::kFileNotFound);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr(link), HasSubstr("is a link that leads nowhere")));
}

// True if the elements lie in a map of a file of that name.
bool IsMapped(const Tensor& tensor, const std::string& name) {
  const auto address = reinterpret_cast<uintptr_t>(tensor.data());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char dash = 0;
    std::istringstream(line) >> std::hex >> begin >> dash >> end;
    if (begin <= address && address < end) {
      return line.find(name) != std::string::npos;
    }
  }
  return false;
}

TEST(ReadAdapterTensorsTest, CopiesOrMapsTheFile) {
  const TensorMap copied = *ReadAdapterTensors(Golden("plain"));
  const TensorMap mapped = *ReadAdapterTensors(Golden("plain"), ReadMode::kMap);
  ASSERT_THAT(mapped, SizeIs(8));
  for (const auto& [name, tensor] : mapped) {
    EXPECT_TRUE(IsMapped(tensor, "adapter_model.safetensors")) << name;
    EXPECT_FALSE(IsMapped(copied.at(name), "adapter_model")) << name;
    EXPECT_EQ(tensor.ToF32(), copied.at(name).ToF32()) << name;
  }
}

TEST(ReadAdapterTensorsTest, SafetensorsIsPreferred) {
  const std::string folder = EmptyFolder();
  std::filesystem::copy_file(Golden("plain/adapter_model.safetensors"),
                             folder + "/adapter_model.safetensors");
  std::ofstream(folder + "/adapter_model.bin") << "not read";
  EXPECT_THAT(*ReadAdapterTensors(folder), SizeIs(8));
}

TEST(ReadAdapterTensorsTest, NeitherFileNamesBoth) {
  const absl::Status status = ReadAdapterTensors(EmptyFolder()).status();
  EXPECT_EQ(ErrorId(status), error_id::kFileNotFound);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("adapter_model.safetensors"),
                    HasSubstr("adapter_model.bin")));
}

TEST(ReadAdapterTensorsTest, AFolderOfThatNameIsNotSkipped) {
  const std::string folder = EmptyFolder();
  std::filesystem::create_directory(folder + "/adapter_model.safetensors");
  const absl::Status status = ReadAdapterTensors(folder).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("directory"));
}

}  // namespace
}  // namespace peft
