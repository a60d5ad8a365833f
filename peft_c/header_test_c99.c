/* The header alone, as C99: compiles, and every default is a constant. */
#include "peft_c/peft_c.h"

static const peft_build_info_t kBuildInfo = PEFT_BUILD_INFO_INIT;
static const peft_tensor_view_t kView = PEFT_TENSOR_VIEW_INIT;
static const peft_model_options_t kModelOptions = PEFT_MODEL_OPTIONS_INIT;
static const peft_model_info_t kModelInfo = PEFT_MODEL_INFO_INIT;
static const peft_load_options_t kLoadOptions = PEFT_LOAD_OPTIONS_INIT;
static const peft_set_adapter_options_t kSetOptions =
    PEFT_SET_ADAPTER_OPTIONS_INIT;
static const peft_add_adapter_options_t kAddOptions =
    PEFT_ADD_ADAPTER_OPTIONS_INIT;
static const peft_save_options_t kSaveOptions = PEFT_SAVE_OPTIONS_INIT;
static const peft_adapter_info_t kAdapterInfo = PEFT_ADAPTER_INFO_INIT;
static const peft_adapter_estimate_t kEstimate = PEFT_ADAPTER_ESTIMATE_INIT;
static const peft_report_line_t kLine = PEFT_REPORT_LINE_INIT;
static const peft_session_options_t kSessionOptions = PEFT_SESSION_OPTIONS_INIT;
static const peft_forward_input_t kInput = PEFT_FORWARD_INPUT_INIT;
static const peft_forward_options_t kForwardOptions = PEFT_FORWARD_OPTIONS_INIT;
static const peft_generate_options_t kGenerateOptions =
    PEFT_GENERATE_OPTIONS_INIT;
static const peft_merge_options_t kMergeOptions = PEFT_MERGE_OPTIONS_INIT;
static const peft_merge_and_unload_options_t kMergeAndUnloadOptions =
    PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT;
static const peft_combine_options_t kCombineOptions = PEFT_COMBINE_OPTIONS_INIT;
static const peft_probe_options_t kProbeOptions = PEFT_PROBE_OPTIONS_INIT;
static const peft_probe_line_t kProbeLine = PEFT_PROBE_LINE_INIT;
static const peft_probe_summary_t kProbeSummary = PEFT_PROBE_SUMMARY_INIT;

static const peft_allocator_t kAllocator = PEFT_ALLOCATOR_INIT;
static const peft_thread_pool_t kThreadPool = PEFT_THREAD_POOL_INIT;
static const peft_file_t kFile = PEFT_FILE_INIT;
static const peft_form_t kForm = PEFT_FORM_INIT;
static const peft_layer_t kLayer = PEFT_LAYER_INIT;
static const peft_run_layer_options_t kRunOptions = PEFT_RUN_LAYER_OPTIONS_INIT;
static const peft_cuda_options_t kCudaOptions = PEFT_CUDA_OPTIONS_INIT;

/* The sum keeps the compiler from finding them unused. */
size_t peft_header_test_c99(void);
size_t peft_header_test_c99(void) {
  return kBuildInfo.struct_size + kView.struct_size +
         kModelOptions.struct_size + kModelInfo.struct_size +
         kLoadOptions.struct_size + kSetOptions.struct_size +
         kLine.struct_size + kSessionOptions.struct_size + kInput.struct_size +
         kForwardOptions.struct_size + kGenerateOptions.struct_size +
         kMergeOptions.struct_size + kMergeAndUnloadOptions.struct_size +
         kCombineOptions.struct_size + kProbeOptions.struct_size +
         kProbeLine.struct_size + kProbeSummary.struct_size +
         kAddOptions.struct_size + kSaveOptions.struct_size +
         kAdapterInfo.struct_size + kEstimate.struct_size +
         kAllocator.struct_size + kThreadPool.struct_size + kFile.struct_size +
         kForm.struct_size + kLayer.struct_size + kRunOptions.struct_size +
         kCudaOptions.struct_size;
}
