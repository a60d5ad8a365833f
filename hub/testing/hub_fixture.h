// A cache in a folder of its own, a fake Hub, and a client that does not sleep.
#ifndef HUB_TESTING_HUB_FIXTURE_H_
#define HUB_TESTING_HUB_FIXTURE_H_

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "hub/download.h"
#include "hub/hub_client.h"
#include "hub/repo_id.h"
#include "hub/testing/fake_hub.h"

namespace peft {
namespace hub {

class HubFixture : public testing::Test {
 protected:
  HubFixture()
      : root_(std::filesystem::path(testing::TempDir()) /
              absl::StrCat(
                  testing::UnitTest::GetInstance()->current_test_info()->name(),
                  "_", getpid())),
        repo_(*RepoId::Create("org/name")) {
    std::filesystem::remove_all(root_);
    settings_.cache_dir = root_ / "cache";
    settings_.token_path = root_ / "token";
    settings_.endpoint = kFakeEndpoint;
    settings_.token = "hf_verysecret";
    client_options_.retry.sleep = [this](int64_t ms, CancelCheck) {
      sleeps_.push_back(ms);
      return absl::OkStatus();
    };
  }
  ~HubFixture() override { std::filesystem::remove_all(root_); }

  // With the settings and options as they are now.
  std::unique_ptr<HubClient> Client() {
    auto client = HubClient::Create(settings_, client_options_, &hub_);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  absl::StatusOr<DownloadedFile> Download(const std::string& file,
                                          const std::string& revision = "main",
                                          const DownloadOptions& options = {}) {
    return DownloadFile(*Client(), repo_, revision, file, options);
  }

  std::filesystem::path Folder() const {
    return root_ / "cache" / "models--org--name";
  }

  static std::string Read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  static void Write(const std::filesystem::path& path,
                    const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  // The names in the folder of blobs.
  std::vector<std::string> Blobs() const {
    std::vector<std::string> names;
    for (const auto& entry :
         std::filesystem::directory_iterator(Folder() / "blobs")) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  const std::filesystem::path root_;
  const RepoId repo_;
  FakeHub hub_;
  Settings settings_;
  ClientOptions client_options_;
  std::vector<int64_t> sleeps_;  // what would have been waited, in ms
};

// Bytes that do not repeat.
inline std::string RandomText(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

}  // namespace hub
}  // namespace peft

#endif  // HUB_TESTING_HUB_FIXTURE_H_
