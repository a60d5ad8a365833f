#include "tools/peft/fetch.h"

#include "tools/peft/download_bar.h"
#include "tools/peft/handles.h"
#include "tools/peft/interrupt.h"

namespace peft_tool {
namespace {

int32_t OnDownload(void* user_data, int64_t bytes, int64_t total_bytes,
                   int64_t files, int64_t total_files) {
  auto* const bar = static_cast<DownloadBar*>(user_data);
  bar->Show({bytes, total_bytes, static_cast<int>(files),
             static_cast<int>(total_files)});
  return Interrupted() ? 1 : 0;
}

// `fetch` is a function of peft_c.h. Ctrl-C ends it, and the process as ever
// where there is nothing to fetch: what was fetched is kept.
template <typename Options>
int Fetch(peft_status_t* (*fetch)(const char*, const Options*, peft_string_t**),
          const std::string& path, Options options, std::string* out_folder) {
  DownloadBar bar;
  options.on_download = OnDownload;
  options.user_data = &bar;
  peft_string_t* raw = nullptr;
  if (peft_status_t* status =
          fetch(path.empty() ? nullptr : path.c_str(), &options, &raw)) {
    return Fail(status);
  }
  const String folder(raw);
  *out_folder = peft_string_data(raw);
  return kExitOk;
}

}  // namespace

int FetchModel(const std::string& path, peft_model_options_t options,
               std::string* out_folder) {
  return Fetch(peft_fetch_model, path, options, out_folder);
}

int FetchAdapter(const std::string& path, peft_load_options_t options,
                 std::string* out_folder) {
  return Fetch(peft_fetch_adapter, path, options, out_folder);
}

}  // namespace peft_tool
