#include "hub/many_files.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include "hub/patterns.h"
#include "kernels/thread_pool.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {

std::vector<std::string> ChooseFiles(const Tree& tree,
                                     const SnapshotOptions& options) {
  if (options.choose) return options.choose(tree);
  std::vector<std::string> names;
  for (const auto& [name, file] : tree) {
    if (IsWanted(name, options.allow, options.ignore)) names.push_back(name);
  }
  return names;
}

RangeOptions ShareConnections(const std::vector<RemoteFile>& files,
                              const SnapshotOptions& options) {
  RangeOptions ranges = options.ranges;
  const auto large = std::count_if(
      files.begin(), files.end(),
      [&](const RemoteFile& file) { return file.size >= ranges.min_size; });
  if (large > 0) {
    const auto share = static_cast<int>(options.max_workers / large);
    ranges.max_connections =
        std::min(ranges.max_connections, std::max(share, 1));
  }
  return ranges;
}

absl::Status ForEachFile(
    std::vector<RemoteFile> files, const SnapshotOptions& options,
    absl::FunctionRef<absl::Status(const RemoteFile&, CancelCheck)> work) {
  // At the end no thread waits for a large one.
  std::stable_sort(
      files.begin(), files.end(),
      [](const RemoteFile& a, const RemoteFile& b) { return a.size > b.size; });
  std::atomic<bool> failed(false);
  std::mutex mutex;
  absl::Status result;
  const auto is_cancelled = [&] {
    return failed.load() || options.is_cancelled();
  };
  const std::unique_ptr<kernels::ThreadPool> pool =
      kernels::CreateThreadPool(std::max(options.max_workers, 1));
  pool->ParallelFor(static_cast<int64_t>(files.size()), [&](int64_t index) {
    if (failed.load()) return;
    const absl::Status status =
        work(files[static_cast<size_t>(index)], is_cancelled);
    if (status.ok()) return;
    const std::lock_guard<std::mutex> lock(mutex);
    if (result.ok()) result = status;
    failed = true;
  });
  return result;
}

bool IsListingSuspect(const absl::Status& status) {
  const std::string id = ErrorId(status);
  return id == error_id::kHubHashMismatch || id == error_id::kHubEntryNotFound;
}

}  // namespace hub
}  // namespace peft
