#include "peft_c/handle.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"
namespace {
peft_status_t* NotYet() {
  return peft::Guard([]() -> absl::Status {
    return peft::MakeError(absl::StatusCode::kUnimplemented,
                           peft::error_id::kUnimplemented, "not yet");
  });
}
}  // namespace
void peft_thread_pool_init(peft_thread_pool_t* pool, size_t struct_size) {
  static constexpr peft_thread_pool_t kDefaults = PEFT_THREAD_POOL_INIT;
  peft::InitStruct(kDefaults, pool, struct_size);
}
void peft_file_init(peft_file_t* file, size_t struct_size) {
  static constexpr peft_file_t kDefaults = PEFT_FILE_INIT;
  peft::InitStruct(kDefaults, file, struct_size);
}
peft_status_t* peft_estimate_files(const peft_file_t*, size_t,
                                   peft_adapter_estimate_t*) {
  return NotYet();
}
peft_status_t* peft_inspect_files(const peft_file_t*, size_t,
                                  const peft_model_t*, peft_string_t**) {
  return NotYet();
}
peft_status_t* peft_model_find_layer(const peft_model_t*, const char*, int64_t,
                                     int64_t*) {
  return NotYet();
}
peft_status_t* peft_layer_runner_create(const peft_model_t*,
                                        peft_layer_runner_t**) {
  return NotYet();
}
void peft_layer_runner_free(peft_layer_runner_t*) {}
peft_status_t* peft_layer_runner_run(peft_layer_runner_t*, int64_t,
                                     const peft_tensor_view_t*,
                                     const peft_run_layer_options_t*,
                                     const peft_tensor_view_t*) {
  return NotYet();
}
peft_status_t* peft_layer_runner_add_delta(peft_layer_runner_t*, int64_t,
                                           const peft_tensor_view_t*,
                                           const peft_run_layer_options_t*,
                                           const peft_tensor_view_t*) {
  return NotYet();
}
peft_status_t* peft_model_lower_layer(const peft_model_t*, int64_t,
                                      const peft_activation_t*,
                                      peft_lowered_t**) {
  return NotYet();
}
size_t peft_lowered_size(const peft_lowered_t*) { return 0; }
peft_status_t* peft_lowered_get_form(const peft_lowered_t*, size_t,
                                     peft_form_t*) {
  return NotYet();
}
peft_status_t* peft_lowered_get_tensor(const peft_lowered_t*, size_t, int32_t,
                                       peft_tensor_view_t*) {
  return NotYet();
}
void peft_lowered_free(peft_lowered_t*) {}
