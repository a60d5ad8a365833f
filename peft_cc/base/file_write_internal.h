// What the readers and writers of files and of folders share.
#ifndef PEFT_CC_BASE_FILE_WRITE_INTERNAL_H_
#define PEFT_CC_BASE_FILE_WRITE_INTERNAL_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace peft {

// A random name that exists already is bad luck once, not ten times.
inline constexpr int kMaxNameAttempts = 10;

// What a thing that is no regular file is, by its st_mode: "a pipe".
absl::string_view OtherKind(mode_t mode);

// The error (FILE_WRITE) of a system call on `path` that failed with `error`.
absl::Status WriteError(const std::string& path, absl::string_view what,
                        int error);

// The file that is to be replaced: the one that a link at `path` leads to. A
// rename would replace a link too, or a pipe or device, /dev/null as well.
// Fails as WriteFileAtomically does.
absl::StatusOr<std::string> WriteTarget(const std::string& path);

// The folder that holds `path`: what is before its last slash, else ".".
std::string FolderOf(const std::string& path);

// A random name of a file or folder beside `path`; empty where the system has
// no randomness.
std::string TemporaryName(const std::string& path);

// Makes new names in `folder` survive a loss of power. Some file systems cannot
// do this for folders, and what was written is whole either way: errors do not
// count.
void FlushFolder(const std::string& folder);

}  // namespace peft

#endif  // PEFT_CC_BASE_FILE_WRITE_INTERNAL_H_
