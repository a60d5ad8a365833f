/* Prints the size of each struct of peft_c.h, a line each. */

#include <stdio.h>

#include "peft_c/peft_c.h"

#define PRINT(name) printf("%s %zu\n", #name, sizeof(name))

int main(void) {
  PRINT(peft_build_info_t);
  PRINT(peft_tensor_view_t);
  PRINT(peft_allocator_t);
  PRINT(peft_thread_pool_t);
  PRINT(peft_file_t);
  PRINT(peft_http_request_t);
  PRINT(peft_model_options_t);
  PRINT(peft_model_info_t);
  PRINT(peft_load_options_t);
  PRINT(peft_add_adapter_options_t);
  PRINT(peft_set_adapter_options_t);
  PRINT(peft_save_options_t);
  PRINT(peft_adapter_info_t);
  PRINT(peft_adapter_estimate_t);
  PRINT(peft_report_line_t);
  PRINT(peft_merge_options_t);
  PRINT(peft_merge_and_unload_options_t);
  PRINT(peft_combine_options_t);
  PRINT(peft_probe_options_t);
  PRINT(peft_probe_line_t);
  PRINT(peft_probe_summary_t);
  PRINT(peft_session_options_t);
  PRINT(peft_forward_input_t);
  PRINT(peft_forward_options_t);
  PRINT(peft_generate_options_t);
  PRINT(peft_layer_t);
  PRINT(peft_run_layer_options_t);
  PRINT(peft_cuda_options_t);
  PRINT(peft_form_t);
  return 0;
}
