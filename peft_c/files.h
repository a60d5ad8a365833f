// Files that are not in a folder, at the C ABI.
#ifndef PEFT_C_FILES_H_
#define PEFT_C_FILES_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_c/peft_c.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/base/given_file.h"

namespace peft {

// The files of the array `argument`, checked: null where there are none.
// INVALID_ARGUMENT (ARGUMENT, UTF8, STRUCT_SIZE, PATH_ESCAPES).
absl::StatusOr<std::shared_ptr<const GivenFiles>> ReadFiles(
    absl::string_view argument, const peft_file_t* files, size_t num_files);

// The folder that the argument "files" is. Also INVALID_ARGUMENT where there
// are none.
absl::StatusOr<Folder> FolderOfFiles(const peft_file_t* files,
                                     size_t num_files);

}  // namespace peft

#endif  // PEFT_C_FILES_H_
