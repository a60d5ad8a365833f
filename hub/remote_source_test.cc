#include "hub/remote_source.h"

#include <string>

#include "absl/strings/match.h"
#include "hub/testing/fake_hub.h"
#include "hub/testing/hub_fixture.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

class RemoteSourceTest : public HubFixture {
 protected:
  absl::StatusOr<Source> Adapter(const std::string& subfolder = "",
                                 const std::string& path = "org/name") {
    return FindAdapter(path, subfolder, options_, *Client());
  }
  absl::StatusOr<Source> Model() {
    return FindModel("org/name", "", options_, *Client());
  }

  fs::path Snapshot() const { return Folder() / "snapshots" / kFakeCommit; }
  bool Has(const std::string& file) const {
    return fs::exists(Snapshot() / file);
  }

  void ExpectFound(const absl::StatusOr<Source>& source) const {
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(source->folder, Snapshot());
    EXPECT_EQ(source->commit, kFakeCommit);
  }

  void AddAdapter(const std::string& prefix = "") {
    hub_.AddFile(prefix + "adapter_config.json", "{}");
    hub_.AddFile(prefix + "adapter_model.safetensors", "weights", true);
    hub_.AddFile(prefix + "adapter_model.bin", "other weights", true);
    hub_.AddFile(prefix + "optimizer.pt", "large", true);
  }

  void AddModel() {
    for (const char* name :
         {"tokenizer.json", "vocab.txt", "flax_model.msgpack",
          "onnx/model.onnx", "model-00003-of-00003.safetensors",
          "model-00001-of-00002.safetensors",
          "model-00002-of-00002.safetensors"}) {
      hub_.AddFile(name, std::string("content of ") + name, true);
    }
    hub_.AddFile("config.json", "{}");
    hub_.AddFile("model.safetensors.index.json",
                 R"({"weight_map": {"a": "model-00001-of-00002.safetensors",
                     "b": "model-00002-of-00002.safetensors"}})");
  }

  Options options_;
};

TEST_F(RemoteSourceTest, AnAdapterIsItsConfigAndWeights) {
  AddAdapter();
  ExpectFound(Adapter());
  EXPECT_TRUE(Has("adapter_config.json"));
  EXPECT_TRUE(Has("adapter_model.safetensors"));
  EXPECT_FALSE(Has("adapter_model.bin"));
  EXPECT_FALSE(Has("optimizer.pt"));
}

TEST_F(RemoteSourceTest, AnAdapterInASubfolderIsFetchedFromThere) {
  AddAdapter();
  AddAdapter("a [1]/");
  ExpectFound(Adapter("a [1]"));
  EXPECT_TRUE(Has("a [1]/adapter_model.safetensors"));
  EXPECT_FALSE(Has("adapter_config.json"));
}

TEST_F(RemoteSourceTest, AnAdapterMayHaveTorchWeightsOnly) {
  hub_.AddFile("adapter_config.json", "{}");
  hub_.AddFile("adapter_model.bin", "weights", true);
  ExpectFound(Adapter());
  EXPECT_TRUE(Has("adapter_model.bin"));
}

TEST_F(RemoteSourceTest, AWarmLoadOfABranchIsOneRequestAndOfACommitNone) {
  AddAdapter();
  ExpectFound(Adapter());
  fs::remove_all(Folder() / "trees");  // as transformers leaves a cache
  hub_.ForgetRequests();
  ExpectFound(Adapter());
  EXPECT_EQ(hub_.num_requests(), 1);
  options_.revision = kFakeCommit;
  ExpectFound(Adapter());
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(RemoteSourceTest, AModelIsWhatItsIndexNames) {
  AddModel();
  ExpectFound(Model());
  EXPECT_TRUE(Has("config.json"));
  EXPECT_TRUE(Has("tokenizer.json"));
  EXPECT_TRUE(Has("vocab.txt"));
  EXPECT_TRUE(Has("model-00001-of-00002.safetensors"));
  EXPECT_TRUE(Has("model-00002-of-00002.safetensors"));
  EXPECT_FALSE(Has("model-00003-of-00003.safetensors"));
  EXPECT_FALSE(Has("flax_model.msgpack"));
  EXPECT_FALSE(Has("onnx"));
  hub_.ForgetRequests();
  ExpectFound(Model());
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(RemoteSourceTest, AModelMayHaveTorchWeightsOnly) {
  hub_.AddFile("config.json", "{}");
  hub_.AddFile("pytorch_model.bin", "weights", true);
  ExpectFound(Model());
  EXPECT_TRUE(Has("pytorch_model.bin"));
  hub_.ForgetRequests();
  ExpectFound(Model());
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(RemoteSourceTest, TorchWeightsMayBeShards) {
  hub_.AddFile("config.json", "{}");
  hub_.AddFile("pytorch_model-00001-of-00001.bin", "weights", true);
  hub_.AddFile("pytorch_model.bin.index.json",
               R"({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}})");
  ExpectFound(Model());
  EXPECT_TRUE(Has("pytorch_model-00001-of-00001.bin"));
}

TEST_F(RemoteSourceTest, TorchWeightsBesideSafetensorsStayThere) {
  AddModel();
  hub_.AddFile("pytorch_model.bin", "weights", true);
  ExpectFound(Model());
  EXPECT_TRUE(Has("model-00001-of-00002.safetensors"));
  EXPECT_FALSE(Has("pytorch_model.bin"));
}

TEST_F(RemoteSourceTest, AShardThatIsMissingIsFetched) {
  AddModel();
  ExpectFound(Model());
  fs::remove(Snapshot() / "model-00002-of-00002.safetensors");
  ExpectFound(Model());
  EXPECT_TRUE(Has("model-00002-of-00002.safetensors"));
}

TEST_F(RemoteSourceTest, AnIndexThatLeavesItsFolderIsRefused) {
  hub_.AddFile("config.json", "{}");
  hub_.AddFile("model.safetensors.index.json",
               R"({"weight_map": {"a": "../../../../x"}})");
  EXPECT_EQ(ErrorId(Model().status()), "PATH_ESCAPES");
}

TEST_F(RemoteSourceTest, ARepositoryOfAnotherKindSaysSo) {
  AddModel();
  const absl::Status status = Adapter().status();
  EXPECT_EQ(ErrorId(status), "HUB_ENTRY_NOT_FOUND");
  EXPECT_TRUE(absl::StrContains(status.message(), "adapter_config.json"));
}

TEST_F(RemoteSourceTest, OfflineTheCacheIsUsed) {
  AddAdapter();
  options_.local_files_only = true;
  settings_.offline = true;
  EXPECT_EQ(ErrorId(Adapter().status()), "HUB_LOCAL_ENTRY_NOT_FOUND");
  settings_.offline = false;
  ExpectFound(Adapter());
  settings_.offline = true;
  hub_.ForgetRequests();
  ExpectFound(Adapter());
  fs::remove(Snapshot() / "adapter_model.safetensors");
  EXPECT_EQ(ErrorId(Adapter().status()), "HUB_LOCAL_ENTRY_NOT_FOUND");
  EXPECT_EQ(hub_.num_requests(), 0);
}

TEST_F(RemoteSourceTest, ALocalFolderWinsOnlyIfItHasTheFile) {
  AddAdapter();
  const fs::path local = root_ / "local";
  Write(local / "adapter_config.json", "{}");
  const auto source = Adapter("", local);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->folder, local);
  EXPECT_EQ(hub_.num_requests(), 0);
}

TEST_F(RemoteSourceTest, WhatIsNoRepositoryIsAPath) {
  for (const char* path : {"/absent", "./org/name", "a/b/c", ""}) {
    const auto source = Adapter("", path);
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(source->folder, path);
  }
  EXPECT_EQ(hub_.num_requests(), 0);
}

TEST_F(RemoteSourceTest, AForcedDownloadFetchesAgain) {
  AddAdapter();
  ExpectFound(Adapter());
  Write(Snapshot() / "adapter_config.json", "changed");
  ExpectFound(Adapter());
  EXPECT_EQ(Read(Snapshot() / "adapter_config.json"), "changed");
  options_.force_download = true;
  ExpectFound(Adapter());
  EXPECT_EQ(Read(Snapshot() / "adapter_config.json"), "{}");
}

TEST_F(RemoteSourceTest, AClientHasTheTokenOfTheOptions) {
  AddAdapter();
  options_.token = "hf_given";
  const auto client = CreateClient(options_, settings_, &hub_);
  ASSERT_TRUE(client.ok());
  ExpectFound(FindAdapter("org/name", "", options_, **client));
  EXPECT_EQ(FindField(hub_.full_requests()[0].fields, "Authorization"),
            "Bearer hf_given");
}

}  // namespace
}  // namespace hub
}  // namespace peft
