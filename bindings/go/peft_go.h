// What the package's cgo files include: the header of the library, C functions
// that build on C's stack the structs which Go may not build (those that hold
// pointers to Go memory), and functions of the types that callbacks have.
//
// Where a call has to be fast its handle comes as a number: cgo's check of a
// pointer to an incomplete type allocates.
#ifndef PEFT_GO_H_
#define PEFT_GO_H_

#ifdef __has_include
#if !__has_include("peft_c/peft_c.h")
#error \
    "peft_c/peft_c.h not found: set CGO_CFLAGS=-I... and CGO_LDFLAGS=-L..., \
or use pkg-config with -tags peft_pkgconfig (bindings/go/README.md)"
#endif
#endif

#include <stdlib.h>

#include "peft_c/peft_c.h"

// -- Callbacks: exported by callbacks.go, without C's const ------------------

extern void peftGoLog(void* user_data, int32_t level, char* line);
extern int32_t peftGoToken(void* user_data, int64_t row, int64_t token);
extern int32_t peftGoProgress(void* user_data, int64_t done, int64_t total);
extern int32_t peftGoDownload(void* user_data, int64_t bytes,
                              int64_t total_bytes, int64_t files,
                              int64_t total_files);
extern int32_t peftGoTransport(void* user_data, peft_http_request_t* request,
                               peft_exchange_t* exchange);
extern int64_t peftGoRead(void* user_data, int64_t offset, void* buffer,
                          int64_t size);
extern int32_t peftGoParallelFor(void* user_data, int64_t num_pieces,
                                 peft_piece_fn piece, void* piece_data);

static inline void peft_go_piece(peft_piece_fn piece, void* piece_data,
                                 int64_t index) {
  piece(piece_data, index);
}

// Of the types that the library calls (callbacks.c).
void peft_go_log(void* user_data, int32_t level, const char* line);
int32_t peft_go_transport(void* user_data, const peft_http_request_t* request,
                          peft_exchange_t* exchange);

// -- Tensors ------------------------------------------------------------------

static inline peft_tensor_view_t peft_go_view(const char* data, int32_t dtype,
                                              int32_t rank,
                                              const int64_t* sizes,
                                              const int64_t* strides) {
  peft_tensor_view_t view;
  peft_tensor_view_init(&view, sizeof(view));
  view.data = data;
  view.dtype = dtype;
  view.device_type = PEFT_DEVICE_CPU;
  view.device_index = 0;
  view.rank = rank;
  view.sizes = sizes;
  view.strides = strides;
  return view;
}

static inline peft_status_t* peft_go_tensor_get_view(
    const peft_tensor_t* tensor, peft_tensor_view_t* out_view) {
  peft_tensor_view_init(out_view, sizeof(*out_view));
  return peft_tensor_get_view(tensor, out_view);
}

static inline peft_status_t* peft_go_state_dict_set(
    peft_state_dict_t* state_dict, const char* name, const char* data,
    int32_t dtype, int32_t rank, const int64_t* sizes, const int64_t* strides) {
  const peft_tensor_view_t view =
      peft_go_view(data, dtype, rank, sizes, strides);
  return peft_state_dict_set(state_dict, name, &view);
}

static inline peft_run_layer_options_t peft_go_run_layer_options(
    int64_t expert, const char* const* adapter_names, size_t num_adapter_names,
    peft_activation_t** activations, size_t num_activations, void* stream) {
  peft_run_layer_options_t options;
  peft_run_layer_options_init(&options, sizeof(options));
  options.expert = expert;
  options.adapter_names = adapter_names;
  options.num_adapter_names = num_adapter_names;
  options.activations = (const peft_activation_t* const*)activations;
  options.num_activations = num_activations;
  options.stream = stream;
  return options;
}

static inline peft_status_t* peft_go_run_layer(
    uintptr_t model, const char* name, const char* data, int32_t dtype,
    int32_t rank, const int64_t* sizes, const int64_t* strides, int64_t expert,
    const char* const* adapter_names, size_t num_adapter_names,
    peft_activation_t** activations, size_t num_activations, void* stream,
    peft_tensor_t** out_y, peft_tensor_view_t* out_view) {
  const peft_tensor_view_t x = peft_go_view(data, dtype, rank, sizes, strides);
  const peft_run_layer_options_t options = peft_go_run_layer_options(
      expert, adapter_names, num_adapter_names, activations, num_activations,
      stream);
  peft_status_t* status = peft_model_run_layer((const peft_model_t*)model, name,
                                               &x, &options, out_y);
  return status ? status : peft_go_tensor_get_view(*out_y, out_view);
}

// Runs a layer, or with `add_delta` what adapters add.
static inline peft_status_t* peft_go_run_or_add(
    uintptr_t runner, int32_t add_delta, int64_t layer,
    const peft_tensor_view_t* x, const peft_tensor_view_t* y,
    const char* const* adapter_names, size_t num_adapter_names,
    peft_activation_t** activations, size_t num_activations, void* stream) {
  const peft_run_layer_options_t options = peft_go_run_layer_options(
      -1, adapter_names, num_adapter_names, activations, num_activations,
      stream);
  peft_layer_runner_t* handle = (peft_layer_runner_t*)runner;
  return add_delta ? peft_layer_runner_add_delta(handle, layer, x, &options, y)
                   : peft_layer_runner_run(handle, layer, x, &options, y);
}

static inline peft_status_t* peft_go_runner(
    uintptr_t runner, int32_t add_delta, int64_t layer, const char* x_data,
    int32_t x_dtype, int32_t x_rank, const int64_t* x_sizes,
    const int64_t* x_strides, const char* y_data, int32_t y_dtype,
    int32_t y_rank, const int64_t* y_sizes, const int64_t* y_strides,
    const char* const* adapter_names, size_t num_adapter_names,
    peft_activation_t** activations, size_t num_activations, void* stream) {
  const peft_tensor_view_t x =
      peft_go_view(x_data, x_dtype, x_rank, x_sizes, x_strides);
  const peft_tensor_view_t y =
      peft_go_view(y_data, y_dtype, y_rank, y_sizes, y_strides);
  return peft_go_run_or_add(runner, add_delta, layer, &x, &y, adapter_names,
                            num_adapter_names, activations, num_activations,
                            stream);
}

// -- CUDA devices -------------------------------------------------------------

static inline peft_tensor_view_t peft_go_cuda_view(
    uintptr_t address, int32_t device_index, int32_t dtype, int32_t rank,
    const int64_t* sizes, const int64_t* strides) {
  peft_tensor_view_t view =
      peft_go_view((const char*)address, dtype, rank, sizes, strides);
  view.device_type = PEFT_DEVICE_CUDA;
  view.device_index = device_index;
  return view;
}

static inline peft_status_t* peft_go_cuda_runner(
    uintptr_t runner, int32_t add_delta, int64_t layer, uintptr_t x_address,
    int32_t x_device, int32_t x_dtype, int32_t x_rank, const int64_t* x_sizes,
    const int64_t* x_strides, uintptr_t y_address, int32_t y_device,
    int32_t y_dtype, int32_t y_rank, const int64_t* y_sizes,
    const int64_t* y_strides, const char* const* adapter_names,
    size_t num_adapter_names, peft_activation_t** activations,
    size_t num_activations, void* stream) {
  const peft_tensor_view_t x = peft_go_cuda_view(x_address, x_device, x_dtype,
                                                 x_rank, x_sizes, x_strides);
  const peft_tensor_view_t y = peft_go_cuda_view(y_address, y_device, y_dtype,
                                                 y_rank, y_sizes, y_strides);
  return peft_go_run_or_add(runner, add_delta, layer, &x, &y, adapter_names,
                            num_adapter_names, activations, num_activations,
                            stream);
}

static inline peft_status_t* peft_go_set_weight(
    uintptr_t runner, int64_t layer, uintptr_t address, int32_t device_index,
    int32_t dtype, int32_t rank, const int64_t* sizes, const int64_t* strides) {
  const peft_tensor_view_t weight =
      peft_go_cuda_view(address, device_index, dtype, rank, sizes, strides);
  return peft_layer_runner_set_weight((peft_layer_runner_t*)runner, layer,
                                      &weight);
}

// -- Verbs with arrays of numbers ---------------------------------------------

static inline peft_status_t* peft_go_set_adapter(peft_model_t* model,
                                                 const char* const* names,
                                                 size_t num_names,
                                                 const float* scales) {
  peft_set_adapter_options_t options;
  peft_set_adapter_options_init(&options, sizeof(options));
  options.scales = scales;
  return peft_model_set_adapter(model, names, num_names, &options);
}

static inline peft_status_t* peft_go_merge_adapter(peft_model_t* model,
                                                   const char* const* names,
                                                   size_t num_names,
                                                   const float* scales,
                                                   int32_t safe_merge) {
  peft_merge_options_t options;
  peft_merge_options_init(&options, sizeof(options));
  options.scales = scales;
  options.safe_merge = safe_merge;
  return peft_model_merge_adapter(model, names, num_names, &options);
}

// -- Sessions -----------------------------------------------------------------

static inline peft_forward_input_t peft_go_input(
    const int64_t* ids, int64_t batch, int64_t length,
    const int64_t* attention_mask, const int64_t* position_ids,
    const int64_t* token_type_ids) {
  peft_forward_input_t input;
  peft_forward_input_init(&input, sizeof(input));
  input.ids = ids;
  input.batch = batch;
  input.length = length;
  input.attention_mask = attention_mask;
  input.position_ids = position_ids;
  input.token_type_ids = token_type_ids;
  return input;
}

static inline peft_status_t* peft_go_forward(
    uintptr_t session, const int64_t* ids, int64_t batch, int64_t length,
    const int64_t* attention_mask, const int64_t* position_ids,
    const int64_t* token_type_ids, int64_t logits_to_keep,
    int32_t allow_activation_change, const char* const* adapter_names,
    size_t num_adapter_names, peft_activation_t** activations,
    size_t num_activations, int32_t outputs, peft_tensor_view_t* out_logits) {
  const peft_forward_input_t input = peft_go_input(
      ids, batch, length, attention_mask, position_ids, token_type_ids);
  peft_forward_options_t options;
  peft_forward_options_init(&options, sizeof(options));
  options.logits_to_keep = logits_to_keep;
  options.allow_activation_change = allow_activation_change;
  options.adapter_names = adapter_names;
  options.num_adapter_names = num_adapter_names;
  options.activations = (const peft_activation_t* const*)activations;
  options.num_activations = num_activations;
  options.outputs = outputs;
  return peft_session_forward((peft_session_t*)session, &input, &options,
                              out_logits);
}

static inline peft_status_t* peft_go_generate(
    uintptr_t session, const int64_t* ids, int64_t batch, int64_t length,
    const int64_t* attention_mask, const int64_t* position_ids,
    const int64_t* token_type_ids, const peft_generate_options_t* options,
    peft_generate_result_t** out_result) {
  const peft_forward_input_t input = peft_go_input(
      ids, batch, length, attention_mask, position_ids, token_type_ids);
  return peft_session_generate((peft_session_t*)session, &input, options,
                               out_result);
}

#endif  // PEFT_GO_H_
