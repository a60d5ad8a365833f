// What downloads of many files share.
#ifndef HUB_MANY_FILES_H_
#define HUB_MANY_FILES_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "hub/answers.h"
#include "hub/blob_download.h"
#include "hub/snapshot.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// The files of `tree` that `options` ask for, each a name in it.
std::vector<std::string> ChooseFiles(const Tree& tree,
                                     const SnapshotOptions& options);

// The connections for each large file among `files`: as many as `options` say,
// but not more for all that are fetched at once than there are workers.
RangeOptions ShareConnections(const std::vector<RemoteFile>& files,
                              const SnapshotOptions& options);

// Calls `work` for each of `files`, the largest first, on as many threads as
// `options` say. The first error is the result; it cancels the others.
absl::Status ForEachFile(
    std::vector<RemoteFile> files, const SnapshotOptions& options,
    absl::FunctionRef<absl::Status(const RemoteFile&, CancelCheck)> work);

// True for errors of files that the listing may be to blame for: it names one
// that is not there, or other bytes. The next download should ask for another.
bool IsListingSuspect(const absl::Status& status);

}  // namespace hub
}  // namespace peft

#endif  // HUB_MANY_FILES_H_
