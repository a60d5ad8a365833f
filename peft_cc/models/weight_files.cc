#include "peft_cc/models/weight_files.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
// An index of a million tensors is a tenth of this.
constexpr uint64_t kMaxIndexSize = uint64_t{1} << 30;

absl::Status WeightsError(const std::string& message,
                          const ErrorDetails& details = {}) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kModelWeights,
                   message, details);
}

// What to say when there are no safetensors.
absl::Status NoWeights(const Folder& folder) {
  for (const char* name :
       {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!FileExists(folder.At(name))) continue;
    return MakeError(
        absl::StatusCode::kUnimplemented, error_id::kModelUnsupported,
        absl::StrCat(folder.Description(), ": the weights are pickled (", name,
                     "), which is not read for base models; convert them: in "
                     "Python, save_pretrained of the loaded model writes ",
                     kSingleFile),
        {name, kSingleFile, name});
  }
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kFileNotFound,
      absl::StrCat(folder.Description(), ": no weights; looked for ",
                   kSingleFile, " and ", kIndexFile),
      {kSingleFile, kSingleFile, "nothing"});
}

// Shard name -> names of the tensors listed under it.
using Shards = std::map<std::string, std::vector<std::string>>;

absl::StatusOr<Shards> ReadIndex(const File& file) {
  PEFT_ASSIGN_OR_RETURN(const std::string text,
                        ReadTextFile(file, kMaxIndexSize));
  PEFT_ASSIGN_OR_RETURN(const Json index, ParseJson(text, kIndexFile));
  const auto weight_map =
      index.is_object() ? index.find("weight_map") : index.end();
  if (weight_map == index.end() || !weight_map->is_object() ||
      weight_map->empty()) {
    return WeightsError(
        absl::StrCat(kIndexFile,
                     ": \"weight_map\" is missing, empty or not an "
                     "object"),
        {"weight_map", "an object of tensor names and file names", ""});
  }
  Shards shards;
  for (const auto& item : weight_map->items()) {
    if (!item.value().is_string()) {
      return WeightsError(absl::StrCat(kIndexFile, ": the file of tensor ",
                                       Quoted(item.key()), " is not a text"),
                          {Printable(item.key()), "a file name", ""});
    }
    shards[item.value().get<std::string>()].push_back(item.key());
  }
  return shards;
}

// Moves the tensors listed under a shard; what else the shard holds stays in
// `shard`.
absl::Status TakeListed(const std::string& shard_name,
                        const std::vector<std::string>& listed,
                        TensorMap& shard, WeightFiles& files) {
  for (const std::string& name : listed) {
    auto node = shard.extract(name);
    if (node.empty()) {
      return WeightsError(
          absl::StrCat(kIndexFile, ": tensor ", Quoted(name), " is listed in ",
                       Quoted(shard_name), ", which does not hold it"),
          {Printable(name), Printable(shard_name), "not there"});
    }
    files.file_of.emplace(name, shard_name);
    files.tensors.insert(std::move(node));
  }
  return absl::OkStatus();
}

// transformers also loads tensors that the index forgot.
absl::Status TakeUnlisted(TensorMap unlisted, const std::string& shard_name,
                          const TensorMap& listed_elsewhere, WeightFiles& files,
                          TensorMap& extra) {
  for (auto& [name, tensor] : unlisted) {
    if (listed_elsewhere.count(name) != 0) continue;
    if (!extra.emplace(name, std::move(tensor)).second) {
      return WeightsError(
          absl::StrCat("tensor ", Quoted(name), " is in ", Quoted(shard_name),
                       " and in another shard, and ", kIndexFile,
                       " does not say which one counts"),
          {Printable(name), "one shard", "two shards"});
    }
    files.notes.push_back(absl::StrCat("tensor ", Quoted(name), " of ",
                                       Quoted(shard_name), " is not in ",
                                       kIndexFile));
  }
  return absl::OkStatus();
}

absl::StatusOr<WeightFiles> ReadShards(const Folder& folder,
                                       const Shards& shards, ReadMode mode) {
  WeightFiles files;
  std::vector<std::pair<std::string, TensorMap>> leftovers;
  for (const auto& [name, listed] : shards) {
    const absl::StatusOr<File> shard = folder.Inside(name);
    if (!shard.ok()) return WithContext(shard.status(), kIndexFile);
    absl::StatusOr<SafetensorsFile> file = ReadSafetensors(*shard, mode);
    if (!file.ok()) return WithContext(file.status(), kIndexFile);
    PEFT_RETURN_IF_ERROR(TakeListed(name, listed, file->tensors, files));
    if (!file->tensors.empty()) {
      leftovers.emplace_back(name, std::move(file->tensors));
    }
  }
  TensorMap extra;
  for (auto& [name, unlisted] : leftovers) {
    PEFT_RETURN_IF_ERROR(
        TakeUnlisted(std::move(unlisted), name, files.tensors, files, extra));
  }
  files.tensors.merge(extra);
  return files;
}

}  // namespace

absl::StatusOr<WeightFiles> ReadWeightFiles(const Folder& folder,
                                            ReadMode mode) {
  const File single = folder.At(kSingleFile);
  if (FileExists(single)) {
    PEFT_ASSIGN_OR_RETURN(SafetensorsFile file, ReadSafetensors(single, mode));
    WeightFiles files;
    for (const auto& item : file.tensors) {
      files.file_of.emplace(item.first, kSingleFile);
    }
    files.tensors = std::move(file.tensors);
    return files;
  }
  const File index = folder.At(kIndexFile);
  if (!FileExists(index)) return NoWeights(folder);
  PEFT_ASSIGN_OR_RETURN(const Shards shards, ReadIndex(index));
  return ReadShards(folder, shards, mode);
}

}  // namespace peft
