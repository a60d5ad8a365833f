// What options structs say about the Hub: peft_load_options_t and
// peft_model_options_t have the same fields for it.
#ifndef PEFT_C_HUB_OPTIONS_H_
#define PEFT_C_HUB_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/fetch.h"
#include "peft_c/peft_c.h"

namespace peft {

// Those fields.
struct HubFields {
  const char* revision = nullptr;
  const char* token = nullptr;
  const char* cache_dir = nullptr;
  const char* const* proxies = nullptr;
  size_t num_proxies = 0;
  int32_t local_files_only = 0;
  int32_t force_download = 0;
  const char* endpoint = nullptr;
  peft_download_fn on_download = nullptr;
  void* user_data = nullptr;
  peft_transport_fn transport = nullptr;
  void* transport_user_data = nullptr;
};

// Those of `options`.
template <typename Options>
HubFields HubFieldsOf(const Options& options) {
  HubFields fields;
  fields.revision = options.revision;
  fields.token = options.token;
  fields.cache_dir = options.cache_dir;
  fields.proxies = options.proxies;
  fields.num_proxies = options.num_proxies;
  fields.local_files_only = options.local_files_only;
  fields.force_download = options.force_download;
  fields.endpoint = options.endpoint;
  fields.on_download = options.on_download;
  fields.user_data = options.user_data;
  fields.transport = options.transport;
  fields.transport_user_data = options.transport_user_data;
  return fields;
}

// A text of the Hub: NULL means none; empty is INVALID_ARGUMENT (ARGUMENT).
absl::StatusOr<std::string> HubText(absl::string_view name, const char* text);

// The fields, checked. An exception that leaves on_download cancels, too.
absl::StatusOr<hub::FetchOptions> ReadHubOptions(const HubFields& fields);

}  // namespace peft

#endif  // PEFT_C_HUB_OPTIONS_H_
