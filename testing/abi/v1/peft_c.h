/* peft_c.h: PEFT adapters for programs that are not Python.
 *
 * Opens a base model from a Hugging Face folder, loads adapters straight from
 * their PEFT folders, switches between them, runs forward and generate:
 *
 *   peft_model_t* model = NULL;
 *   peft_session_t* session = NULL;
 *   peft_generate_result_t* result = NULL;
 *   int64_t prompt[] = {1, 42, 17};
 *   peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
 *   input.ids = prompt;
 *   input.batch = 1;
 *   input.length = 3;
 *   peft_status_t* status = peft_model_open("my-model", NULL, &model);
 *   if (!status) status = peft_model_load_adapter(model, "german",
 *                                                 "my-adapter", NULL, NULL);
 *   if (!status) status = peft_session_create(model, NULL, &session);
 *   if (!status) status = peft_session_generate(session, &input, NULL,
 *                                               &result);
 *   if (status) fprintf(stderr, "%s\n", peft_status_message(status));
 *
 * Conventions. They hold for every declaration below.
 *
 * Errors: what can fail returns a `peft_status_t*`. NULL is success; anything
 *   else is owned by the caller and freed with peft_status_free. There is no
 *   last-error state, so calls may move between threads. After a failure every
 *   `out_` parameter is NULL or zero, nothing has changed and there is nothing
 *   to clean up. Any function that takes a handle can fail with
 *   INVALID_ARGUMENT (id "HANDLE": null, freed, or of another kind), any that
 *   takes text with INVALID_ARGUMENT ("UTF8": null or not UTF-8), any that
 *   takes a struct with INVALID_ARGUMENT ("STRUCT_SIZE"), any with
 *   INVALID_ARGUMENT ("ARGUMENT": a null pointer or a value out of range) and
 *   with RESOURCE_EXHAUSTED ("OUT_OF_MEMORY"). Only further errors are listed.
 * Handles: opaque values in a pointer type that point to nothing; only the
 *   library can tell what they stand for. Freeing NULL does nothing; freeing a
 *   handle twice is logged and does nothing; using a freed handle is an error,
 *   not a crash. A handle that another thread frees during a call stays good
 *   until that call returns. Handles never keep other handles alive in a way
 *   that is visible here: free them in any order.
 * Structs begin with `struct_size`: the sizeof of the struct in the program.
 *   Fill them with the `_INIT` macro or the `_init` function, which write the
 *   real defaults; zero is a value like any other. Where a pointer to an
 *   options struct may be NULL, NULL means all defaults. Fields are only ever
 *   appended. In a struct of an older program the fields that it lacks take
 *   their defaults; one of a newer program is taken as long as all bytes that
 *   this library does not know are zero. Of an `out_` struct no more than
 *   struct_size bytes are written; what the library does not know becomes zero.
 * Text is UTF-8 ending in NUL. Arrays are pointer and count; with count 0 the
 *   pointer may be anything. Counts over 2^20 are refused where an array holds
 *   names or options.
 * Callbacks must return normally: they must not longjmp. A C++ exception that
 *   leaves one is caught and acts as the callback's refusal.
 * Ownership words: *borrows* (until the call returns), *returns new* (free it
 *   with ...), *returns borrowed* (valid until ...).
 * Thread words, one per type: *immutable*, *thread-safe*, *thread-compatible*
 *   (one call at a time per object).
 * Constants are macros and fields int32_t; an unknown value is an error.
 *
 * Since: the API number in which a declaration appeared; see
 *   docs/api_history.md.
 */
#ifndef PEFT_C_PEFT_C_H_
#define PEFT_C_PEFT_C_H_

#include <stddef.h>
#include <stdint.h>

/* Marks what the library exports. */
#if defined(_WIN32) && defined(PEFT_BUILDING_LIBRARY)
#define PEFT_API __declspec(dllexport)
#elif defined(_WIN32)
#define PEFT_API __declspec(dllimport)
#elif defined(__GNUC__)
#define PEFT_API __attribute__((visibility("default")))
#else
#define PEFT_API
#endif

/* Makes the compiler warn when the result is dropped. */
#if defined(__GNUC__)
#define PEFT_MUST_USE __attribute__((warn_unused_result))
#else
#define PEFT_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ version */

/* The API number of this header. It grows by one with each addition; nothing
 * is ever removed or changed within a major version. */
#define PEFT_API_VERSION 1

/* Returns the API number of the library that is loaded; a program needs it to
 * be at least the PEFT_API_VERSION that it was compiled with. Since: 1. */
PEFT_API int32_t peft_api_version(void);

/* What the library is and can do here. The strings are borrowed and live as
 * long as the process. Since: 1. */
typedef struct peft_build_info {
  size_t struct_size;
  int32_t api_version;
  const char* version;     /* "0.1.0" */
  const char* compiler;    /* "gcc 12.2.0" */
  const char* cpu_kernels; /* the variant chosen on this machine: "avx512" */
  const char* methods;     /* PEFT methods that can run, "LORA" */
  const char* model_types; /* base models that can run, "llama,mistral,..." */
} peft_build_info_t;

/* For peft_get_build_info. Since: 1. */
#define PEFT_BUILD_INFO_INIT \
  { sizeof(peft_build_info_t), 0, NULL, NULL, NULL, NULL, NULL }

/* Writes what is known to `out_info`, whose struct_size is set. Does nothing
 * when `out_info` is NULL or its struct_size that of no such struct.
 * Since: 1. */
PEFT_API void peft_get_build_info(peft_build_info_t* out_info);

/* ------------------------------------------------------------------- status */

/* A failure. Immutable. Since: 1. */
typedef struct peft_status peft_status_t;

/* Canonical codes, with absl's numbers. Since: 1. */
#define PEFT_OK 0                  /* what peft_status_code says of NULL */
#define PEFT_CANCELLED 1           /* a callback asked to stop */
#define PEFT_UNKNOWN 2             /* the handle asked about is no status */
#define PEFT_INVALID_ARGUMENT 3    /* fix the argument or the file */
#define PEFT_NOT_FOUND 5           /* no such file or adapter */
#define PEFT_ALREADY_EXISTS 6      /* the name is taken */
#define PEFT_RESOURCE_EXHAUSTED 8  /* out of memory, or over a limit */
#define PEFT_FAILED_PRECONDITION 9 /* the state is wrong; do what it says */
#define PEFT_UNIMPLEMENTED 12      /* this version cannot do it */
#define PEFT_INTERNAL 13           /* a bug of the library: report it */
#define PEFT_DATA_LOSS 15          /* a file could not be read to its end */

/* Returns the code, PEFT_OK for NULL, PEFT_UNKNOWN for a freed status or what
 * never was one. Since: 1. */
PEFT_API int32_t peft_status_code(const peft_status_t* status);

/* Returns borrowed, until the status is freed: the stable id of the error
 * ("TENSOR_SHAPE_MISMATCH"; the list with causes and cures is docs/errors.md).
 * Never NULL; "" for NULL. Since: 1. */
PEFT_API const char* peft_status_id(const peft_status_t* status);

/* Returns borrowed, until the status is freed: a sentence that names the thing
 * and says what to do. Never NULL; "" for NULL. Since: 1. */
PEFT_API const char* peft_status_message(const peft_status_t* status);

/* Returns borrowed, until the status is freed: the tensor, config key or file
 * that is wrong. Never NULL; "" where there is none. Since: 1. */
PEFT_API const char* peft_status_subject(const peft_status_t* status);

/* Returns borrowed, until the status is freed: what was expected of the
 * subject, as text such as "[8, 128]". Never NULL; "" where it does not apply.
 * Since: 1. */
PEFT_API const char* peft_status_expected(const peft_status_t* status);

/* Returns borrowed, until the status is freed: what was found instead. Never
 * NULL; "" where it does not apply. Since: 1. */
PEFT_API const char* peft_status_found(const peft_status_t* status);

/* Frees the status. Takes NULL. Since: 1. */
PEFT_API void peft_status_free(peft_status_t* status);

/* ------------------------------------------------------------------ logging */

/* How serious a line is. Since: 1. */
#define PEFT_LOG_INFO 1    /* worth knowing once */
#define PEFT_LOG_WARNING 2 /* a mistake of the program that did no harm */
#define PEFT_LOG_ERROR 3   /* something was lost */

/* Receives one line without a line break, borrowed for the call. May be called
 * from any thread, one call at a time; must not call back into the library.
 * Since: 1. */
typedef void (*peft_log_fn)(void* user_data, int32_t level, const char* line);

/* Sends the library's log lines to `callback` instead of stderr; NULL drops
 * them. Keeps `user_data` until the next call, which returns when no line is on
 * its way to the old callback any more. Thread-safe. Since: 1. */
PEFT_API void peft_set_logger(peft_log_fn callback, void* user_data);

/* ------------------------------------------------------------- text results */

/* A text that the library made. Immutable. Since: 1. */
typedef struct peft_string peft_string_t;

/* Returns borrowed, until the string is freed. NUL-terminated; "" for a bad
 * handle. Since: 1. */
PEFT_API const char* peft_string_data(const peft_string_t* string);

/* Bytes without the NUL; 0 for a bad handle. Since: 1. */
PEFT_API size_t peft_string_size(const peft_string_t* string);

/* Frees the string. Takes NULL. Since: 1. */
PEFT_API void peft_string_free(peft_string_t* string);

/* A list of names. Immutable. Since: 1. */
typedef struct peft_string_list peft_string_list_t;

/* The number of names; 0 for a bad handle. Since: 1. */
PEFT_API size_t peft_string_list_size(const peft_string_list_t* list);

/* Returns borrowed, until the list is freed: name `index`, or NULL when there
 * is none. Since: 1. */
PEFT_API const char* peft_string_list_get(const peft_string_list_t* list,
                                          size_t index);

/* Frees the list. Takes NULL. Since: 1. */
PEFT_API void peft_string_list_free(peft_string_list_t* list);

/* ------------------------------------------------------------------ tensors */

/* Element types, with the names that safetensors gives them. Elements of less
 * than a byte (F4, F6) are packed. Since: 1. */
#define PEFT_DTYPE_BOOL 1
#define PEFT_DTYPE_U8 2
#define PEFT_DTYPE_I8 3
#define PEFT_DTYPE_U16 4
#define PEFT_DTYPE_I16 5
#define PEFT_DTYPE_U32 6
#define PEFT_DTYPE_I32 7
#define PEFT_DTYPE_U64 8
#define PEFT_DTYPE_I64 9
#define PEFT_DTYPE_F16 10
#define PEFT_DTYPE_BF16 11
#define PEFT_DTYPE_F32 12
#define PEFT_DTYPE_F64 13
#define PEFT_DTYPE_F8_E4M3 14
#define PEFT_DTYPE_F8_E5M2 15
#define PEFT_DTYPE_C64 16
#define PEFT_DTYPE_F8_E8M0 17
#define PEFT_DTYPE_F8_E4M3FNUZ 18
#define PEFT_DTYPE_F8_E5M2FNUZ 19
#define PEFT_DTYPE_F4 20
#define PEFT_DTYPE_F6_E2M3 21
#define PEFT_DTYPE_F6_E3M2 22

/* Where a tensor's memory is; numbers as in DLPack. Since: 1. */
#define PEFT_DEVICE_CPU 1

/* A plain description of elements in memory; owns nothing. Since: 1. */
typedef struct peft_tensor_view {
  size_t struct_size;
  /* The first element. May be unaligned; may be anything when one of the sizes
   * is 0. */
  const void* data;
  /* PEFT_DTYPE_... */
  int32_t dtype;
  /* PEFT_DEVICE_..., and which of them: 0. */
  int32_t device_type;
  int32_t device_index;
  /* The number of sizes; 0 for a scalar. */
  int32_t rank;
  /* The number of elements along each axis. */
  const int64_t* sizes;
  /* From one element to the next along each axis, counted in elements. NULL:
   * contiguous, the last axis fastest. */
  const int64_t* strides;
} peft_tensor_view_t;

/* An empty view on the CPU: set data, dtype, rank and sizes. Since: 1. */
#define PEFT_TENSOR_VIEW_INIT \
  { sizeof(peft_tensor_view_t), NULL, 0, PEFT_DEVICE_CPU, 0, 0, NULL, NULL }

/* Writes the defaults to the `struct_size` bytes at `view`. Since: 1. */
PEFT_API void peft_tensor_view_init(peft_tensor_view_t* view,
                                    size_t struct_size);

/* A tensor that keeps its memory alive. Immutable. Since: 1. */
typedef struct peft_tensor peft_tensor_t;

/* Describes the tensor. The pointers written are borrowed, until the tensor is
 * freed. `out_view->struct_size` is set by the caller. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_tensor_get_view(
    const peft_tensor_t* tensor, peft_tensor_view_t* out_view);

/* DLPack's struct, as its own dlpack.h defines it (major version 0 layout).
 * Since: 1. */
struct DLManagedTensor;

/* Returns new: a DLManagedTensor that keeps the memory alive by itself, also
 * when the tensor is freed; the consumer ends it with its deleter, on any
 * thread. Its memory must not be written to. Elements that lie unaligned in
 * their file are copied first. Fails with UNIMPLEMENTED ("TENSOR_DTYPE") for
 * element types that DLPack has no code for. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_tensor_to_dlpack(
    const peft_tensor_t* tensor, struct DLManagedTensor** out_managed);

/* Frees the tensor. Takes NULL. Since: 1. */
PEFT_API void peft_tensor_free(peft_tensor_t* tensor);

/* Tensors by name, in name order. Thread-compatible. Since: 1. */
typedef struct peft_state_dict peft_state_dict_t;

/* Returns new: an empty state dict. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_state_dict_create(
    peft_state_dict_t** out_state_dict);

/* Returns new: the tensors of a safetensors file or of a torch.save file
 * (`.bin`, `.pt`), told apart by their contents. The file is read, not mapped.
 * Fails with NOT_FOUND ("FILE_NOT_FOUND"), DATA_LOSS ("FILE_READ") or
 * INVALID_ARGUMENT ("SAFETENSORS", "TORCH_FILE", "PICKLE_REFUSED"). Since: 1.
 */
PEFT_API PEFT_MUST_USE peft_status_t* peft_state_dict_read(
    const char* path, peft_state_dict_t** out_state_dict);

/* Writes a safetensors file through a temporary file and a rename: after a
 * failure (DATA_LOSS, "FILE_WRITE") what was at `path` is unchanged. Since: 1.
 */
PEFT_API PEFT_MUST_USE peft_status_t* peft_state_dict_write(
    const peft_state_dict_t* state_dict, const char* path);

/* Adds a copy of the elements of `view` under `name`, replacing what was
 * there. Borrows both. A rank over 16 is refused, and so are strides for
 * elements of less than a byte. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_state_dict_set(
    peft_state_dict_t* state_dict, const char* name,
    const peft_tensor_view_t* view);

/* The number of tensors; 0 for a bad handle. Since: 1. */
PEFT_API size_t peft_state_dict_size(const peft_state_dict_t* state_dict);

/* Returns borrowed, until the state dict changes or is freed: the name of
 * tensor `index`, or NULL when there is none. Since: 1. */
PEFT_API const char* peft_state_dict_name(const peft_state_dict_t* state_dict,
                                          size_t index);

/* Returns new: the tensor `name`. It outlives the state dict. Fails with
 * NOT_FOUND ("TENSOR_MISSING"). Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_state_dict_get(
    const peft_state_dict_t* state_dict, const char* name,
    peft_tensor_t** out_tensor);

/* Frees the state dict. Takes NULL. Since: 1. */
PEFT_API void peft_state_dict_free(peft_state_dict_t* state_dict);

/* -------------------------------------------------------------------- model */

/* A base model with any number of adapters. Thread-safe. Sessions keep what
 * they need of it: it may be freed before them. Since: 1. */
typedef struct peft_model peft_model_t;

/* How base weights are read. Truncating a mapped file kills the process with
 * SIGBUS: where others may write to the folder, copy. Since: 1. */
#define PEFT_READ_MODE_MAP 1  /* map the files: nothing is copied */
#define PEFT_READ_MODE_READ 2 /* copy them to memory */

/* How a base model is opened. Since: 1. */
typedef struct peft_model_options {
  size_t struct_size;
  /* PEFT_READ_MODE_...; default PEFT_READ_MODE_MAP. */
  int32_t read_mode;
  /* How many threads a forward uses, the one that calls included; the model's
   * sessions share them. Default 0: one per core. The numbers that a forward
   * computes do not depend on it. */
  int32_t num_threads;
} peft_model_options_t;

/* All defaults. Since: 1. */
#define PEFT_MODEL_OPTIONS_INIT \
  { sizeof(peft_model_options_t), PEFT_READ_MODE_MAP, 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_model_options_init(peft_model_options_t* options,
                                      size_t struct_size);

/* Returns new: the model in the Hugging Face folder `path` (config.json and
 * safetensors, single or sharded). Fails with NOT_FOUND, INVALID_ARGUMENT
 * ("MODEL_CONFIG", "MODEL_WEIGHTS", "SAFETENSORS") or UNIMPLEMENTED
 * ("MODEL_UNSUPPORTED": a family, rope type or quantization that this version
 * does not run, named in the message). Tensors that the model does not use are
 * logged as warnings. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_open(
    const char* path, const peft_model_options_t* options,
    peft_model_t** out_model);

/* Frees the model. Takes NULL. Since: 1. */
PEFT_API void peft_model_free(peft_model_t* model);

/* What a model is. The text is borrowed, until the model is freed. Since: 1. */
typedef struct peft_model_info {
  size_t struct_size;
  /* transformers' name of the family: "llama". */
  const char* model_type;
  /* Token ids are 0 to vocab_size - 1. */
  int64_t vocab_size;
  int64_t hidden_size;
  int64_t num_layers;
  /* What the model was trained for. Longer sequences are not refused. */
  int64_t max_position_embeddings;
  /* The elements of all weights, tied ones once, and their bytes. */
  int64_t num_parameters;
  int64_t size_bytes;
  /* The number of layers that adapters can attach to. */
  int64_t num_sites;
} peft_model_info_t;

/* For peft_model_get_info. Since: 1. */
#define PEFT_MODEL_INFO_INIT \
  { sizeof(peft_model_info_t), NULL, 0, 0, 0, 0, 0, 0, 0 }

/* Writes the facts to `out_info`, whose struct_size is set. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_get_info(
    const peft_model_t* model, peft_model_info_t* out_info);

/* -------------------------------------- adapters: PeftAdapterMixin's verbs */

/* What loading an adapter found. Immutable. Since: 1. */
typedef struct peft_load_report peft_load_report_t;

/* How an adapter is loaded. Since: 1. */
typedef struct peft_load_options {
  size_t struct_size;
  /* A folder below the adapter's own; must not lead out of it. Default NULL:
   * none. */
  const char* subfolder;
  /* Default 0: strict. 1: missing tensors (they act as zero), unexpected
   * tensors and unknown config keys are lines of the report instead of errors.
   */
  int32_t lenient;
} peft_load_options_t;

/* All defaults. Since: 1. */
#define PEFT_LOAD_OPTIONS_INIT \
  { sizeof(peft_load_options_t), NULL, 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_load_options_init(peft_load_options_t* options,
                                     size_t struct_size);

/* Loads the PEFT folder `path` (adapter_config.json with
 * adapter_model.safetensors or adapter_model.bin) under `name` and makes it the
 * only active adapter. `name` NULL means "default". Strict: whatever would make
 * the result differ from Python's is an error that names it. Fails with
 * ALREADY_EXISTS ("ADAPTER_EXISTS") when `name` is taken, NOT_FOUND
 * ("FILE_NOT_FOUND"), INVALID_ARGUMENT ("ADAPTER_CONFIG",
 * "ADAPTER_CONFIG_UNKNOWN_KEY", "NO_TARGET_MATCHED", "TENSOR_MISSING",
 * "TENSOR_UNEXPECTED", "TENSOR_SHAPE_MISMATCH", "TENSOR_DTYPE", ...) or
 * UNIMPLEMENTED ("ADAPTER_METHOD_UNSUPPORTED", "ADAPTER_FEATURE_UNSUPPORTED").
 * The model is then unchanged. `out_report` may be NULL; else returns new, free
 * with peft_load_report_free. Borrows the texts. Running forwards are not
 * disturbed. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_load_adapter(
    peft_model_t* model, const char* name, const char* path,
    const peft_load_options_t* options, peft_load_report_t** out_report);

/* How adapters act together. Since: 1. */
typedef struct peft_set_adapter_options {
  size_t struct_size;
  /* One finite number per name, multiplied with the adapter's own scale; 0 and
   * negative ones are allowed. Default NULL: all 1. */
  const float* scales;
} peft_set_adapter_options_t;

/* All defaults. Since: 1. */
#define PEFT_SET_ADAPTER_OPTIONS_INIT \
  { sizeof(peft_set_adapter_options_t), NULL }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_set_adapter_options_init(peft_set_adapter_options_t* options,
                                            size_t struct_size);

/* Makes exactly these adapters active, in this order; their effects add up.
 * With num_names 0 the base model runs. Does not enable disabled adapters.
 * Fails with NOT_FOUND ("ADAPTER_NOT_FOUND"), or INVALID_ARGUMENT for a name
 * given twice or a scale that is not finite. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_set_adapter(
    peft_model_t* model, const char* const* names, size_t num_names,
    const peft_set_adapter_options_t* options);

/* Makes forwards run the base model, exactly. Which adapters are active is
 * remembered. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_disable_adapters(
    peft_model_t* model);

/* Undoes peft_model_disable_adapters. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_enable_adapters(
    peft_model_t* model);

/* Returns new: the active adapters in order, also while they are disabled.
 * Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_active_adapters(
    const peft_model_t* model, peft_string_list_t** out_names);

/* Returns new: all loaded adapters, in load order. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_list_adapters(
    const peft_model_t* model, peft_string_list_t** out_names);

/* Returns new: the tensors of adapter `name` under the names that
 * get_adapter_state_dict gives them in Python (without "base_model.model." and
 * without the adapter's name). `name` NULL means the first active one. Fails
 * with NOT_FOUND ("ADAPTER_NOT_FOUND"), or FAILED_PRECONDITION when `name` is
 * NULL and none is active. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_get_adapter_state_dict(
    const peft_model_t* model, const char* name,
    peft_state_dict_t** out_state_dict);

/* Deletes these adapters, all or none. Active ones among the others stay
 * active; forwards that run finish with what they began with. Fails with
 * NOT_FOUND ("ADAPTER_NOT_FOUND") naming all unknown ones. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_delete_adapter(
    peft_model_t* model, const char* const* names, size_t num_names);

/* -------------------------------------------------- load report and inspect */

/* Kinds of lines. Since: 1. */
#define PEFT_REPORT_MATCHED 1     /* a tensor in use; detail: its module */
#define PEFT_REPORT_MISSING 2     /* asked for by the config, not in the file */
#define PEFT_REPORT_UNEXPECTED 3  /* in the file, used by nothing */
#define PEFT_REPORT_MISMATCHED 4  /* of the wrong shape or dtype */
#define PEFT_REPORT_IGNORED_KEY 5 /* a config key that was not understood */
#define PEFT_REPORT_NOTE 6        /* anything else worth knowing */

/* One line; the texts are borrowed, until the report is freed. Since: 1. */
typedef struct peft_report_line {
  size_t struct_size;
  int32_t kind;       /* PEFT_REPORT_... */
  const char* name;   /* tensor name or config key; "" for most notes */
  const char* detail; /* a sentence, or the module */
} peft_report_line_t;

/* For peft_load_report_get_line. Since: 1. */
#define PEFT_REPORT_LINE_INIT \
  { sizeof(peft_report_line_t), 0, NULL, NULL }

/* The number of lines of `kind`, or of all lines with kind 0. 0 for a bad
 * handle. Since: 1. */
PEFT_API size_t peft_load_report_count(const peft_load_report_t* report,
                                       int32_t kind);

/* Writes line `index` (of all lines) to `out_line`, whose struct_size is set.
 * INVALID_ARGUMENT ("ARGUMENT") beyond the last. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_load_report_get_line(
    const peft_load_report_t* report, size_t index,
    peft_report_line_t* out_line);

/* The number of sites that the adapter changes; 0 for a bad handle.
 * Since: 1. */
PEFT_API int64_t peft_load_report_num_sites(const peft_load_report_t* report);

/* The number of elements of the tensors in use; 0 for a bad handle.
 * Since: 1. */
PEFT_API int64_t
peft_load_report_num_parameters(const peft_load_report_t* report);

/* Frees the report. Takes NULL. Since: 1. */
PEFT_API void peft_load_report_free(peft_load_report_t* report);

/* Returns new: a JSON object that describes the PEFT folder `path`, of any
 * method, also of those that cannot run yet: peft_type, runnable, reason,
 * ranks, target modules, tensors, parameters, bytes, ignored keys ... (all
 * fields: docs/c-api.md). With `model` not NULL also which of its modules
 * match. `subfolder` may be NULL. Fails when the folder cannot be read:
 * NOT_FOUND, INVALID_ARGUMENT. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_inspect_adapter(
    const char* path, const char* subfolder, const peft_model_t* model,
    peft_string_t** out_json);

/* ------------------------------------------------------------------ session */

/* A KV cache with its workspace: one conversation, or one batch of them.
 * Thread-compatible; any number of sessions of one model run at the same time.
 * A call on a session that another call is using, as from its own on_token,
 * fails with FAILED_PRECONDITION ("SESSION_BUSY"). Since: 1. */
typedef struct peft_session peft_session_t;

/* How a session is made. Since: 1. */
typedef struct peft_session_options {
  size_t struct_size;
  /* How many positions the cache may hold; more is SEQUENCE_TOO_LONG. Default
   * 0: it grows as memory allows. */
  int64_t max_length;
} peft_session_options_t;

/* All defaults. Since: 1. */
#define PEFT_SESSION_OPTIONS_INIT \
  { sizeof(peft_session_options_t), 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_session_options_init(peft_session_options_t* options,
                                        size_t struct_size);

/* Returns new: an empty session of `model`. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_session_create(
    const peft_model_t* model, const peft_session_options_t* options,
    peft_session_t** out_session);

/* Frees the session; a call that is using it goes on to its end. Takes NULL.
 * Since: 1. */
PEFT_API void peft_session_free(peft_session_t* session);

/* Empties the cache. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_session_reset(
    peft_session_t* session);

/* The number of positions in the cache; 0 for a bad handle, and while another
 * call uses the session. Since: 1. */
PEFT_API int64_t peft_session_cache_length(const peft_session_t* session);

/* Token ids, row-major (batch, length), borrowed for the call. Since: 1. */
typedef struct peft_forward_input {
  size_t struct_size;
  /* batch * length ids, row by row, each in [0, vocab_size). */
  const int64_t* ids;
  /* Rows and columns, both at least 1. */
  int64_t batch;
  int64_t length;
  /* As many: 0 for padding, which nothing attends to, else 1. Of these tokens
   * only: what is in the cache keeps its own. Default NULL: no padding. */
  const int64_t* attention_mask;
  /* As many. Default NULL: counted on from the tokens in the cache, padding
   * included, as transformers' forward does. Generate does not read them. */
  const int64_t* position_ids;
} peft_forward_input_t;

/* No tokens: set ids, batch and length. Since: 1. */
#define PEFT_FORWARD_INPUT_INIT \
  { sizeof(peft_forward_input_t), NULL, 0, 0, NULL, NULL }

/* Writes the defaults to the `struct_size` bytes at `input`. Since: 1. */
PEFT_API void peft_forward_input_init(peft_forward_input_t* input,
                                      size_t struct_size);

/* What a forward does besides. Since: 1. */
typedef struct peft_forward_options {
  size_t struct_size;
  /* Computes the logits of the last so many positions of each row only. Default
   * 0: of all. */
  int64_t logits_to_keep;
  /* 1: goes on with a cache that was written under other adapters. Default 0:
   * that is FAILED_PRECONDITION ("ACTIVATION_CHANGED"). */
  int32_t allow_activation_change;
} peft_forward_options_t;

/* All defaults. Since: 1. */
#define PEFT_FORWARD_OPTIONS_INIT \
  { sizeof(peft_forward_options_t), 0, 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_forward_options_init(peft_forward_options_t* options,
                                        size_t struct_size);

/* Runs the tokens after those in the cache, under the adapters that are active
 * when the call begins. Writes the logits, f32 (batch, positions, vocab_size),
 * to `out_logits`, whose struct_size is set; its pointers are borrowed, until
 * the next call on the session. The first forward after creation or a reset
 * fixes the batch. Fails with INVALID_ARGUMENT ("ARGUMENT",
 * "TOKEN_OUT_OF_RANGE"), RESOURCE_EXHAUSTED ("SEQUENCE_TOO_LONG") or
 * FAILED_PRECONDITION ("ACTIVATION_CHANGED"); the cache is then as it was.
 * Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_session_forward(
    peft_session_t* session, const peft_forward_input_t* input,
    const peft_forward_options_t* options, peft_tensor_view_t* out_logits);

/* Called for each new token of each row, on the thread that called generate.
 * Returns 0 to go on and anything else to cancel. Since: 1. */
typedef int32_t (*peft_token_fn)(void* user_data, int64_t row, int64_t token);

/* Names and meanings as in transformers' GenerationConfig. Since: 1. */
typedef struct peft_generate_options {
  size_t struct_size;
  /* At least 1; default 20. */
  int64_t max_new_tokens;
  /* Default 0: the best token each time. 1: draws one, and the next four say
   * how. */
  int32_t do_sample;
  /* Divides the logits; over 0, default 1. */
  float temperature;
  /* Draws from the best so many tokens; default 50, 0: from all. */
  int64_t top_k;
  /* Draws from the best tokens whose probabilities add up to so much; 0 to 1,
   * default 1: from all. */
  float top_p;
  /* Draws from tokens of at least so much of the best one's probability; 0 to
   * 1, default 0: from all. */
  float min_p;
  /* Makes tokens that the row has already less likely; over 0, default 1: off.
   * Also without do_sample. */
  float repetition_penalty;
  /* Equal seeds give equal tokens; default 0. */
  uint64_t seed;
  /* The tokens that end a row. Default none: the model's own. */
  const int64_t* eos_token_ids;
  size_t num_eos_token_ids;
  /* 1: no token ends a row. Default 0. */
  int32_t ignore_eos;
  /* A row ends when its new tokens end in one of these: sequence i is the next
   * stop_sequence_lengths[i] tokens of stop_tokens. Default none. */
  const int64_t* stop_tokens;
  const size_t* stop_sequence_lengths;
  size_t num_stop_sequences;
  /* Called for each new token with user_data. Default NULL. */
  peft_token_fn on_token;
  void* user_data;
} peft_generate_options_t;

/* All defaults. Since: 1. */
#define PEFT_GENERATE_OPTIONS_INIT                                         \
  {                                                                        \
    sizeof(peft_generate_options_t), 20, 0, 1.0f, 50, 1.0f, 0.0f, 1.0f, 0, \
        NULL, 0, 0, NULL, NULL, 0, NULL, NULL                              \
  }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_generate_options_init(peft_generate_options_t* options,
                                         size_t struct_size);

/* What generate made. Immutable. Since: 1. */
typedef struct peft_generate_result peft_generate_result_t;

/* Why a row ended. Since: 1. */
#define PEFT_FINISH_LENGTH 1 /* max_new_tokens were made */
#define PEFT_FINISH_EOS 2    /* a token that ends a row */
#define PEFT_FINISH_STOP 3   /* a stop sequence */

/* Resets the session, then generates from `input` under the adapters that are
 * active when the call begins, to its end. Positions are counted from the
 * attention mask, so rows of different lengths are padded on the left. Fails
 * as peft_session_forward does, with INVALID_ARGUMENT ("LOGITS_NOT_FINITE")
 * where the model's logits are NaN, and with CANCELLED ("CANCELLED") when
 * on_token asked for it. Returns new, free with peft_generate_result_free.
 * Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_session_generate(
    peft_session_t* session, const peft_forward_input_t* input,
    const peft_generate_options_t* options,
    peft_generate_result_t** out_result);

/* The number of rows; 0 for a bad handle. Since: 1. */
PEFT_API size_t
peft_generate_result_num_rows(const peft_generate_result_t* result);

/* Returns borrowed, until the result is freed: the new tokens of `row`, the eos
 * or stop tokens included, and their number. NULL and 0 when there is no such
 * row. `out_num_tokens` may be NULL. Since: 1. */
PEFT_API const int64_t* peft_generate_result_tokens(
    const peft_generate_result_t* result, size_t row, size_t* out_num_tokens);

/* PEFT_FINISH_... of `row`; 0 when there is no such row. Since: 1. */
PEFT_API int32_t peft_generate_result_finish_reason(
    const peft_generate_result_t* result, size_t row);

/* Frees the result. Takes NULL. Since: 1. */
PEFT_API void peft_generate_result_free(peft_generate_result_t* result);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* PEFT_C_PEFT_C_H_ */
