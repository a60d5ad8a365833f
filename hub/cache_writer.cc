#include "hub/cache_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hub/tree_cache.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/file_write_internal.h"
#include "peft_cc/base/new_folder.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/text_bytes.h"

namespace peft {
namespace hub {
namespace {

constexpr char kCacheTag[] =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";
constexpr uint64_t kMaxRef = 64;

// Copies a blob to the pointer's place in parts that do not fill the memory.
absl::Status CopyFile(const std::string& from, const std::string& to) {
  ScopedFd source(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.is_open()) return WriteError(to, "its blob is gone", errno);
  return WriteFileAtomically(to, [&](FileSink sink) -> absl::Status {
    std::vector<uint8_t> buffer(1 << 20);
    while (true) {
      const ssize_t size = read(source.get(), buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return WriteError(to, "cannot read its blob", errno);
      if (size == 0) return absl::OkStatus();
      PEFT_RETURN_IF_ERROR(
          sink(absl::MakeConstSpan(buffer.data(), static_cast<size_t>(size))));
    }
  });
}

// 0 where the folder is there now, else the error.
int MakeFolder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0777) == 0) return 0;
  const int error = errno;
  return DirectoryExists(folder) ? 0 : error;
}

// True for errors of symlink() that say that there are none here.
bool HasNoLinks(int error) {
  return error == EPERM || error == ENOSYS || error == EOPNOTSUPP ||
         error == EACCES || error == EINVAL;
}

}  // namespace

absl::Status MakeFolders(const std::string& folder) {
  if (folder.empty()) return absl::OkStatus();
  int error = MakeFolder(folder);
  const std::string parent = FolderOf(folder);
  if (error == ENOENT && parent != folder && parent != ".") {
    PEFT_RETURN_IF_ERROR(MakeFolders(parent));
    error = MakeFolder(folder);
  }
  if (error == 0) return absl::OkStatus();
  return WriteError(folder, "cannot make this folder", error);
}

absl::Status WriteTextFile(const std::string& path, absl::string_view text) {
  PEFT_RETURN_IF_ERROR(MakeFolders(FolderOf(path)));
  return WriteFileAtomically(path, {BytesOf(text)});
}

void WriteCacheTag(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/CACHEDIR.TAG");
  if (!FileExists(path)) WriteTextFile(path, kCacheTag).IgnoreError();
}

CacheWriter::CacheWriter(absl::string_view cache_dir, const RepoId& repo,
                         bool symlinks)
    : cache_dir_(cache_dir),
      folder_(absl::StrCat(cache_dir, "/", repo.CacheFolder())),
      locks_(absl::StrCat(cache_dir, "/.locks/", repo.CacheFolder())),
      symlinks_(symlinks) {}

std::string CacheWriter::BlobPath(absl::string_view etag) const {
  return absl::StrCat(folder_, "/blobs/", etag);
}

std::string CacheWriter::PointerPath(absl::string_view commit,
                                     absl::string_view file) const {
  return absl::StrCat(folder_, "/snapshots/", commit, "/", file);
}

std::string CacheWriter::LockPath(absl::string_view etag) const {
  return absl::StrCat(locks_, "/", etag, ".lock");
}

std::string CacheWriter::TreePath(absl::string_view commit) const {
  return absl::StrCat(folder_, "/trees/", commit, ".json");
}

absl::Status CacheWriter::Prepare() const {
  PEFT_RETURN_IF_ERROR(MakeFolders(absl::StrCat(folder_, "/blobs")));
  // A cache without locks or tag works.
  MakeFolders(locks_).IgnoreError();
  WriteCacheTag(cache_dir_);
  return absl::OkStatus();
}

absl::Status CacheWriter::WriteRef(absl::string_view revision,
                                   absl::string_view commit) const {
  if (revision == commit) return absl::OkStatus();
  const std::string path = absl::StrCat(folder_, "/refs/", revision);
  const absl::StatusOr<std::string> old = ReadTextFile(path, kMaxRef);
  if (old.ok() && *old == commit) return absl::OkStatus();
  return WriteTextFile(path, commit);
}

absl::Status CacheWriter::MarkMissing(absl::string_view commit,
                                      absl::string_view file) const {
  const std::string path =
      absl::StrCat(folder_, "/.no_exist/", commit, "/", file);
  if (FileExists(path)) return absl::OkStatus();
  return WriteTextFile(path, "");
}

absl::Status CacheWriter::WriteLink(absl::string_view etag,
                                    const std::string& pointer,
                                    absl::string_view file) const {
  std::string target = "../../";
  for (const char c : file) {
    if (c == '/') target.append("../");
  }
  absl::StrAppend(&target, "blobs/", etag);
  // Under another name first: at no moment is there no file.
  const std::string temporary = TemporaryName(pointer);
  if (temporary.empty() || symlink(target.c_str(), temporary.c_str()) != 0) {
    if (HasNoLinks(errno)) return absl::UnimplementedError("no links here");
    return WriteError(pointer, "cannot make a link", errno);
  }
  if (rename(temporary.c_str(), pointer.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  unlink(temporary.c_str());
  return WriteError(pointer, "cannot make a link", error);
}

absl::Status CacheWriter::WritePointer(absl::string_view etag,
                                       absl::string_view commit,
                                       absl::string_view file,
                                       bool is_new) const {
  const std::string pointer = PointerPath(commit, file);
  PEFT_RETURN_IF_ERROR(MakeFolders(FolderOf(pointer)));
  if (symlinks_) {
    const absl::Status link = WriteLink(etag, pointer, file);
    if (!absl::IsUnimplemented(link)) return link;
  }
  const std::string blob = BlobPath(etag);
  if (is_new && rename(blob.c_str(), pointer.c_str()) == 0) {
    return absl::OkStatus();
  }
  return CopyFile(blob, pointer);
}

absl::optional<Tree> CacheWriter::ReadTree(absl::string_view commit) const {
  return ReadTreeCache(TreePath(commit));
}

absl::Status CacheWriter::WriteTree(absl::string_view commit,
                                    const Tree& tree) const {
  return WriteTextFile(TreePath(commit), DumpTreeCache(tree));
}

void CacheWriter::RemoveTree(absl::string_view commit) const {
  unlink(TreePath(commit).c_str());
}

uint64_t CacheWriter::PartialBytes(absl::string_view etag) const {
  const std::string folder = absl::StrCat(folder_, "/blobs");
  uint64_t bytes = 0;
  for (const std::string& name :
       NamesIn(folder).value_or(std::vector<std::string>())) {
    if (!absl::StartsWith(name, etag)) continue;
    struct stat info;
    if (stat(absl::StrCat(folder, "/", name).c_str(), &info) == 0) {
      bytes += static_cast<uint64_t>(info.st_size);
    }
  }
  return bytes;
}

}  // namespace hub
}  // namespace peft
