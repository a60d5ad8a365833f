// The layout of every struct of the header, as it was published. Fields are
// appended and nothing else ever changes: a line here is never edited, and a
// new field's offset is not below the struct's size in the version before (the
// padding at an old struct's end may hold anything, so a lone int32_t there
// needs a reserved neighbour first).
#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"

extern "C" size_t peft_header_test_c99();
size_t HeaderTestCxx11();
size_t HeaderTestCxx17();

namespace {

TEST(HeaderTest, StructsHaveOneSizeInAllLanguages) {
  EXPECT_EQ(peft_header_test_c99(), HeaderTestCxx11());
  EXPECT_EQ(peft_header_test_c99(), HeaderTestCxx17());
}

// The numbers are those of 64-bit systems.
#if UINTPTR_MAX == UINT64_MAX

#define EXPECT_FIELD(type, field, offset) \
  EXPECT_EQ(offsetof(type, field), size_t{offset})

TEST(HeaderTest, BuildInfo) {
  EXPECT_EQ(sizeof(peft_build_info_t), 56u);
  EXPECT_FIELD(peft_build_info_t, api_version, 8);
  EXPECT_FIELD(peft_build_info_t, version, 16);
  EXPECT_FIELD(peft_build_info_t, compiler, 24);
  EXPECT_FIELD(peft_build_info_t, cpu_kernels, 32);
  EXPECT_FIELD(peft_build_info_t, methods, 40);
  EXPECT_FIELD(peft_build_info_t, model_types, 48);
}

TEST(HeaderTest, TensorView) {
  EXPECT_EQ(sizeof(peft_tensor_view_t), 48u);
  EXPECT_FIELD(peft_tensor_view_t, data, 8);
  EXPECT_FIELD(peft_tensor_view_t, dtype, 16);
  EXPECT_FIELD(peft_tensor_view_t, device_type, 20);
  EXPECT_FIELD(peft_tensor_view_t, device_index, 24);
  EXPECT_FIELD(peft_tensor_view_t, rank, 28);
  EXPECT_FIELD(peft_tensor_view_t, sizes, 32);
  EXPECT_FIELD(peft_tensor_view_t, strides, 40);
}

TEST(HeaderTest, FunctionsOfTheProgram) {
  EXPECT_EQ(sizeof(peft_allocator_t), 32u);
  EXPECT_FIELD(peft_allocator_t, user_data, 8);
  EXPECT_FIELD(peft_allocator_t, allocate, 16);
  EXPECT_FIELD(peft_allocator_t, deallocate, 24);
  EXPECT_EQ(sizeof(peft_thread_pool_t), 32u);
  EXPECT_FIELD(peft_thread_pool_t, user_data, 8);
  EXPECT_FIELD(peft_thread_pool_t, parallel_for, 16);
  EXPECT_FIELD(peft_thread_pool_t, num_threads, 24);
  EXPECT_EQ(sizeof(peft_file_t), 72u);
  EXPECT_FIELD(peft_file_t, name, 8);
  EXPECT_FIELD(peft_file_t, kind, 16);
  EXPECT_FIELD(peft_file_t, fd, 20);
  EXPECT_FIELD(peft_file_t, offset, 24);
  EXPECT_FIELD(peft_file_t, size, 32);
  EXPECT_FIELD(peft_file_t, data, 40);
  EXPECT_FIELD(peft_file_t, copy_data, 48);
  EXPECT_FIELD(peft_file_t, read, 56);
  EXPECT_FIELD(peft_file_t, user_data, 64);
}

TEST(HeaderTest, Requests) {
  EXPECT_EQ(sizeof(peft_http_request_t), 56u);
  EXPECT_FIELD(peft_http_request_t, method, 8);
  EXPECT_FIELD(peft_http_request_t, url, 16);
  EXPECT_FIELD(peft_http_request_t, field_names, 24);
  EXPECT_FIELD(peft_http_request_t, field_values, 32);
  EXPECT_FIELD(peft_http_request_t, num_fields, 40);
  EXPECT_FIELD(peft_http_request_t, timeout_ms, 48);
}

TEST(HeaderTest, Model) {
  EXPECT_EQ(sizeof(peft_model_options_t), 232u);
  EXPECT_FIELD(peft_model_options_t, read_mode, 8);
  EXPECT_FIELD(peft_model_options_t, num_threads, 12);
  EXPECT_FIELD(peft_model_options_t, layer_replication, 16);
  EXPECT_FIELD(peft_model_options_t, num_layer_ranges, 24);
  EXPECT_FIELD(peft_model_options_t, for_adapters, 32);
  EXPECT_FIELD(peft_model_options_t, num_for_adapters, 40);
  EXPECT_FIELD(peft_model_options_t, subfolder, 48);
  EXPECT_FIELD(peft_model_options_t, revision, 56);
  EXPECT_FIELD(peft_model_options_t, token, 64);
  EXPECT_FIELD(peft_model_options_t, cache_dir, 72);
  EXPECT_FIELD(peft_model_options_t, proxies, 80);
  EXPECT_FIELD(peft_model_options_t, num_proxies, 88);
  EXPECT_FIELD(peft_model_options_t, local_files_only, 96);
  EXPECT_FIELD(peft_model_options_t, force_download, 100);
  EXPECT_FIELD(peft_model_options_t, endpoint, 104);
  EXPECT_FIELD(peft_model_options_t, on_download, 112);
  EXPECT_FIELD(peft_model_options_t, user_data, 120);
  EXPECT_FIELD(peft_model_options_t, adapter_revision, 128);
  EXPECT_FIELD(peft_model_options_t, adapter_subfolder, 136);
  EXPECT_FIELD(peft_model_options_t, transport, 144);
  EXPECT_FIELD(peft_model_options_t, transport_user_data, 152);
  EXPECT_FIELD(peft_model_options_t, thread_pool, 160);
  EXPECT_FIELD(peft_model_options_t, files, 168);
  EXPECT_FIELD(peft_model_options_t, num_files, 176);
  EXPECT_FIELD(peft_model_options_t, weight_format, 184);
  EXPECT_FIELD(peft_model_options_t, quantize_head, 188);
  EXPECT_FIELD(peft_model_options_t, processors, 192);
  EXPECT_FIELD(peft_model_options_t, num_processors, 200);
  EXPECT_FIELD(peft_model_options_t, task, 208);
  EXPECT_FIELD(peft_model_options_t, num_labels, 216);
  EXPECT_FIELD(peft_model_options_t, pad_token_id, 224);
  EXPECT_EQ(sizeof(peft_model_info_t), 120u);
  EXPECT_FIELD(peft_model_info_t, model_type, 8);
  EXPECT_FIELD(peft_model_info_t, vocab_size, 16);
  EXPECT_FIELD(peft_model_info_t, hidden_size, 24);
  EXPECT_FIELD(peft_model_info_t, num_layers, 32);
  EXPECT_FIELD(peft_model_info_t, max_position_embeddings, 40);
  EXPECT_FIELD(peft_model_info_t, num_parameters, 48);
  EXPECT_FIELD(peft_model_info_t, size_bytes, 56);
  EXPECT_FIELD(peft_model_info_t, num_sites, 64);
  EXPECT_FIELD(peft_model_info_t, num_adapters, 72);
  EXPECT_FIELD(peft_model_info_t, adapter_bytes, 80);
  EXPECT_FIELD(peft_model_info_t, architecture, 88);
  EXPECT_FIELD(peft_model_info_t, task, 96);
  EXPECT_FIELD(peft_model_info_t, num_labels, 104);
  EXPECT_FIELD(peft_model_info_t, num_token_types, 112);
}

TEST(HeaderTest, Adapters) {
  EXPECT_EQ(sizeof(peft_load_options_t), 152u);
  EXPECT_FIELD(peft_load_options_t, subfolder, 8);
  EXPECT_FIELD(peft_load_options_t, lenient, 16);
  EXPECT_FIELD(peft_load_options_t, revision, 24);
  EXPECT_FIELD(peft_load_options_t, token, 32);
  EXPECT_FIELD(peft_load_options_t, cache_dir, 40);
  EXPECT_FIELD(peft_load_options_t, proxies, 48);
  EXPECT_FIELD(peft_load_options_t, num_proxies, 56);
  EXPECT_FIELD(peft_load_options_t, local_files_only, 64);
  EXPECT_FIELD(peft_load_options_t, force_download, 68);
  EXPECT_FIELD(peft_load_options_t, is_trainable, 72);
  EXPECT_FIELD(peft_load_options_t, allow_unconverted_init, 76);
  EXPECT_FIELD(peft_load_options_t, expected_generation, 80);
  EXPECT_FIELD(peft_load_options_t, endpoint, 88);
  EXPECT_FIELD(peft_load_options_t, on_download, 96);
  EXPECT_FIELD(peft_load_options_t, user_data, 104);
  EXPECT_FIELD(peft_load_options_t, transport, 112);
  EXPECT_FIELD(peft_load_options_t, transport_user_data, 120);
  EXPECT_FIELD(peft_load_options_t, map_file, 128);
  EXPECT_FIELD(peft_load_options_t, files, 136);
  EXPECT_FIELD(peft_load_options_t, num_files, 144);
  EXPECT_EQ(sizeof(peft_add_adapter_options_t), 16u);
  EXPECT_FIELD(peft_add_adapter_options_t, seed, 8);
  EXPECT_EQ(sizeof(peft_save_options_t), 24u);
  EXPECT_FIELD(peft_save_options_t, overwrite, 8);
  EXPECT_FIELD(peft_save_options_t, path_initial_model_for_weight_conversion,
               16);
  EXPECT_EQ(sizeof(peft_set_adapter_options_t), 16u);
  EXPECT_FIELD(peft_set_adapter_options_t, scales, 8);
  EXPECT_EQ(sizeof(peft_report_line_t), 32u);
  EXPECT_FIELD(peft_report_line_t, kind, 8);
  EXPECT_FIELD(peft_report_line_t, name, 16);
  EXPECT_FIELD(peft_report_line_t, detail, 24);
}

TEST(HeaderTest, Merge) {
  EXPECT_EQ(sizeof(peft_merge_options_t), 24u);
  EXPECT_FIELD(peft_merge_options_t, scales, 8);
  EXPECT_FIELD(peft_merge_options_t, safe_merge, 16);
  EXPECT_EQ(sizeof(peft_merge_and_unload_options_t), 56u);
  EXPECT_FIELD(peft_merge_and_unload_options_t, names, 8);
  EXPECT_FIELD(peft_merge_and_unload_options_t, num_names, 16);
  EXPECT_FIELD(peft_merge_and_unload_options_t, scales, 24);
  EXPECT_FIELD(peft_merge_and_unload_options_t, safe_merge, 32);
  EXPECT_FIELD(peft_merge_and_unload_options_t, on_progress, 40);
  EXPECT_FIELD(peft_merge_and_unload_options_t, user_data, 48);
}

TEST(HeaderTest, Combine) {
  EXPECT_EQ(sizeof(peft_combine_options_t), 56u);
  EXPECT_FIELD(peft_combine_options_t, combination_type, 8);
  EXPECT_FIELD(peft_combine_options_t, majority_sign_method, 12);
  EXPECT_FIELD(peft_combine_options_t, svd_rank, 16);
  EXPECT_FIELD(peft_combine_options_t, svd_clamp, 24);
  EXPECT_FIELD(peft_combine_options_t, density, 28);
  EXPECT_FIELD(peft_combine_options_t, seed, 32);
  EXPECT_FIELD(peft_combine_options_t, svd_full_matrices, 40);
  EXPECT_FIELD(peft_combine_options_t, svd_driver, 48);
}

TEST(HeaderTest, Probe) {
  EXPECT_EQ(sizeof(peft_probe_options_t), 24u);
  EXPECT_FIELD(peft_probe_options_t, seed, 8);
  EXPECT_FIELD(peft_probe_options_t, rows, 16);
  EXPECT_EQ(sizeof(peft_probe_line_t), 40u);
  EXPECT_FIELD(peft_probe_line_t, name, 8);
  EXPECT_FIELD(peft_probe_line_t, base_norm, 16);
  EXPECT_FIELD(peft_probe_line_t, delta_norm, 24);
  EXPECT_FIELD(peft_probe_line_t, ratio, 32);
  EXPECT_EQ(sizeof(peft_probe_summary_t), 40u);
  EXPECT_FIELD(peft_probe_summary_t, num_sites, 8);
  EXPECT_FIELD(peft_probe_summary_t, num_unchanged, 16);
  EXPECT_FIELD(peft_probe_summary_t, ratio, 24);
  EXPECT_FIELD(peft_probe_summary_t, max_ratio, 32);
}

TEST(HeaderTest, AdapterFacts) {
  EXPECT_EQ(sizeof(peft_adapter_info_t), 72u);
  EXPECT_FIELD(peft_adapter_info_t, peft_type, 8);
  EXPECT_FIELD(peft_adapter_info_t, generation, 16);
  EXPECT_FIELD(peft_adapter_info_t, rank, 24);
  EXPECT_FIELD(peft_adapter_info_t, num_parameters, 32);
  EXPECT_FIELD(peft_adapter_info_t, size_bytes, 40);
  EXPECT_FIELD(peft_adapter_info_t, num_sites, 48);
  EXPECT_FIELD(peft_adapter_info_t, scale, 56);
  EXPECT_FIELD(peft_adapter_info_t, is_active, 60);
  EXPECT_FIELD(peft_adapter_info_t, is_pinned, 64);
  EXPECT_FIELD(peft_adapter_info_t, is_trainable, 68);
  EXPECT_EQ(sizeof(peft_adapter_estimate_t), 40u);
  EXPECT_FIELD(peft_adapter_estimate_t, size_bytes, 8);
  EXPECT_FIELD(peft_adapter_estimate_t, file_bytes, 16);
  EXPECT_FIELD(peft_adapter_estimate_t, num_parameters, 24);
  EXPECT_FIELD(peft_adapter_estimate_t, num_tensors, 32);
}

TEST(HeaderTest, Session) {
  EXPECT_EQ(sizeof(peft_session_options_t), 24u);
  EXPECT_FIELD(peft_session_options_t, max_length, 8);
  EXPECT_FIELD(peft_session_options_t, round_activations, 16);
  EXPECT_EQ(sizeof(peft_forward_input_t), 56u);
  EXPECT_FIELD(peft_forward_input_t, ids, 8);
  EXPECT_FIELD(peft_forward_input_t, batch, 16);
  EXPECT_FIELD(peft_forward_input_t, length, 24);
  EXPECT_FIELD(peft_forward_input_t, attention_mask, 32);
  EXPECT_FIELD(peft_forward_input_t, position_ids, 40);
  EXPECT_FIELD(peft_forward_input_t, token_type_ids, 48);
  EXPECT_EQ(sizeof(peft_forward_options_t), 64u);
  EXPECT_FIELD(peft_forward_options_t, logits_to_keep, 8);
  EXPECT_FIELD(peft_forward_options_t, allow_activation_change, 16);
  EXPECT_FIELD(peft_forward_options_t, adapter_names, 24);
  EXPECT_FIELD(peft_forward_options_t, num_adapter_names, 32);
  EXPECT_FIELD(peft_forward_options_t, activations, 40);
  EXPECT_FIELD(peft_forward_options_t, num_activations, 48);
  EXPECT_FIELD(peft_forward_options_t, outputs, 56);
}

TEST(HeaderTest, GenerateOptions) {
  EXPECT_EQ(sizeof(peft_generate_options_t), 152u);
  EXPECT_FIELD(peft_generate_options_t, max_new_tokens, 8);
  EXPECT_FIELD(peft_generate_options_t, do_sample, 16);
  EXPECT_FIELD(peft_generate_options_t, temperature, 20);
  EXPECT_FIELD(peft_generate_options_t, top_k, 24);
  EXPECT_FIELD(peft_generate_options_t, top_p, 32);
  EXPECT_FIELD(peft_generate_options_t, min_p, 36);
  EXPECT_FIELD(peft_generate_options_t, repetition_penalty, 40);
  EXPECT_FIELD(peft_generate_options_t, seed, 48);
  EXPECT_FIELD(peft_generate_options_t, eos_token_ids, 56);
  EXPECT_FIELD(peft_generate_options_t, num_eos_token_ids, 64);
  EXPECT_FIELD(peft_generate_options_t, ignore_eos, 72);
  EXPECT_FIELD(peft_generate_options_t, stop_tokens, 80);
  EXPECT_FIELD(peft_generate_options_t, stop_sequence_lengths, 88);
  EXPECT_FIELD(peft_generate_options_t, num_stop_sequences, 96);
  EXPECT_FIELD(peft_generate_options_t, on_token, 104);
  EXPECT_FIELD(peft_generate_options_t, user_data, 112);
  EXPECT_FIELD(peft_generate_options_t, adapter_names, 120);
  EXPECT_FIELD(peft_generate_options_t, num_adapter_names, 128);
  EXPECT_FIELD(peft_generate_options_t, activations, 136);
  EXPECT_FIELD(peft_generate_options_t, num_activations, 144);
}

TEST(HeaderTest, HostModel) {
  EXPECT_EQ(sizeof(peft_layer_t), 168u);
  EXPECT_FIELD(peft_layer_t, name, 8);
  EXPECT_FIELD(peft_layer_t, kind, 16);
  EXPECT_FIELD(peft_layer_t, is_output_embedding, 20);
  EXPECT_FIELD(peft_layer_t, weight, 24);
  EXPECT_FIELD(peft_layer_t, bias, 32);
  EXPECT_FIELD(peft_layer_t, copy_weights, 40);
  EXPECT_FIELD(peft_layer_t, is_transposed, 44);
  EXPECT_FIELD(peft_layer_t, stride, 48);
  EXPECT_FIELD(peft_layer_t, padding, 72);
  EXPECT_FIELD(peft_layer_t, padding_end, 96);
  EXPECT_FIELD(peft_layer_t, dilation, 120);
  EXPECT_FIELD(peft_layer_t, groups, 144);
  EXPECT_FIELD(peft_layer_t, epsilon, 152);
  EXPECT_FIELD(peft_layer_t, writable_weights, 160);
  EXPECT_EQ(sizeof(peft_run_layer_options_t), 56u);
  EXPECT_FIELD(peft_run_layer_options_t, expert, 8);
  EXPECT_FIELD(peft_run_layer_options_t, adapter_names, 16);
  EXPECT_FIELD(peft_run_layer_options_t, num_adapter_names, 24);
  EXPECT_FIELD(peft_run_layer_options_t, activations, 32);
  EXPECT_FIELD(peft_run_layer_options_t, num_activations, 40);
  EXPECT_FIELD(peft_run_layer_options_t, stream, 48);
  EXPECT_EQ(sizeof(peft_cuda_options_t), 72u);
  EXPECT_FIELD(peft_cuda_options_t, device_index, 8);
  EXPECT_FIELD(peft_cuda_options_t, dtype, 12);
  EXPECT_FIELD(peft_cuda_options_t, adapter_dtype, 16);
  EXPECT_FIELD(peft_cuda_options_t, deterministic, 20);
  EXPECT_FIELD(peft_cuda_options_t, max_adapters, 24);
  EXPECT_FIELD(peft_cuda_options_t, max_rank, 28);
  EXPECT_FIELD(peft_cuda_options_t, max_activations, 32);
  EXPECT_FIELD(peft_cuda_options_t, adapter_bytes, 40);
  EXPECT_FIELD(peft_cuda_options_t, driver_path, 48);
  EXPECT_FIELD(peft_cuda_options_t, cublaslt_path, 56);
  EXPECT_FIELD(peft_cuda_options_t, kernels_path, 64);
  EXPECT_EQ(sizeof(peft_form_t), 16u);
  EXPECT_FIELD(peft_form_t, kind, 8);
  EXPECT_FIELD(peft_form_t, scale, 12);
}

#endif  // UINTPTR_MAX == UINT64_MAX

}  // namespace
