// The header alone, as C++11 and as C++17.
#include "peft_c/peft_c.h"

static_assert(sizeof(PEFT_API_VERSION) == sizeof(int), "a plain number");

size_t PEFT_HEADER_TEST_NAME() {
  const peft_build_info_t build_info = PEFT_BUILD_INFO_INIT;
  const peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  const peft_model_options_t model_options = PEFT_MODEL_OPTIONS_INIT;
  const peft_model_info_t model_info = PEFT_MODEL_INFO_INIT;
  const peft_load_options_t load_options = PEFT_LOAD_OPTIONS_INIT;
  const peft_set_adapter_options_t set_options = PEFT_SET_ADAPTER_OPTIONS_INIT;
  const peft_report_line_t line = PEFT_REPORT_LINE_INIT;
  const peft_session_options_t session_options = PEFT_SESSION_OPTIONS_INIT;
  const peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  const peft_forward_options_t forward_options = PEFT_FORWARD_OPTIONS_INIT;
  const peft_generate_options_t generate_options = PEFT_GENERATE_OPTIONS_INIT;
  const peft_merge_options_t merge_options = PEFT_MERGE_OPTIONS_INIT;
  const peft_merge_and_unload_options_t merge_and_unload_options =
      PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT;
  const peft_combine_options_t combine_options = PEFT_COMBINE_OPTIONS_INIT;
  const peft_probe_options_t probe_options = PEFT_PROBE_OPTIONS_INIT;
  const peft_probe_line_t probe_line = PEFT_PROBE_LINE_INIT;
  const peft_probe_summary_t probe_summary = PEFT_PROBE_SUMMARY_INIT;
  const peft_add_adapter_options_t add_options = PEFT_ADD_ADAPTER_OPTIONS_INIT;
  const peft_save_options_t save_options = PEFT_SAVE_OPTIONS_INIT;
  const peft_adapter_info_t adapter_info = PEFT_ADAPTER_INFO_INIT;
  const peft_adapter_estimate_t estimate = PEFT_ADAPTER_ESTIMATE_INIT;
  const peft_allocator_t allocator = PEFT_ALLOCATOR_INIT;
  const peft_thread_pool_t thread_pool = PEFT_THREAD_POOL_INIT;
  const peft_file_t file = PEFT_FILE_INIT;
  const peft_form_t form = PEFT_FORM_INIT;
  const peft_layer_t layer = PEFT_LAYER_INIT;
  const peft_run_layer_options_t run_options = PEFT_RUN_LAYER_OPTIONS_INIT;
  const peft_cuda_options_t cuda_options = PEFT_CUDA_OPTIONS_INIT;
  return build_info.struct_size + view.struct_size + model_options.struct_size +
         model_info.struct_size + load_options.struct_size +
         set_options.struct_size + line.struct_size +
         session_options.struct_size + input.struct_size +
         forward_options.struct_size + generate_options.struct_size +
         merge_options.struct_size + merge_and_unload_options.struct_size +
         combine_options.struct_size + probe_options.struct_size +
         probe_line.struct_size + probe_summary.struct_size +
         add_options.struct_size + save_options.struct_size +
         adapter_info.struct_size + estimate.struct_size +
         allocator.struct_size + thread_pool.struct_size + file.struct_size +
         form.struct_size + layer.struct_size + run_options.struct_size +
         cuda_options.struct_size;
}
