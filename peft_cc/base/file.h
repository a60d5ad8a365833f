// Files as bytes: bounded reads, read-only maps and atomic writes.
#ifndef PEFT_CC_BASE_FILE_H_
#define PEFT_CC_BASE_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// Immutable bytes with shared ownership: heap memory or a file map. Tensors
// keep a copy of `owner` alive. Immutable, so thread-safe.
struct Bytes {
  absl::Span<const uint8_t> data;
  std::shared_ptr<const void> owner;
};

// How the bytes of a file get into memory.
enum class ReadMode {
  // Reads the file into memory (large pages where the system has them). Safe
  // against a file that somebody truncates later.
  kRead,
  // Maps the file read-only. Nothing is copied; truncating the file while it
  // is mapped kills the process with SIGBUS on first touch.
  kMap,
};

// Calls piece(i) for all 0 <= i < num_pieces, on one thread or several, and
// returns when all have returned.
using PieceRunner = absl::FunctionRef<void(
    int64_t num_pieces, absl::FunctionRef<void(int64_t)> piece)>;

// A PieceRunner on the calling thread.
void RunPiecesHere(int64_t num_pieces, absl::FunctionRef<void(int64_t)> piece);

class GivenFile;

// A file to be read: at a path, or one that a program has itself. A value.
class File {
 public:
  // A path is a file.
  File(std::string path)  // NOLINT(google-explicit-constructor)
      : name_(std::move(path)) {}
  File(const char* path)  // NOLINT(google-explicit-constructor)
      : name_(path) {}
  // What a program calls `name`; null: it has no such file.
  File(std::string name, std::shared_ptr<const GivenFile> given)
      : name_(std::move(name)), is_given_(true), given_(std::move(given)) {}

  // The path, or what the program calls it.
  const std::string& name() const { return name_; }
  bool is_given() const { return is_given_; }
  // Of a given file; null: it is not there.
  const GivenFile* given() const { return given_.get(); }

 private:
  std::string name_;
  bool is_given_ = false;
  std::shared_ptr<const GivenFile> given_;
};

// The bytes of the regular file `file` of at most `max_size` bytes. Fails with
// NOT_FOUND (FILE_NOT_FOUND), INVALID_ARGUMENT (FILE_READ: a directory or
// another kind of file), RESOURCE_EXHAUSTED (FILE_TOO_LARGE, OUT_OF_MEMORY),
// PERMISSION_DENIED (FILE_READ) or DATA_LOSS (FILE_READ: the system reports an
// error, or the file changes its size while it is read). Large files are read
// in pieces by `run`: most of the time goes into fresh memory.
absl::StatusOr<Bytes> ReadFile(const File& file, ReadMode mode,
                               uint64_t max_size,
                               PieceRunner run = RunPiecesHere);

// As ReadFile, as text, for small files such as configs.
absl::StatusOr<std::string> ReadTextFile(const File& file, uint64_t max_size);

// The beginning of a file.
struct FileStart {
  std::string text;
  uint64_t file_size = 0;  // of the whole file
};

// The first `size` bytes of the regular file `file`, or all that it has. Fails
// as ReadFile does.
absl::StatusOr<FileStart> ReadFileStart(const File& file, uint64_t size);

// True for a regular file, or a link to one, and for one that is given.
bool FileExists(const File& file);

// True for a directory, or a link to one.
bool DirectoryExists(const std::string& path);

// True for anything of that name, such as a link that leads nowhere.
bool NameExists(const std::string& path);

// Writes the chunks one after another to a temporary file beside `path`,
// flushes it to disk and renames it over `path`. On failure the temporary file
// is removed and what was at `path` is untouched. A link at `path` is followed.
// Fails with PERMISSION_DENIED, NOT_FOUND (no such folder), INVALID_ARGUMENT (a
// path that cannot be, or leads to a folder, pipe, device or, by a link, to
// nothing) or UNAVAILABLE (FILE_WRITE).
absl::Status WriteFileAtomically(
    const std::string& path,
    absl::Span<const absl::Span<const uint8_t>> chunks);

// Takes the next bytes of a file.
using FileSink = absl::FunctionRef<absl::Status(absl::Span<const uint8_t>)>;

// The same for a file that `write` produces as it goes. Where it fails, so does
// this, with its error.
absl::Status WriteFileAtomically(
    const std::string& path, absl::FunctionRef<absl::Status(FileSink)> write);

// `folder` + "/" + `relative`; a slash at the end of `folder` is not doubled.
// For names that come from files (shard names, subfolders). Fails with
// INVALID_ARGUMENT (PATH_ESCAPES) when `relative` is empty, absolute, has a
// NUL, a drive letter or any ".." segment under "/" or "\". Only the names are
// looked at: links may lead anywhere, as they do in the Hub's cache.
absl::StatusOr<std::string> JoinInside(const std::string& folder,
                                       absl::string_view relative);

}  // namespace peft

#endif  // PEFT_CC_BASE_FILE_H_
