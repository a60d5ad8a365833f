#include "hub/remote_source.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "hub/cache_writer.h"
#include "hub/patterns.h"
#include "hub/repo_cache.h"
#include "hub/repo_id.h"
#include "hub/snapshot.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

constexpr char kDefaultRevision[] = "main";
constexpr char kAdapterConfig[] = "adapter_config.json";
constexpr char kAdapterWeights[] = "adapter_model.safetensors";
constexpr char kAdapterTorchWeights[] = "adapter_model.bin";
constexpr char kModelConfig[] = "config.json";
// The weights of a model, the preferred ones first: in one file, or in those
// that the index names.
struct ModelWeights {
  const char* single;
  const char* index;
};
constexpr ModelWeights kModelWeights[] = {
    {"model.safetensors", "model.safetensors.index.json"},
    {"pytorch_model.bin", "pytorch_model.bin.index.json"},
};
constexpr uint64_t kMaxIndex = 256 << 20;

// What a tokenizer, and generation, may consist of.
constexpr const char* kModelExtras[] = {
    "generation_config.json",
    "tokenizer*.json",
    "tokenizer*.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "spiece.model",
    "chat_template*",
};

// "" or "folder/".
std::string Prefix(absl::string_view subfolder) {
  return subfolder.empty() ? "" : absl::StrCat(subfolder, "/");
}

// The files that the index of a model names. Fails as ReadTextFile, ParseJson
// and CheckFileName.
absl::StatusOr<std::vector<std::string>> ShardsOf(const std::string& index) {
  PEFT_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(index, kMaxIndex));
  PEFT_ASSIGN_OR_RETURN(const Json json, ParseJson(text, index));
  std::set<std::string> shards;
  if (json.is_object() && json.contains("weight_map") &&
      json["weight_map"].is_object()) {
    for (const Json& value : json["weight_map"]) {
      if (!value.is_string()) continue;
      const std::string shard = value.get<std::string>();
      PEFT_RETURN_IF_ERROR(WithContext(CheckFileName(shard), index));
      shards.insert(shard);
    }
  }
  return std::vector<std::string>(shards.begin(), shards.end());
}

// What is looked for, in one repository.
class Search {
 public:
  Search(const RepoId& repo, absl::string_view subfolder,
         const Options& options, const HubClient& client,
         const DownloadOptions& download)
      : repo_(repo),
        prefix_(Prefix(subfolder)),
        client_(client),
        revision_(options.revision.empty() ? kDefaultRevision
                                           : options.revision),
        cache_dir_(options.cache_dir.empty() ? client.settings().cache_dir
                                             : options.cache_dir),
        reader_(cache_dir_, repo),
        writer_(cache_dir_, repo, client.settings().symlinks) {
    static_cast<DownloadOptions&>(snapshot_) = download;
    snapshot_.cache_dir = cache_dir_;
    snapshot_.force = options.force_download;
  }

  // The commit to use: the Hub's, or where it cannot be asked the cache's.
  absl::Status Resolve() {
    PEFT_ASSIGN_OR_RETURN(const absl::optional<std::string> cached,
                          reader_.CommitOf(revision_));
    if (IsCommit(revision_)) {
      commit_ = revision_;
      return absl::OkStatus();
    }
    const absl::StatusOr<std::string> found =
        client_.ResolveRevision(repo_, revision_, snapshot_.is_cancelled);
    if (found.ok()) {
      commit_ = *found;
      writer_.WriteRef(revision_, commit_).IgnoreError();
      return absl::OkStatus();
    }
    if (cached.has_value() && !IsFinal(found.status())) {
      commit_ = *cached;
      return absl::OkStatus();
    }
    if (ErrorId(found.status()) == error_id::kHubOffline) {
      return NotCached(found.status());
    }
    return found.status();
  }

  bool Has(absl::string_view name) const {
    return FileExists(absl::StrCat(folder(), "/", prefix_, name));
  }

  std::string folder() const { return reader_.SnapshotFolder(commit_); }
  bool force() const { return snapshot_.force; }
  std::string PathOf(absl::string_view name) const {
    return absl::StrCat(folder(), "/", prefix_, name);
  }

  // Fetches the files, below the subfolder, that `choose` takes of those there.
  absl::Status Fetch(const std::function<std::vector<std::string>(
                         const std::set<std::string>&)>& choose) {
    snapshot_.choose = [&](const Tree& tree) {
      std::set<std::string> names;
      for (const auto& [name, file] : tree) {
        if (absl::StartsWith(name, prefix_)) {
          names.insert(name.substr(prefix_.size()));
        }
      }
      std::vector<std::string> chosen;
      for (const std::string& name : choose(names)) {
        if (names.count(name) > 0) chosen.push_back(prefix_ + name);
      }
      return chosen;
    };
    const absl::Status status =
        DownloadSnapshot(client_, repo_, commit_, snapshot_).status();
    snapshot_.choose = nullptr;
    return status;
  }

  // The result, if `file` is there.
  absl::StatusOr<Source> Result(const char* file) const {
    if (Has(file)) return Source{folder(), commit_};
    const absl::Status online = client_.CheckOnline(repo_.name());
    if (!online.ok()) return NotCached(online);
    const std::string name = absl::StrCat(prefix_, file);
    return MakeError(
        absl::StatusCode::kNotFound, error_id::kHubEntryNotFound,
        absl::StrCat("the repository ", repo_.name(), " has no ", Quoted(name),
                     " at commit ", commit_, "; is it of the right kind?"),
        {repo_.name(), name, ""});
  }

 private:
  absl::Status NotCached(const absl::Status& why) const {
    return MakeError(
        absl::StatusCode::kNotFound, error_id::kHubLocalEntryNotFound,
        absl::StrCat("there is no such folder, and the Hub's cache ",
                     Quoted(cache_dir_), " lacks files of ", repo_.name(),
                     " at revision ", Quoted(revision_), " (", why.message(),
                     ")"),
        {repo_.name(), "", ""});
  }

  const RepoId& repo_;
  const std::string prefix_;
  const HubClient& client_;
  const std::string revision_;
  const std::string cache_dir_;
  const RepoCache reader_;
  const CacheWriter writer_;
  SnapshotOptions snapshot_;
  std::string commit_;
};

absl::StatusOr<Source> FetchAdapter(Search& search) {
  const bool has_weights =
      search.Has(kAdapterWeights) || search.Has(kAdapterTorchWeights);
  if (search.force() || !search.Has(kAdapterConfig) || !has_weights) {
    PEFT_RETURN_IF_ERROR(search.Fetch([](const std::set<std::string>& names) {
      const bool safe = names.count(kAdapterWeights) > 0;
      return std::vector<std::string>{
          kAdapterConfig, safe ? kAdapterWeights : kAdapterTorchWeights};
    }));
  }
  return search.Result(kAdapterConfig);
}

// True if the cache has what the model needs; a tokenizer is not among it.
absl::StatusOr<bool> HasModel(const Search& search) {
  if (!search.Has(kModelConfig)) return false;
  for (const ModelWeights& weights : kModelWeights) {
    if (search.Has(weights.single)) return true;
    if (!search.Has(weights.index)) continue;
    PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> shards,
                          ShardsOf(search.PathOf(weights.index)));
    return std::all_of(
        shards.begin(), shards.end(),
        [&](const std::string& shard) { return search.Has(shard); });
  }
  return false;
}

// The preferred of the weights that are among the names; "" where none are.
std::string WeightsAmong(const std::set<std::string>& names) {
  for (const ModelWeights& weights : kModelWeights) {
    for (const char* name : {weights.single, weights.index}) {
      if (names.count(name) > 0) return name;
    }
  }
  return "";
}

// All but the weights that an index names.
std::vector<std::string> ModelFiles(const std::set<std::string>& names) {
  std::vector<std::string> chosen = {kModelConfig, WeightsAmong(names)};
  for (const std::string& name : names) {
    if (absl::StrContains(name, "/")) continue;
    for (const char* pattern : kModelExtras) {
      if (MatchesPattern(name, pattern)) {
        chosen.push_back(name);
        break;
      }
    }
  }
  return chosen;
}

absl::StatusOr<Source> FetchModel(Search& search) {
  PEFT_ASSIGN_OR_RETURN(const bool has_model, HasModel(search));
  if (has_model && !search.force()) return search.Result(kModelConfig);
  PEFT_RETURN_IF_ERROR(search.Fetch(ModelFiles));
  for (const ModelWeights& weights : kModelWeights) {
    if (search.Has(weights.single)) break;
    if (!search.Has(weights.index)) continue;
    PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> shards,
                          ShardsOf(search.PathOf(weights.index)));
    PEFT_RETURN_IF_ERROR(
        search.Fetch([&](const std::set<std::string>&) { return shards; }));
    break;
  }
  return search.Result(kModelConfig);
}

absl::StatusOr<Source> FindRemote(
    const std::string& path, absl::string_view subfolder, const char* file,
    const Options& options, const HubClient& client,
    const DownloadOptions& download,
    absl::FunctionRef<absl::StatusOr<Source>(Search&)> fetch) {
  PEFT_RETURN_IF_ERROR(CheckOptions(options));
  if (IsLocal(path, subfolder, file)) return Source{path, ""};
  PEFT_ASSIGN_OR_RETURN(const RepoId repo, RepoId::Create(path));
  if (!subfolder.empty()) PEFT_RETURN_IF_ERROR(CheckFileName(subfolder));
  Search search(repo, subfolder, options, client, download);
  PEFT_RETURN_IF_ERROR(search.Resolve());
  return fetch(search);
}

}  // namespace

absl::StatusOr<std::unique_ptr<HubClient>> CreateClient(
    const Options& options, const Settings& settings, Transport* transport) {
  PEFT_RETURN_IF_ERROR(CheckOptions(options));
  ClientOptions client;
  client.token = options.token;
  client.local_files_only = options.local_files_only;
  return HubClient::Create(settings, client, transport);
}

absl::StatusOr<Source> FindAdapter(const std::string& path,
                                   absl::string_view subfolder,
                                   const Options& options,
                                   const HubClient& client,
                                   const DownloadOptions& download) {
  return FindRemote(path, subfolder, kAdapterConfig, options, client, download,
                    FetchAdapter);
}

absl::StatusOr<Source> FindModel(const std::string& path,
                                 absl::string_view subfolder,
                                 const Options& options,
                                 const HubClient& client,
                                 const DownloadOptions& download) {
  return FindRemote(path, subfolder, kModelConfig, options, client, download,
                    FetchModel);
}

}  // namespace hub
}  // namespace peft
