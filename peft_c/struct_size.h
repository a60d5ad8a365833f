// Structs of the C ABI that grow: how those of older and newer programs are
// read and written.
#ifndef PEFT_C_STRUCT_SIZE_H_
#define PEFT_C_STRUCT_SIZE_H_

#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_c/peft_c.h"

namespace peft {

// The bytes of `Struct` up to the end of the last field of its first version.
// Never changes: fields are only appended.
template <typename Struct>
inline constexpr size_t kFirstSize = 0;

#define PEFT_FIRST_VERSION_ENDS_WITH(type, field) \
  template <>                                     \
  inline constexpr size_t kFirstSize<type> =      \
      offsetof(type, field) + sizeof(type::field)

PEFT_FIRST_VERSION_ENDS_WITH(peft_build_info_t, model_types);
PEFT_FIRST_VERSION_ENDS_WITH(peft_tensor_view_t, strides);
PEFT_FIRST_VERSION_ENDS_WITH(peft_model_options_t, num_threads);
PEFT_FIRST_VERSION_ENDS_WITH(peft_model_info_t, num_sites);
PEFT_FIRST_VERSION_ENDS_WITH(peft_load_options_t, lenient);
PEFT_FIRST_VERSION_ENDS_WITH(peft_set_adapter_options_t, scales);
PEFT_FIRST_VERSION_ENDS_WITH(peft_report_line_t, detail);
PEFT_FIRST_VERSION_ENDS_WITH(peft_session_options_t, max_length);
PEFT_FIRST_VERSION_ENDS_WITH(peft_forward_input_t, position_ids);
PEFT_FIRST_VERSION_ENDS_WITH(peft_forward_options_t, allow_activation_change);
PEFT_FIRST_VERSION_ENDS_WITH(peft_generate_options_t, user_data);
PEFT_FIRST_VERSION_ENDS_WITH(peft_merge_options_t, safe_merge);
PEFT_FIRST_VERSION_ENDS_WITH(peft_merge_and_unload_options_t, user_data);
PEFT_FIRST_VERSION_ENDS_WITH(peft_combine_options_t, seed);
PEFT_FIRST_VERSION_ENDS_WITH(peft_probe_options_t, rows);
PEFT_FIRST_VERSION_ENDS_WITH(peft_probe_line_t, ratio);
PEFT_FIRST_VERSION_ENDS_WITH(peft_probe_summary_t, max_ratio);
PEFT_FIRST_VERSION_ENDS_WITH(peft_layer_t, epsilon);
PEFT_FIRST_VERSION_ENDS_WITH(peft_run_layer_options_t, expert);
PEFT_FIRST_VERSION_ENDS_WITH(peft_add_adapter_options_t, seed);
PEFT_FIRST_VERSION_ENDS_WITH(peft_save_options_t, overwrite);
PEFT_FIRST_VERSION_ENDS_WITH(peft_adapter_info_t, is_trainable);
PEFT_FIRST_VERSION_ENDS_WITH(peft_adapter_estimate_t, num_tensors);
PEFT_FIRST_VERSION_ENDS_WITH(peft_allocator_t, deallocate);
PEFT_FIRST_VERSION_ENDS_WITH(peft_thread_pool_t, num_threads);
PEFT_FIRST_VERSION_ENDS_WITH(peft_file_t, user_data);
PEFT_FIRST_VERSION_ENDS_WITH(peft_form_t, scale);
PEFT_FIRST_VERSION_ENDS_WITH(peft_cuda_options_t, kernels_path);

#undef PEFT_FIRST_VERSION_ENDS_WITH

// A struct_size above this is taken for memory that nobody initialised.
inline constexpr size_t kMaxStructSize = 4096;

// INVALID_ARGUMENT (STRUCT_SIZE) unless `found` lies between `first` and
// kMaxStructSize, and is a size that a struct can have.
absl::Status CheckStructSize(absl::string_view argument, size_t found,
                             size_t first);

// INVALID_ARGUMENT (STRUCT_SIZE) unless the bytes from `known` to
// `struct_size` are all zero.
absl::Status CheckUnknownBytes(absl::string_view argument, const void* data,
                               size_t known, size_t struct_size);

// INVALID_ARGUMENT (ARGUMENT): the struct pointer `argument` is NULL.
absl::Status NullStruct(absl::string_view argument);

inline size_t KnownSize(size_t struct_size, size_t size) {
  return struct_size < size ? struct_size : size;
}

// Copies what the program knows of the struct `in` over the defaults that
// `*out` holds.
template <typename Struct>
absl::Status ReadStruct(absl::string_view argument, const Struct* in,
                        Struct* out) {
  static_assert(kFirstSize<Struct> != 0, "list the struct above");
  if (in == nullptr) return NullStruct(argument);
  const size_t size = in->struct_size;
  absl::Status status = CheckStructSize(argument, size, kFirstSize<Struct>);
  if (status.ok()) status = CheckUnknownBytes(argument, in, sizeof(*in), size);
  if (!status.ok()) return status;
  std::memcpy(out, in, KnownSize(size, sizeof(*in)));
  return status;
}

// As ReadStruct for the argument "options", which may be NULL: `*out` then
// keeps its defaults.
template <typename Struct>
absl::Status ReadOptions(const Struct* in, Struct* out) {
  return in == nullptr ? absl::OkStatus() : ReadStruct("options", in, out);
}

// Checks the out struct `out` and zeroes all but its struct_size.
template <typename Struct>
absl::Status ClearOutStruct(absl::string_view argument, Struct* out) {
  static_assert(kFirstSize<Struct> != 0, "list the struct above");
  if (out == nullptr) return NullStruct(argument);
  const size_t size = out->struct_size;
  absl::Status status = CheckStructSize(argument, size, kFirstSize<Struct>);
  if (!status.ok()) return status;
  std::memset(reinterpret_cast<char*>(out) + sizeof(size), 0,
              size - sizeof(size));
  return status;
}

// Writes as much of `value` as the program knows to `out`, which passed
// ClearOutStruct.
template <typename Struct>
void WriteOutStruct(const Struct& value, Struct* out) {
  const size_t size = out->struct_size;
  std::memcpy(out, &value, KnownSize(size, sizeof(value)));
  out->struct_size = size;
}

// The body of peft_..._init: `defaults`, cut or filled up with zeroes to
// `struct_size` bytes. Sizes that no struct can have write nothing. Make the
// defaults static, so that their padding is zero too.
template <typename Struct>
void InitStruct(const Struct& defaults, Struct* out, size_t struct_size) {
  if (out == nullptr || struct_size < sizeof(out->struct_size) ||
      struct_size > kMaxStructSize) {
    return;
  }
  std::memset(static_cast<void*>(out), 0, struct_size);
  std::memcpy(out, &defaults, KnownSize(struct_size, sizeof(defaults)));
  out->struct_size = struct_size;
}

}  // namespace peft

#endif  // PEFT_C_STRUCT_SIZE_H_
