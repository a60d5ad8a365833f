#include "hub/tree_cache.h"

#include <utility>

#include "hub/hash.h"
#include "hub/repo_id.h"
#include "peft_cc/base/json.h"

namespace peft {
namespace hub {
namespace {

constexpr int kVersion = 1;

bool ReadText(const Json& info, const char* key, std::string* text) {
  const auto found = info.find(key);
  if (found == info.end() || found->is_null()) return true;
  if (!found->is_string()) return false;
  *text = found->get<std::string>();
  return true;
}

bool ReadSize(const Json& info, const char* key, uint64_t* size) {
  const auto found = info.find(key);
  if (found == info.end() || !found->is_number_unsigned()) return false;
  *size = found->get<uint64_t>();
  return true;
}

bool IsEmptyOrDigest(const std::string& text) {
  return text.empty() || IsHexDigest(text, kSha256Digits);
}

bool ReadFileInfo(const Json& info, TreeFile* file) {
  if (!info.is_object() || !ReadSize(info, "size", &file->size) ||
      !ReadText(info, "blob_id", &file->blob_id) ||
      !ReadText(info, "lfs_sha256", &file->lfs_sha256) ||
      !ReadText(info, "xet_hash", &file->xet_hash)) {
    return false;
  }
  if (!file->lfs_sha256.empty() && !ReadSize(info, "lfs_size", &file->lfs_size))
    return false;
  return IsHexDigest(file->blob_id, kSha1Digits) &&
         IsEmptyOrDigest(file->lfs_sha256) && IsEmptyOrDigest(file->xet_hash);
}

}  // namespace

absl::optional<Tree> ParseTreeCache(absl::string_view text) {
  const absl::StatusOr<Json> json = ParseJson(text, "listing");
  if (!json.ok() || !json->is_object()) return absl::nullopt;
  const auto version = json->find("format_version");
  const auto files = json->find("files");
  if (version == json->end() || !version->is_number_unsigned() ||
      version->get<uint64_t>() != kVersion || files == json->end() ||
      !files->is_object()) {
    return absl::nullopt;
  }
  Tree tree;
  for (const auto& item : files->items()) {
    TreeFile file;
    if (!CheckFileName(item.key()).ok() || !ReadFileInfo(item.value(), &file)) {
      return absl::nullopt;
    }
    tree.emplace(item.key(), file);
  }
  return tree;
}

std::string DumpTreeCache(const Tree& tree) {
  Json::object_t files;
  for (const auto& [path, file] : tree) {
    Json info;
    info["size"] = file.size;
    info["blob_id"] = file.blob_id;
    if (!file.lfs_sha256.empty()) {
      info["lfs_sha256"] = file.lfs_sha256;
      info["lfs_size"] = file.lfs_size;
    }
    if (!file.xet_hash.empty()) info["xet_hash"] = file.xet_hash;
    // The keys differ: no need to look for each among those before.
    files.emplace_back(path, std::move(info));
  }
  Json json;
  json["format_version"] = kVersion;
  json["files"] = std::move(files);
  return json.dump(/*indent=*/1, ' ', /*ensure_ascii=*/true);
}

}  // namespace hub
}  // namespace peft
