#include "peft_cc/models/weight_files.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/torch_file.h"

namespace peft {
namespace {

// How weights are stored, in the order of transformers' preference.
struct Format {
  const char* single;
  const char* index;
  bool is_pickled;
};
constexpr Format kFormats[] = {
    {"model.safetensors", "model.safetensors.index.json", false},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", true},
};
// An index of a million tensors is a tenth of this.
constexpr uint64_t kMaxIndexSize = uint64_t{1} << 30;

absl::Status WeightsError(const std::string& message,
                          const ErrorDetails& details = {}) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kModelWeights,
                   message, details);
}

absl::Status NoWeights(const Folder& folder) {
  std::string looked_for;
  for (const Format& format : kFormats) {
    absl::StrAppend(&looked_for, looked_for.empty() ? "" : ", ", format.single,
                    ", ", format.index);
  }
  return MakeError(absl::StatusCode::kNotFound, error_id::kFileNotFound,
                   absl::StrCat(folder.Description(),
                                ": no weights; looked for ", looked_for),
                   {kFormats[0].single, kFormats[0].single, "nothing"});
}

absl::StatusOr<TensorMap> ReadTensors(const File& file, const Format& format,
                                      ReadMode mode) {
  if (format.is_pickled) return ReadTorchFile(file, mode);
  PEFT_ASSIGN_OR_RETURN(SafetensorsFile read, ReadSafetensors(file, mode));
  return std::move(read.tensors);
}

// "pytorch_model-00001-of-00002.bin": "model-00001-of-00002.safetensors".
std::string SafetensorsName(absl::string_view name) {
  if (!absl::ConsumeSuffix(&name, ".bin")) return std::string(name);
  absl::ConsumePrefix(&name, "pytorch_");
  return absl::StrCat(name, ".safetensors");
}

// Shard name -> names of the tensors listed under it.
using Shards = std::map<std::string, std::vector<std::string>>;

absl::StatusOr<Shards> ReadIndex(const File& file, const char* index_name) {
  PEFT_ASSIGN_OR_RETURN(const std::string text,
                        ReadTextFile(file, kMaxIndexSize));
  PEFT_ASSIGN_OR_RETURN(const Json index, ParseJson(text, index_name));
  const auto weight_map =
      index.is_object() ? index.find("weight_map") : index.end();
  if (weight_map == index.end() || !weight_map->is_object() ||
      weight_map->empty()) {
    return WeightsError(
        absl::StrCat(index_name,
                     ": \"weight_map\" is missing, empty or not an "
                     "object"),
        {"weight_map", "an object of tensor names and file names", ""});
  }
  Shards shards;
  for (const auto& item : weight_map->items()) {
    if (!item.value().is_string()) {
      return WeightsError(absl::StrCat(index_name, ": the file of tensor ",
                                       Quoted(item.key()), " is not a text"),
                          {Printable(item.key()), "a file name", ""});
    }
    shards[item.value().get<std::string>()].push_back(item.key());
  }
  return shards;
}

// Moves the tensors listed under a shard; what else the shard holds stays in
// `shard`.
absl::Status TakeListed(const char* index_name, const std::string& shard_name,
                        const std::vector<std::string>& listed,
                        TensorMap& shard, WeightFiles& files) {
  for (const std::string& name : listed) {
    auto node = shard.extract(name);
    if (node.empty()) {
      return WeightsError(
          absl::StrCat(index_name, ": tensor ", Quoted(name), " is listed in ",
                       Quoted(shard_name), ", which does not hold it"),
          {Printable(name), Printable(shard_name), "not there"});
    }
    files.file_of.emplace(name, SafetensorsName(shard_name));
    files.tensors.insert(std::move(node));
  }
  return absl::OkStatus();
}

// transformers also loads tensors that the index forgot.
absl::Status TakeUnlisted(const char* index_name, TensorMap unlisted,
                          const std::string& shard_name,
                          const TensorMap& listed_elsewhere, WeightFiles& files,
                          TensorMap& extra) {
  for (auto& [name, tensor] : unlisted) {
    if (listed_elsewhere.count(name) != 0) continue;
    if (!extra.emplace(name, std::move(tensor)).second) {
      return WeightsError(
          absl::StrCat("tensor ", Quoted(name), " is in ", Quoted(shard_name),
                       " and in another shard, and ", index_name,
                       " does not say which one counts"),
          {Printable(name), "one shard", "two shards"});
    }
    files.notes.push_back(absl::StrCat("tensor ", Quoted(name), " of ",
                                       Quoted(shard_name), " is not in ",
                                       index_name));
  }
  return absl::OkStatus();
}

absl::StatusOr<WeightFiles> ReadShards(const Folder& folder,
                                       const Shards& shards,
                                       const Format& format, ReadMode mode) {
  WeightFiles files;
  std::vector<std::pair<std::string, TensorMap>> leftovers;
  for (const auto& [name, listed] : shards) {
    const absl::StatusOr<File> shard = folder.Inside(name);
    if (!shard.ok()) return WithContext(shard.status(), format.index);
    absl::StatusOr<TensorMap> tensors = ReadTensors(*shard, format, mode);
    if (!tensors.ok()) return WithContext(tensors.status(), format.index);
    PEFT_RETURN_IF_ERROR(
        TakeListed(format.index, name, listed, *tensors, files));
    if (!tensors->empty()) leftovers.emplace_back(name, *std::move(tensors));
  }
  TensorMap extra;
  for (auto& [name, unlisted] : leftovers) {
    PEFT_RETURN_IF_ERROR(TakeUnlisted(format.index, std::move(unlisted), name,
                                      files.tensors, files, extra));
  }
  files.tensors.merge(extra);
  return files;
}

absl::StatusOr<WeightFiles> ReadSingle(const File& file, const Format& format,
                                       ReadMode mode) {
  WeightFiles files;
  PEFT_ASSIGN_OR_RETURN(files.tensors, ReadTensors(file, format, mode));
  for (const auto& item : files.tensors) {
    files.file_of.emplace(item.first, SafetensorsName(format.single));
  }
  return files;
}

}  // namespace

absl::StatusOr<WeightFiles> ReadWeightFiles(const Folder& folder,
                                            ReadMode mode) {
  for (const Format& format : kFormats) {
    const File single = folder.At(format.single);
    if (FileExists(single)) return ReadSingle(single, format, mode);
    const File index = folder.At(format.index);
    if (!FileExists(index)) continue;
    PEFT_ASSIGN_OR_RETURN(const Shards shards, ReadIndex(index, format.index));
    return ReadShards(folder, shards, format, mode);
  }
  return NoWeights(folder);
}

}  // namespace peft
