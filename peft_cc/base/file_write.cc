// The writing half of file.h.
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/file_write_internal.h"
#include "peft_cc/base/temporary_file.h"
#include "peft_cc/base/utf8.h"

namespace peft {

absl::Status WriteFileAtomically(
    const std::string& path,
    absl::Span<const absl::Span<const uint8_t>> chunks) {
  return WriteFileAtomically(path, [&](FileSink sink) -> absl::Status {
    for (absl::Span<const uint8_t> chunk : chunks) {
      PEFT_RETURN_IF_ERROR(sink(chunk));
    }
    return absl::OkStatus();
  });
}

absl::Status WriteFileAtomically(
    const std::string& path, absl::FunctionRef<absl::Status(FileSink)> write) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kFileWrite,
                     absl::StrCat("cannot write to path ", Quoted(path),
                                  ": it is empty or contains a NUL"),
                     {path, "", ""});
  }
  // Before the file has its name: what has failed must not have happened.
  PEFT_ASSIGN_OR_RETURN(const std::string target, WriteTarget(path));
  const std::string folder = FolderOf(target);
  TemporaryFile file(target);
  PEFT_RETURN_IF_ERROR(file.Create());
  PEFT_RETURN_IF_ERROR(write(
      [&](absl::Span<const uint8_t> chunk) { return file.Append(chunk); }));
  PEFT_RETURN_IF_ERROR(file.Commit());
  FlushFolder(folder);
  return absl::OkStatus();
}

}  // namespace peft
