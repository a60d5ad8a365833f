#include "peft_c/hub_options.h"

#include <chrono>
#include <memory>
#include <mutex>

#include "peft_c/arguments.h"
#include "peft_c/host_transport.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// How often a program is asked while nothing comes.
constexpr auto kInterval = std::chrono::milliseconds(50);

// A program's on_download: one call at a time, whichever threads fetch.
// Thread-safe.
class DownloadCallback {
 public:
  DownloadCallback(peft_download_fn function, void* user_data)
      : function_(function), user_data_(user_data) {}

  void Report(const hub::Progress& progress) {
    const std::lock_guard<std::mutex> lock(mutex_);
    progress_ = progress;
    Call();
  }

  bool IsCancelled() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (Clock::now() - last_call_ >= kInterval) Call();
    return cancelled_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Once it has refused a program is not asked again.
  void Call() {
    if (cancelled_) return;
    try {
      cancelled_ = function_(user_data_, progress_.bytes, progress_.total_bytes,
                             progress_.files, progress_.total_files) != 0;
    } catch (...) {
      cancelled_ = true;
    }
    last_call_ = Clock::now();
  }

  const peft_download_fn function_;
  void* const user_data_;
  std::mutex mutex_;
  hub::Progress progress_;
  bool cancelled_ = false;
  Clock::time_point last_call_;
};

}  // namespace

absl::StatusOr<std::string> HubText(absl::string_view name, const char* text) {
  if (text != nullptr && *text == '\0') {
    return BadArgument(name, "is empty, expected a text or NULL");
  }
  return OptionalText(name, text, "");
}

absl::StatusOr<hub::FetchOptions> ReadHubOptions(const HubFields& fields) {
  hub::FetchOptions hub;
  PEFT_ASSIGN_OR_RETURN(hub.revision,
                        HubText("options.revision", fields.revision));
  PEFT_ASSIGN_OR_RETURN(hub.token, HubText("options.token", fields.token));
  PEFT_ASSIGN_OR_RETURN(hub.cache_dir,
                        HubText("options.cache_dir", fields.cache_dir));
  PEFT_ASSIGN_OR_RETURN(
      hub.proxies,
      TextArray("options.proxies", fields.proxies, fields.num_proxies));
  PEFT_ASSIGN_OR_RETURN(
      hub.local_files_only,
      FlagArgument("options.local_files_only", fields.local_files_only));
  PEFT_ASSIGN_OR_RETURN(
      hub.force_download,
      FlagArgument("options.force_download", fields.force_download));
  PEFT_ASSIGN_OR_RETURN(hub.endpoint,
                        HubText("options.endpoint", fields.endpoint));
  PEFT_RETURN_IF_ERROR(hub::CheckOptions(hub));
  if (fields.transport != nullptr) {
    if (fields.num_proxies > 0) {
      return BadArgument("options.proxies",
                         "is given beside options.transport, which it cannot "
                         "reach; leave one of them out");
    }
    hub.transport = std::make_shared<HostTransport>(fields.transport,
                                                    fields.transport_user_data);
  }
  if (fields.on_download != nullptr) {
    const auto callback = std::make_shared<DownloadCallback>(fields.on_download,
                                                             fields.user_data);
    hub.on_progress = [callback](const hub::Progress& progress) {
      callback->Report(progress);
    };
    hub.is_cancelled = [callback] { return callback->IsCancelled(); };
  }
  return hub;
}

}  // namespace peft
