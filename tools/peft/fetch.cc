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

const char* TextOrNull(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

// `fetch` is a function of peft_c.h. Ctrl-C ends it, and the process as ever
// where there is nothing to fetch: what was fetched is kept.
template <typename Options>
int Fetch(peft_status_t* (*fetch)(const char*, const Options*, peft_string_t**),
          const Args& args, const std::string& path, Options options,
          std::string* out_folder) {
  const std::string token = args.Get("--token");
  const std::string cache_dir = args.Get("--cache-dir");
  const std::vector<std::string> proxies = args.GetAll("--proxy");
  std::vector<const char*> proxy_texts;
  for (const std::string& proxy : proxies) proxy_texts.push_back(proxy.c_str());
  options.token = TextOrNull(token);
  options.cache_dir = TextOrNull(cache_dir);
  options.proxies = proxy_texts.data();
  options.num_proxies = proxy_texts.size();
  options.local_files_only = args.Has("--local-files-only") ? 1 : 0;
  options.force_download = args.Has("--force-download") ? 1 : 0;
  DownloadBar bar;
  options.on_download = OnDownload;
  options.user_data = &bar;
  peft_string_t* raw = nullptr;
  if (peft_status_t* status = fetch(TextOrNull(path), &options, &raw)) {
    return Fail(status);
  }
  const String folder(raw);
  *out_folder = peft_string_data(raw);
  return kExitOk;
}

}  // namespace

std::vector<OptionSpec> HubOptionSpecs() {
  return {
      {"--token", "T", "of the Hub, instead of HF_TOKEN and the token file"},
      {"--cache-dir", "D", "of the Hub's files (HF_HUB_CACHE, HF_HOME)"},
      {"--proxy", "SCHEME=URL",
       "to the Hub, instead of HTTPS_PROXY and its like; SCHEME: http, https "
       "or all; may be repeated"},
      {"--local-files-only", nullptr, "take what the cache has, ask no Hub"},
      {"--force-download", nullptr, "fetch again what the cache has"},
  };
}

std::vector<OptionSpec> ModelPlaceSpecs() {
  return {
      {"--model-revision", "R", "of a model of the Hub (main)"},
      {"--model-subfolder", "NAME", "folder below the model's that holds it"},
  };
}

int FetchModel(const Args& args, const std::string& path,
               peft_model_options_t options, std::string* out_folder) {
  const std::string revision = args.Get("--model-revision");
  const std::string subfolder = args.Get("--model-subfolder");
  options.revision = TextOrNull(revision);
  options.subfolder = TextOrNull(subfolder);
  return Fetch(peft_fetch_model, args, path, options, out_folder);
}

int FetchAdapter(const Args& args, const std::string& path,
                 peft_load_options_t options, std::string* out_folder) {
  return Fetch(peft_fetch_adapter, args, path, options, out_folder);
}

}  // namespace peft_tool
