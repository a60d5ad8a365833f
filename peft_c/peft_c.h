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
 * Threads of the library's own: those of a model (num_threads), which end with
 *   it; and while a call fetches from the Hub up to eight that fetch, which end
 *   before it returns, and for each name that is looked up one that ends when
 *   the system has answered. No others, and none before such calls.
 * Hub ids: wherever a call reads an adapter's or a model's folder it takes a
 *   repository of the Hugging Face Hub as well, "owner/name" (or "name"): its
 *   files are fetched into the cache that Python's huggingface_hub keeps,
 *   verified, where they are not there yet. A local folder of that name wins if
 *   it holds what is looked for. What the call's options do not say is read
 *   from the environment at each call, as in Python: HF_HOME, HF_HUB_CACHE,
 *   HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE, HTTPS_PROXY, SSL_CERT_FILE ...: do
 *   not change it meanwhile. Where the Hub cannot be asked, what the cache has
 *   is used. Errors have ids that begin with HUB_ (docs/errors.md); a library
 *   built without network code says UNIMPLEMENTED ("UNIMPLEMENTED") where it
 *   would have to fetch.
 * Memory: the library's own comes from the functions of peft_set_allocator, or
 *   else from malloc. Mapped files are no allocations, nor is what the system
 *   and its C library take for themselves, as for threads and host names.
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
#define PEFT_API_VERSION 6

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
#define PEFT_DEADLINE_EXCEEDED 4   /* the network was too slow */
#define PEFT_NOT_FOUND 5           /* no such file, adapter or repository */
#define PEFT_ALREADY_EXISTS 6      /* the name is taken */
#define PEFT_PERMISSION_DENIED 7   /* the system or the Hub does not allow it */
#define PEFT_RESOURCE_EXHAUSTED 8  /* out of memory, or over a limit */
#define PEFT_FAILED_PRECONDITION 9 /* the state is wrong; do what it says */
#define PEFT_UNIMPLEMENTED 12      /* this version cannot do it */
#define PEFT_INTERNAL 13           /* a bug of the library: report it */
#define PEFT_UNAVAILABLE 14        /* not now: the network, a full disk */
#define PEFT_DATA_LOSS 15          /* a file could not be read to its end */
#define PEFT_UNAUTHENTICATED 16    /* a token or a certificate is not good */

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
 * that is wrong. Never NULL; "" where there is none. This text and the next two
 * have at most 4000 bytes: a longer one is cut and ends in "...". Since: 1. */
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

/* -------------------------------------------------- the program's functions */

/* Returns `size` bytes, 0 or more, that begin at a multiple of `alignment`, a
 * power of two; or NULL: the call that needed them is then RESOURCE_EXHAUSTED
 * ("OUT_OF_MEMORY"). On any thread, several at once; must not call back into
 * the library. Since: 4. */
typedef void* (*peft_allocate_fn)(void* user_data, size_t size,
                                  size_t alignment);

/* Takes back what peft_allocate_fn returned for this size and alignment; never
 * NULL. On any thread. Since: 4. */
typedef void (*peft_deallocate_fn)(void* user_data, void* data, size_t size,
                                   size_t alignment);

/* Where the library's memory comes from. Since: 4. */
typedef struct peft_allocator {
  size_t struct_size;
  /* Handed to both; as long as the process lives. */
  void* user_data;
  peft_allocate_fn allocate;
  peft_deallocate_fn deallocate;
} peft_allocator_t;

/* Without functions. Since: 4. */
#define PEFT_ALLOCATOR_INIT \
  { sizeof(peft_allocator_t), NULL, NULL, NULL }

/* Writes the defaults to the `struct_size` bytes at `allocator`. Since: 4. */
PEFT_API void peft_allocator_init(peft_allocator_t* allocator,
                                  size_t struct_size);

/* Takes all memory of the library from these functions, to the end of the
 * process; some of it is never given back. They must be there as long. Must be
 * called before any other function but peft_allocator_init, and once: else
 * FAILED_PRECONDITION ("ALLOCATOR"), also after a call of its own that failed.
 * Borrows the struct. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_set_allocator(
    const peft_allocator_t* allocator);

/* Runs piece `index`. The library's own; any thread may call it, also at the
 * same time. Since: 4. */
typedef void (*peft_piece_fn)(void* piece_data, int64_t index);

/* Calls `piece` once with `piece_data` and each index below `num_pieces`, on
 * any threads and in any order, and returns when all these calls have returned:
 * 0, or anything else where it could not. Called on the thread that called the
 * library, from several at once where the program calls it so. What it leaves
 * out that thread does, and the call that needed it fails with CANCELLED
 * ("THREAD_POOL"), and so it does where this returns anything else than 0.
 * Calls of `piece` that are too many or too late do nothing. A library call
 * from inside of it works on its own thread alone. Since: 4. */
typedef int32_t (*peft_parallel_for_fn)(void* user_data, int64_t num_pieces,
                                        peft_piece_fn piece, void* piece_data);

/* The program's own threads, for a model's work. Since: 4. */
typedef struct peft_thread_pool {
  size_t struct_size;
  /* Handed to parallel_for; must outlive the model and all calls on it. */
  void* user_data;
  peft_parallel_for_fn parallel_for;
  /* How many threads work on one call, the one that calls included: 1 to 4096.
   * Decides how finely work is cut, and nothing else. */
  int32_t num_threads;
} peft_thread_pool_t;

/* Of one thread, without a function. Since: 4. */
#define PEFT_THREAD_POOL_INIT \
  { sizeof(peft_thread_pool_t), NULL, NULL, 1 }

/* Writes the defaults to the `struct_size` bytes at `pool`. Since: 4. */
PEFT_API void peft_thread_pool_init(peft_thread_pool_t* pool,
                                    size_t struct_size);

/* Where the bytes of a file are. Since: 4. */
#define PEFT_FILE_MEMORY 1 /* in memory */
#define PEFT_FILE_FD 2     /* in a part of an open file, as packaged assets */
#define PEFT_FILE_READ 3   /* behind a function */

/* Writes up to `size` bytes of the file, from `offset` on, to `buffer`. Returns
 * their number, at least 1; else the read fails. On the thread that called, one
 * call at a time; must not call back into the library. Since: 4. */
typedef int64_t (*peft_read_fn)(void* user_data, int64_t offset, void* buffer,
                                int64_t size);

/* A file that is not in a folder. Since: 4. */
typedef struct peft_file {
  size_t struct_size;
  /* As the folder would have it: "adapter_config.json". Must not lead out of
   * it. */
  const char* name;
  /* PEFT_FILE_... */
  int32_t kind;
  /* Of PEFT_FILE_FD: open for reading and seekable; stays the program's, and
   * its position as it is. */
  int32_t fd;
  /* Of PEFT_FILE_FD: where the file begins in it. Default 0. */
  int64_t offset;
  /* Bytes of the file. */
  int64_t size;
  /* Of PEFT_FILE_MEMORY: them. */
  const void* data;
  /* Of PEFT_FILE_MEMORY. Default 1: tensors are copied. 0: they stay where they
   * are; the memory must neither change nor go before all was freed that was
   * made of it (the model, and tensors, state dicts and activations that it
   * gave) and all calls have returned. Others end with the call: an fd may be
   * closed and a function go, also where the file is mapped. */
  int32_t copy_data;
  /* Of PEFT_FILE_READ, with user_data. */
  peft_read_fn read;
  void* user_data;
} peft_file_t;

/* A file without name and kind. Since: 4. */
#define PEFT_FILE_INIT \
  { sizeof(peft_file_t), NULL, 0, -1, 0, 0, NULL, 1, NULL, NULL }

/* Writes the defaults to the `struct_size` bytes at `file`. Since: 4. */
PEFT_API void peft_file_init(peft_file_t* file, size_t struct_size);

/* ------------------------------------------------------------------ logging */

/* How serious a line is. Since: 1. */
#define PEFT_LOG_INFO 1    /* worth knowing once */
#define PEFT_LOG_WARNING 2 /* a mistake of the program that did no harm */
#define PEFT_LOG_ERROR 3   /* something was lost */
#define PEFT_LOG_NONE 4    /* of no line: peft_set_log_level. Since: 4 */

/* Receives one line without a line break, borrowed for the call. May be called
 * from any thread, one call at a time; must not call back into the library.
 * Since: 1. */
typedef void (*peft_log_fn)(void* user_data, int32_t level, const char* line);

/* Sends the library's log lines to `callback` instead of stderr; NULL drops
 * them. Keeps `user_data` until the next call, which returns when no line is on
 * its way to the old callback any more. Thread-safe. Since: 1. */
PEFT_API void peft_set_logger(peft_log_fn callback, void* user_data);

/* Drops all lines below `level`, one of PEFT_LOG_...; at first PEFT_LOG_INFO,
 * which drops none. Thread-safe. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_set_log_level(int32_t level);

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
/* A CUDA device, device_index says which. Taken by the calls below
 * peft_layer_runner_create_cuda alone. Since: 5. */
#define PEFT_DEVICE_CUDA 2

/* A plain description of elements in memory; owns nothing. Since: 1. */
typedef struct peft_tensor_view {
  size_t struct_size;
  /* The first element. May be unaligned; may be anything when one of the sizes
   * is 0. */
  const void* data;
  /* PEFT_DTYPE_... */
  int32_t dtype;
  /* PEFT_DEVICE_..., and which of them: 0 for the CPU. */
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
 * failure (NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE or INVALID_ARGUMENT,
 * "FILE_WRITE") what was at `path` is unchanged. A link there is followed; what
 * is no file, such as a pipe, is refused. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_state_dict_write(
    const peft_state_dict_t* state_dict, const char* path);

/* Adds a copy of the elements of `view` under `name`, replacing what was
 * there. Borrows both. INVALID_ARGUMENT ("ARGUMENT") for a name that no
 * safetensors file can hold ("" and "__metadata__"), a rank over 16, and
 * strides for elements of less than a byte. Since: 1. */
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

/* Called while something is fetched from the Hub, when bytes came, and ten
 * times a second or more while none do: the bytes that are there, of so many,
 * and the files that are done, of so many; both totals are 0 until the Hub has
 * said them. Counts begin anew with each repository, and with the shards of a
 * model, which its index names. May be called on any thread, one call at a
 * time. Returns 0 to go on and anything else to cancel: the call then fails
 * with CANCELLED ("CANCELLED"), and the next one goes on where it was.
 * Since: 3. */
typedef int32_t (*peft_download_fn)(void* user_data, int64_t bytes,
                                    int64_t total_bytes, int64_t files,
                                    int64_t total_files);

/* How a program with its own network stack makes the library's requests to the
 * Hub. Since: 3. */

/* What to send. All of it is borrowed until the function that got it returns.
 * Since: 3. */
typedef struct peft_http_request {
  size_t struct_size;
  const char* method; /* GET or HEAD */
  const char* url;    /* absolute, http or https, already encoded */
  /* The header fields, all but Host and Connection. An access token may be
   * among them: send them to no other address, not even after a redirect. */
  const char* const* field_names;
  const char* const* field_values;
  size_t num_fields;
  /* For connecting, and between any two parts of the answer. */
  int32_t timeout_ms;
} peft_http_request_t;

/* Where the answer to one request goes. Exists until the function that got it
 * returns: later it is like a handle that was freed. Thread-compatible.
 * Since: 3. */
typedef struct peft_exchange peft_exchange_t;

/* What a transport returns. Since: 3. */
#define PEFT_TRANSPORT_OK 0 /* the answer is complete */
#define PEFT_TRANSPORT_CONNECT                                                \
  1                              /* no connection, or it broke: "HUB_CONNECT" \
                                  */
#define PEFT_TRANSPORT_TIMEOUT 2 /* "HUB_TIMEOUT" */
#define PEFT_TRANSPORT_TLS 3     /* the server is not trusted: "HUB_TLS" */

/* Sends `request`, hands the answer to `exchange` and returns one of
 * PEFT_TRANSPORT_...: first its head, then the parts of its body, decoded
 * (gzip, chunked) in order. Follows no redirect; sends nothing to a server
 * whose certificate it has not verified. A connection that ends before the
 * whole body is there is PEFT_TRANSPORT_CONNECT. When one of the functions
 * below says so it ends the exchange and returns, whatever value. While nothing
 * arrives it asks peft_exchange_is_cancelled ten times a second. Called on
 * several threads at once. Since: 3. */
typedef int32_t (*peft_transport_fn)(void* user_data,
                                     const peft_http_request_t* request,
                                     peft_exchange_t* exchange);

/* Hands over the head of the answer: its status and header fields, borrowed.
 * Returns 0 to go on; 1 to end the exchange, as the rest is of no use, or after
 * a wrong argument or a second head. Since: 3. */
PEFT_API int32_t peft_exchange_respond(peft_exchange_t* exchange,
                                       int32_t http_status,
                                       const char* const* field_names,
                                       const char* const* field_values,
                                       size_t num_fields);

/* Hands over the next `size` bytes of the body, borrowed. Returns 0 to go on; 1
 * to end the exchange, also where there was no head yet. Since: 3. */
PEFT_API int32_t peft_exchange_write(peft_exchange_t* exchange,
                                     const void* data, size_t size);

/* Returns 1 when the exchange is to end, else 0. Since: 3. */
PEFT_API int32_t peft_exchange_is_cancelled(peft_exchange_t* exchange);

/* How base weights are read. Truncating a mapped file kills the process with
 * SIGBUS: where others may write to the folder, copy. Since: 1. */
#define PEFT_READ_MODE_MAP 1  /* map the files: nothing is copied */
#define PEFT_READ_MODE_READ 2 /* copy them to memory */

/* What the weights of a model's linear layers are made to. Since: 4. */
#define PEFT_WEIGHT_FORMAT_AS_STORED 0 /* nothing: they stay mapped */
#define PEFT_WEIGHT_FORMAT_Q8 1        /* 8 bits, and 32 for each 32 weights */
#define PEFT_WEIGHT_FORMAT_Q4 2        /* 4 bits, and 32 for each 32 weights */

/* What a model is for. Since: 2. */
#define PEFT_TASK_BASE 1                    /* no head: hidden states only */
#define PEFT_TASK_CAUSAL_LM 2               /* logits of the next token */
#define PEFT_TASK_MASKED_LM 3               /* logits of the token itself */
#define PEFT_TASK_SEQUENCE_CLASSIFICATION 4 /* of labels, per sequence */
#define PEFT_TASK_TOKEN_CLASSIFICATION 5    /* of labels, per token */
#define PEFT_TASK_QUESTION_ANSWERING 6      /* of an answer's start and end */

/* How a base model is opened. Since: 1. */
typedef struct peft_model_options {
  size_t struct_size;
  /* PEFT_READ_MODE_...; default PEFT_READ_MODE_MAP. */
  int32_t read_mode;
  /* How many threads a forward uses, the one that calls included; the model's
   * sessions share them. Default 0: one per core. The numbers that a forward
   * computes do not depend on it. */
  int32_t num_threads;
  /* Replicates layers of the base, as PEFT's layer_replication does: the
   * model's layers are those of these ranges, one after another. Range i is
   * layers [layer_replication[2 i], layer_replication[2 i + 1]), so that 0, 4,
   * 2, 5 makes seven layers of five. What is there several times shares its
   * weights, and has adapters of its own under the names of the new layers.
   * Default none: the base's layers. Since: 2. */
  const int64_t* layer_replication;
  size_t num_layer_ranges;
  /* Without layer_replication: adapters that the model is opened for, folders
   * or Hub ids. What the layer_replication of their configs says is done.
   * Default none. Since: 2. */
  const char* const* for_adapters;
  size_t num_for_adapters;
  /* A folder below the model's own; must not lead out of it. Default NULL:
   * none. Since: 3. */
  const char* subfolder;
  /* Of the Hub, as in peft_load_options_t. The revision is the model's: where
   * an adapter names the model (peft_model_open) and this is NULL, it is the
   * one that the adapter's config has. The others are for the adapters of
   * for_adapters, too. Since: 3. */
  const char* revision;
  const char* token;
  const char* cache_dir;
  const char* const* proxies;
  size_t num_proxies;
  int32_t local_files_only;
  int32_t force_download;
  const char* endpoint;
  peft_download_fn on_download;
  void* user_data;
  /* Of the adapters of for_adapters: their revision, and the folder below their
   * own. Default NULL: main, none. Since: 3. */
  const char* adapter_revision;
  const char* adapter_subfolder;
  /* Of the Hub: makes the requests, with transport_user_data, in place of the
   * library's own network code; then there are no proxies. Default NULL.
   * Since: 3. */
  peft_transport_fn transport;
  void* transport_user_data;
  /* Works for the model in place of threads of its own; num_threads is then not
   * read. Borrows the struct. Default NULL. Since: 4. */
  const peft_thread_pool_t* thread_pool;
  /* Of peft_model_open: the files of the model's folder, wherever they are; all
   * elements have one struct_size. `path` is then no more than what the model
   * is called, NULL for nothing, and subfolder and the options of the Hub are
   * the adapters' of for_adapters. read_mode decides whether an fd is mapped;
   * functions are read. Borrows them, but see copy_data. Default none.
   * Since: 4. */
  const peft_file_t* files;
  size_t num_files;
  /* Of peft_model_open: PEFT_WEIGHT_FORMAT_...; the weights of the linear
   * layers of a model that stores them as numbers are quantised while it is
   * opened. Adapters act on what the codes stand for. With quantize_head also
   * those of the head, and the embedding that it is tied to. Default
   * PEFT_WEIGHT_FORMAT_AS_STORED, 0. Since: 4. */
  int32_t weight_format;
  int32_t quantize_head;
  /* The processors, as the system numbers them from 0 on, that the model's own
   * threads run on, any of them on each; num_threads 0 is then their number.
   * A calling thread stays where the program has it. INVALID_ARGUMENT
   * ("ARGUMENT") for a number that the system refuses, on a system without
   * affinity, and together with thread_pool. Borrows the array. Default none:
   * wherever the system likes. Since: 4. */
  const int32_t* processors;
  size_t num_processors;
  /* Of peft_model_open: PEFT_TASK_..., the head that the model gets, as
   * transformers' AutoModelForSequenceClassification and the like give it,
   * whatever class config.json names. What the weight files lack of the head is
   * made anew as transformers makes it, with the numbers of
   * torch.manual_seed(0), and logged as a warning: it is untrained, until an
   * adapter with modules_to_save brings its own. UNIMPLEMENTED
   * ("MODEL_UNSUPPORTED") for a task that the family has no head for. Default
   * 0: what config.json or the weight files say. Since: 5. */
  int32_t task;
  /* Of a model that classifies: the number of labels; INVALID_ARGUMENT
   * ("ARGUMENT") for another one. Default 0: what config.json says
   * (id2label, num_labels), else, with a task, the rows of the head of the
   * first of for_adapters that has one, else 2. Since: 5. */
  int64_t num_labels;
  /* Of a decoder that classifies sequences: the padding token, by which it
   * finds the last token of each row; others do not read it. Default NULL:
   * config.json's pad_token_id, which many bases lack. Since: 5. */
  const int64_t* pad_token_id;
} peft_model_options_t;

/* All defaults. Since: 1. */
#define PEFT_MODEL_OPTIONS_INIT                                              \
  {                                                                          \
    sizeof(peft_model_options_t), PEFT_READ_MODE_MAP, 0, NULL, 0, NULL, 0,   \
        NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, \
        NULL, NULL, NULL, NULL, 0, 0, 0, NULL, 0, 0, 0, NULL                 \
  }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_model_options_init(peft_model_options_t* options,
                                      size_t struct_size);

/* Returns new: the model in the Hugging Face folder, or of the Hub id, `path`
 * (config.json and safetensors, single or sharded, or pytorch_model.bin where
 * there are none: pickle is read, not executed). `path` may be NULL where
 * options.for_adapters has adapters: the model is the one that their configs
 * name as base_model_name_or_path; INVALID_ARGUMENT ("ADAPTER_CONFIG") where
 * none does, FAILED_PRECONDITION ("BASE_MISMATCH") where they differ. Fails
 * with NOT_FOUND, with the ids HUB_... where it is of the Hub, INVALID_ARGUMENT
 * ("MODEL_CONFIG", "MODEL_WEIGHTS", "SAFETENSORS", "TORCH_FILE",
 * "PICKLE_REFUSED") or UNIMPLEMENTED
 * ("MODEL_UNSUPPORTED": a family, rope type or quantization that this version
 * does not run, named in the message), and with INVALID_ARGUMENT
 * ("LAYER_REPLICATION") for ranges of layers that the base does not have, or
 * FAILED_PRECONDITION ("LAYER_REPLICATION") where for_adapters ask for
 * different ones. Tensors that the model does not use are logged as warnings.
 * Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_open(
    const char* path, const peft_model_options_t* options,
    peft_model_t** out_model);

/* Returns new: the folder that peft_model_open would open, fetched where it is
 * of the Hub: for a download ahead of time, and for the tokenizer, which is
 * among what is fetched. Of `options` only what says where models and adapters
 * are matters. Fails as peft_model_open does for these. Since: 3. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_fetch_model(
    const char* path, const peft_model_options_t* options,
    peft_string_t** out_folder);

/* Frees the model. Takes NULL. Since: 1. */
PEFT_API void peft_model_free(peft_model_t* model);

/* What a model is. The texts are borrowed, until the model is freed. Since: 1.
 */
typedef struct peft_model_info {
  size_t struct_size;
  /* transformers' name of the family: "llama"; "" of a host model, which has 0
   * in the next four, too. */
  const char* model_type;
  /* Token ids are 0 to vocab_size - 1. */
  int64_t vocab_size;
  int64_t hidden_size;
  int64_t num_layers;
  /* What the model was trained for. Longer sequences are refused only where
   * positions have a table (GPT-2, BERT). */
  int64_t max_position_embeddings;
  /* The elements of all weights, tied ones once, and their bytes. */
  int64_t num_parameters;
  int64_t size_bytes;
  /* The number of layers that adapters can attach to. */
  int64_t num_sites;
  /* The adapters that are loaded, and the bytes that they take. Since: 2. */
  int64_t num_adapters;
  int64_t adapter_bytes;
  /* transformers' class: "LlamaForCausalLM". Where config.json names none, or
   * only one without a head, the weight files decide. Since: 2. */
  const char* architecture;
  /* PEFT_TASK_... Since: 2. */
  int32_t task;
  /* Of a model that classifies, else 0. Since: 2. */
  int64_t num_labels;
  /* Token type ids are 0 to num_token_types - 1; 0: the model takes none.
   * Since: 2. */
  int64_t num_token_types;
} peft_model_info_t;

/* For peft_model_get_info. Since: 1. */
#define PEFT_MODEL_INFO_INIT \
  { sizeof(peft_model_info_t), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0 }

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
  /* Default 0: strict. 1: missing tensors (they act as zero; for those of saved
   * modules and trained tokens and biases the base's own stand), unexpected
   * tensors, unknown config keys and another base than the one that the file
   * was saved over are lines of the report instead of errors. */
  int32_t lenient;
  /* Of the Hub, as in Python's adapter_kwargs: a branch, tag, commit or
   * "refs/pr/1"; an access token; where downloads are kept. For a local folder
   * they have no effect, which the report notes. Default NULL: main, HF_TOKEN
   * or the token file, HF_HUB_CACHE. Since: 2. */
  const char* revision;
  const char* token;
  const char* cache_dir;
  /* Of the Hub: one "scheme=URL" each, as "https=http://10.0.0.1:3128", the
   * scheme http, https or all. They stand for all that the environment says of
   * proxies. Default none: HTTPS_PROXY and its like. Since: 2. */
  const char* const* proxies;
  size_t num_proxies;
  /* Of the Hub: 1: make no request; 1: fetch again what is there. Default 0.
   * Since: 2. */
  int32_t local_files_only;
  int32_t force_download;
  /* Default 0: the adapter is frozen. 1: it is marked as trainable; the limit
   * of peft_model_set_adapter_limit never evicts it. Since: 2. */
  int32_t is_trainable;
  /* 1: takes a file whose initialisation changed the base by factors that
   * neither file nor base tell (pissa_niter_n, corda, loftq, lora_ga) and that
   * was not converted: it acts on the base as it is. Default 0: that is
   * UNIMPLEMENTED. Since: 2. */
  int32_t allow_unconverted_init;
  /* Of peft_model_replace_adapter: the generation that must be there, as
   * peft_adapter_info_t has it. Default 0: any. Since: 2. */
  uint64_t expected_generation;
  /* Of the Hub: its address, as "https://huggingface.co". Default NULL:
   * HF_ENDPOINT. Since: 3. */
  const char* endpoint;
  /* Called with user_data while something is fetched. Default NULL. Since: 3.
   */
  peft_download_fn on_download;
  void* user_data;
  /* Of the Hub, as in peft_model_options_t. Since: 3. */
  peft_transport_fn transport;
  void* transport_user_data;
  /* 1: map the file of the tensors instead of copying it, which is faster and
   * takes no memory but the system's cache. Truncating it then kills the
   * process with SIGBUS, and writing to it changes the adapter: for files that
   * are only ever replaced, as those of the Hub's cache. Python writes over the
   * files of a folder that it saves to. No effect on tensors in memory.
   * Default 0. Since: 3. */
  int32_t map_file;
  /* The files of the adapter's folder, wherever they are; all elements have one
   * struct_size. `path` must then be NULL, and options that say where an
   * adapter comes from (subfolder and those of the Hub) are refused. map_file
   * decides whether an fd is mapped; functions are read. Borrows them, but see
   * copy_data. Default none. Since: 4. */
  const peft_file_t* files;
  size_t num_files;
} peft_load_options_t;

/* All defaults. Since: 1. */
#define PEFT_LOAD_OPTIONS_INIT                                                \
  {                                                                           \
    sizeof(peft_load_options_t), NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, \
        0, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0                        \
  }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_load_options_init(peft_load_options_t* options,
                                     size_t struct_size);

/* Loads the PEFT folder, or the Hub id, `path` (adapter_config.json with
 * adapter_model.safetensors or adapter_model.bin) under `name` and makes it the
 * only active adapter. `name` NULL means "default". Strict: whatever would make
 * the result differ from Python's is an error that names it. Fails with
 * ALREADY_EXISTS ("ADAPTER_EXISTS") when `name` is taken, NOT_FOUND
 * ("FILE_NOT_FOUND"), INVALID_ARGUMENT ("ADAPTER_CONFIG",
 * "ADAPTER_CONFIG_UNKNOWN_KEY", "NO_TARGET_MATCHED", "TENSOR_MISSING",
 * "TENSOR_UNEXPECTED", "TENSOR_SHAPE_MISMATCH", "TENSOR_DTYPE",
 * "BASE_MISMATCH", ...), FAILED_PRECONDITION ("LAYER_REPLICATION": the model
 * must be opened with the adapter's layer_replication), UNIMPLEMENTED
 * ("ADAPTER_METHOD_UNSUPPORTED", "ADAPTER_FEATURE_UNSUPPORTED"), the ids
 * HUB_... where it is of the Hub, or RESOURCE_EXHAUSTED ("ADAPTER_LIMIT", see
 * peft_model_set_adapter_limit). The model is then unchanged. `out_report` may
 * be NULL; else returns new, free with peft_load_report_free. Borrows the
 * texts. Running forwards are not disturbed. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_load_adapter(
    peft_model_t* model, const char* name, const char* path,
    const peft_load_options_t* options, peft_load_report_t** out_report);

/* Returns new: the folder that peft_model_load_adapter would load `path` from,
 * options.subfolder included, fetched where it is of the Hub. Of `options` only
 * what says where the adapter is matters. Fails with NOT_FOUND
 * ("FILE_NOT_FOUND") or the ids HUB_... Since: 3. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_fetch_adapter(
    const char* path, const peft_load_options_t* options,
    peft_string_t** out_folder);

/* As peft_model_load_adapter, from the text of an adapter_config.json and the
 * tensors that would lie beside it, as strictly. Options that say where an
 * adapter comes from (subfolder and those of the Hub) are refused. The tensors
 * are shared, not copied; the state dict may be changed and freed afterwards.
 * Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_load_adapter_from_memory(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_state_dict_t* state_dict, const peft_load_options_t* options,
    peft_load_report_t** out_report);

/* How a new adapter is made. Since: 2. */
typedef struct peft_add_adapter_options {
  size_t struct_size;
  /* Seeds torch's generator, from which the factors are drawn as
   * torch.manual_seed and PEFT do. Default 0. */
  uint64_t seed;
} peft_add_adapter_options_t;

/* All defaults. Since: 2. */
#define PEFT_ADD_ADAPTER_OPTIONS_INIT \
  { sizeof(peft_add_adapter_options_t), 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 2. */
PEFT_API void peft_add_adapter_options_init(peft_add_adapter_options_t* options,
                                            size_t struct_size);

/* Makes a fresh adapter of any method and kind of layer that can be loaded, as
 * get_peft_model does after torch.manual_seed(seed), and makes it the only
 * active one. It is trainable. `config_json` is the text of an
 * adapter_config.json; only peft_type must be there ("total_step" too for
 * ADALORA). peft_model_get_adapter_config gives it filled in as PEFT does:
 * defaults, targets by the model's type, "all-linear" as names,
 * base_model_name_or_path as the path that the model was opened with. Drawn
 * numbers equal PEFT's, bit by bit where the base is f32; computed ones
 * (orthogonal, olora, pissa, mica, DoRA's magnitudes) do up to rounding and the
 * signs of singular vectors. modules_to_save, rows of tokens and biases begin
 * as the base's own. Fails as peft_model_load_adapter does for the config, and
 * for what PEFT refuses to make (INVALID_ARGUMENT, "ADAPTER_CONFIG" or
 * "ARGUMENT"); UNIMPLEMENTED ("ADAPTER_FEATURE_UNSUPPORTED") names an
 * init_lora_weights that needs data or a quantiser (eva, corda, loftq,
 * lora_ga), or a weight that is needed and that the program did not register.
 * The model is then unchanged. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_add_adapter(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_add_adapter_options_t* options);

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
 * active; forwards that run finish with what they began with. Up to 64 MiB of
 * their memory stay with the model for adapters that are loaded later; the
 * system may take it when it runs short. Fails with NOT_FOUND
 * ("ADAPTER_NOT_FOUND") naming all unknown ones. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_delete_adapter(
    peft_model_t* model, const char* const* names, size_t num_names);

/* --------------------------------------- adapters: what the mixin has not */

/* How an adapter is saved. Since: 2. */
typedef struct peft_save_options {
  size_t struct_size;
  /* 1: replaces the adapter that is at the path; other files in its folder
   * stay. Default 0: a folder that is not empty is ALREADY_EXISTS. */
  int32_t overwrite;
  /* Of an adapter whose init_lora_weights takes something from the base (pissa,
   * pissa_niter_n, olora, corda, lora_ga): the folder of this adapter as it was
   * before training, saved from here or from Python. What is written is then a
   * plain LoRA of twice the rank for the base as it was, as PEFT's
   * save_pretrained does with the argument of this name: r and rank_pattern are
   * doubled, lora_alpha and alpha_pattern keep the scales, init_lora_weights is
   * true. The loaded adapter stays as it is. Fails with INVALID_ARGUMENT
   * ("ARGUMENT") for another init, or a folder whose tensors do not fit. NULL or
   * "", the default: the adapter as it is. Since: 6. */
  const char* path_initial_model_for_weight_conversion;
} peft_save_options_t;

/* All defaults. Since: 2. */
#define PEFT_SAVE_OPTIONS_INIT \
  { sizeof(peft_save_options_t), 0, NULL }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 2. */
PEFT_API void peft_save_options_init(peft_save_options_t* options,
                                     size_t struct_size);

/* Writes adapter `name` (NULL: the first active one) as the folder `path`:
 * adapter_model.safetensors and adapter_config.json, which Python PEFT loads to
 * the same tensors. Element types are kept, and every key of the config, also
 * those that were not understood; inference_mode becomes true. The metadata of
 * the tensors receive a fingerprint of the base's weights: a load over others
 * is then INVALID_ARGUMENT ("BASE_MISMATCH"; docs/c-api.md). The folder
 * appears whole or not at all; its parent must exist. Fails with NOT_FOUND
 * ("ADAPTER_NOT_FOUND"), ALREADY_EXISTS ("FILE_EXISTS") or as
 * peft_state_dict_write does. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_save_adapter(
    const peft_model_t* model, const char* name, const char* path,
    const peft_save_options_t* options);

/* Facts of a loaded adapter. Since: 2. */
typedef struct peft_adapter_info {
  size_t struct_size;
  /* "LORA"; lives as long as the process. */
  const char* peft_type;
  /* Tells apart what was ever loaded under the name; over 0. */
  uint64_t generation;
  /* The largest rank of a layer; 0 for methods without one. */
  int64_t rank;
  /* The elements of its tensors, and the bytes of memory that it takes. */
  int64_t num_parameters;
  int64_t size_bytes;
  /* The number of layers that it changes. */
  int64_t num_sites;
  /* What peft_model_set_scale set; at first 1. */
  float scale;
  /* 1: it is among the active ones, also while adapters are disabled. */
  int32_t is_active;
  /* 1: peft_model_pin_adapter. */
  int32_t is_pinned;
  /* 1: it was loaded as trainable, or made by peft_model_add_adapter. */
  int32_t is_trainable;
} peft_adapter_info_t;

/* For peft_model_get_adapter_info. Since: 2. */
#define PEFT_ADAPTER_INFO_INIT \
  { sizeof(peft_adapter_info_t), NULL, 0, 0, 0, 0, 0, 0.0f, 0, 0, 0 }

/* Writes the facts of adapter `name` (NULL: the first active one) to
 * `out_info`, whose struct_size is set. Fails with NOT_FOUND
 * ("ADAPTER_NOT_FOUND"), or FAILED_PRECONDITION when `name` is NULL and none is
 * active. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_get_adapter_info(
    const peft_model_t* model, const char* name, peft_adapter_info_t* out_info);

/* Returns new: the folder that adapter `name` was loaded from, that in the
 * cache for one of the Hub, "" for one that came from memory. `name` and
 * failures as above. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_get_adapter_source(
    const peft_model_t* model, const char* name, peft_string_t** out_source);

/* Returns new: the adapter_config.json that peft_model_save_adapter writes.
 * `name` and failures as above. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_get_adapter_config(
    const peft_model_t* model, const char* name, peft_string_t** out_json);

/* Writes 1 to `out_has` when an adapter `name` is loaded, else 0. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_has_adapter(
    const peft_model_t* model, const char* name, int32_t* out_has);

/* Gives adapter `name` another name. What is active stays so, and activations
 * keep it. Fails with NOT_FOUND ("ADAPTER_NOT_FOUND"), ALREADY_EXISTS
 * ("ADAPTER_EXISTS") or INVALID_ARGUMENT ("ADAPTER_NAME"). Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_rename_adapter(
    peft_model_t* model, const char* name, const char* new_name);

/* Puts the adapter in the folder, or of the Hub id, `path` in the place of
 * adapter `name`, which must be loaded: under its name, among the active ones
 * where it is one, with its scales, pinned where it is. Rank, alpha, targets
 * and method may be others. Forwards that run, and activations, keep the old
 * generation. Fails as peft_model_load_adapter does, with NOT_FOUND
 * ("ADAPTER_NOT_FOUND"), and with FAILED_PRECONDITION ("ADAPTER_GENERATION"
 * where options.expected_generation is not the one that is there;
 * "ADAPTER_CONFLICT" where it cannot act together with those that are active);
 * the old one then stays. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_replace_adapter(
    peft_model_t* model, const char* name, const char* path,
    const peft_load_options_t* options, peft_load_report_t** out_report);

/* The same with an adapter as peft_model_load_adapter_from_memory takes it.
 * Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_replace_adapter_from_memory(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_state_dict_t* state_dict, const peft_load_options_t* options,
    peft_load_report_t** out_report);

/* Multiplies all that adapter `name` adds by `scale`, wherever it is active: a
 * LoRA acts with scale * alpha / r, whatever was set before. The scale of
 * peft_model_set_adapter or of an activation comes on top; activations that
 * exist keep theirs. Fails with NOT_FOUND ("ADAPTER_NOT_FOUND"), or
 * INVALID_ARGUMENT: "ARGUMENT" where it is not finite, "ADAPTER_SCALE" for an
 * adapter that does more than add, which takes 1 or 0 (leave it out). Since: 2.
 */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_set_scale(peft_model_t* model,
                                                           const char* name,
                                                           float scale);

/* What an adapter will take before it is loaded. Since: 2. */
typedef struct peft_adapter_estimate {
  size_t struct_size;
  /* The bytes of memory once it is loaded, at most; less where it holds what
   * the base has already. */
  int64_t size_bytes;
  /* The bytes of the file that holds its tensors. */
  int64_t file_bytes;
  /* Of all tensors: their elements and their number. */
  int64_t num_parameters;
  int64_t num_tensors;
} peft_adapter_estimate_t;

/* For peft_estimate_adapter. Since: 2. */
#define PEFT_ADAPTER_ESTIMATE_INIT \
  { sizeof(peft_adapter_estimate_t), 0, 0, 0, 0 }

/* Writes what the adapter in the PEFT folder, or of the Hub id, `path` would
 * take to `out_estimate`, whose struct_size is set, from the index of its
 * tensors alone: the elements are not read. `subfolder` may be NULL. Options of
 * the Hub are those of the environment: others are peft_fetch_adapter's, which
 * gives a folder. Fails when the folder cannot be read: NOT_FOUND,
 * INVALID_ARGUMENT, HUB_... Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_estimate_adapter(
    const char* path, const char* subfolder,
    peft_adapter_estimate_t* out_estimate);

/* The same of an adapter whose folder is these files, as peft_load_options_t
 * has them. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_estimate_files(
    const peft_file_t* files, size_t num_files,
    peft_adapter_estimate_t* out_estimate);

/* Limits the loaded adapters: their bytes (as peft_adapter_info_t has them) and
 * their number; 0: no limit. A load that would go over it evicts the adapters
 * whose last use, in an activation or as active ones, is longest ago: as if by
 * peft_model_delete_adapter, and NOT_FOUND then says why. Those that are
 * active, pinned, trainable or named by a peft_activation_t stay; where they
 * alone are too many the load is RESOURCE_EXHAUSTED ("ADAPTER_LIMIT"), and so
 * is a limit that they pass. While an adapter loads, its bytes come on top.
 * Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_set_adapter_limit(
    peft_model_t* model, int64_t max_bytes, int64_t max_adapters);

/* With `pinned` 1 adapter `name` is never evicted, with 0 it may be. Fails with
 * NOT_FOUND ("ADAPTER_NOT_FOUND"). Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_pin_adapter(
    peft_model_t* model, const char* name, int32_t pinned);

/* -------------------------------------------------------------- activations */

/* Adapters with scales that act together on a row, in this order: a small
 * value for a call of its own choice, whatever is active on the model. It keeps
 * the generations that it was made with. Immutable and thread-safe. Since: 2.
 */
typedef struct peft_activation peft_activation_t;

/* Returns new: `num_names` adapters of `model` with as many scales (NULL: all
 * 1); with none the base model. Fails as peft_model_set_adapter does. Since: 2.
 */
PEFT_API PEFT_MUST_USE peft_status_t* peft_activation_create(
    const peft_model_t* model, const char* const* names, const float* scales,
    size_t num_names, peft_activation_t** out_activation);

/* Frees the activation; a call that uses it goes on to its end. Takes NULL.
 * Since: 2. */
PEFT_API void peft_activation_free(peft_activation_t* activation);

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

/* Returns new: a JSON object that describes the PEFT folder, or the adapter of
 * the Hub id (as in peft_estimate_adapter), `path`, of any method, also of
 * those that cannot run yet: peft_type, runnable, reason, ranks, target
 * modules, tensors, parameters, bytes, ignored keys ... (all fields:
 * docs/c-api.md). With `model` not NULL also which of its modules match.
 * `subfolder` may be NULL. Fails when the folder cannot be read: NOT_FOUND,
 * INVALID_ARGUMENT, HUB_... Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_inspect_adapter(
    const char* path, const char* subfolder, const peft_model_t* model,
    peft_string_t** out_json);

/* The same of an adapter whose folder is these files, as peft_load_options_t
 * has them; the JSON's folder is "". Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_inspect_files(
    const peft_file_t* files, size_t num_files, const peft_model_t* model,
    peft_string_t** out_json);

/* ------------------------------------- merging, combining, probing adapters */

/* How adapters are merged. Since: 2. */
typedef struct peft_merge_options {
  size_t struct_size;
  /* One finite number per name, multiplied with the adapter's own scale.
   * Default NULL: those that active adapters act with now, 1 for the others. */
  const float* scales;
  /* 1: a merged weight that is NaN or infinite is INVALID_ARGUMENT
   * ("MERGE_NOT_FINITE"), and nothing has changed. Default 0: it is taken. */
  int32_t safe_merge;
} peft_merge_options_t;

/* All defaults. Since: 2. */
#define PEFT_MERGE_OPTIONS_INIT \
  { sizeof(peft_merge_options_t), NULL, 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 2. */
PEFT_API void peft_merge_options_init(peft_merge_options_t* options,
                                      size_t struct_size);

/* Writes what these adapters do into new weights, which stand for those of the
 * base until peft_model_unmerge_adapter; the base's own are kept, so that takes
 * the memory of the layers that change. With num_names 0 those that are active
 * are merged. They need not be active, act in the order in which they were
 * merged, and are not applied a second time; other active adapters act on top.
 * Weights are rounded once to the base's element type. Adapters that are merged
 * already stay as they are. While adapters are merged:
 *   peft_model_set_adapter, and a load, which activates too, unmerge first and
 *     log a warning;
 *   peft_model_disable_adapters runs the base model exactly, and
 *     peft_model_enable_adapters the merged weights again;
 *   deleting one of them, and naming adapters for single rows, is
 *     FAILED_PRECONDITION ("MERGED").
 * Fails with NOT_FOUND ("ADAPTER_NOT_FOUND"), INVALID_ARGUMENT
 * ("ADAPTER_NOT_MERGEABLE": what it does is no weight, as with
 * alora_invocation_tokens; "ADAPTER_SCALE", "MERGE_NOT_FINITE") or
 * FAILED_PRECONDITION ("ADAPTER_CONFLICT"; "MERGED" for a name that is merged
 * with another scale than the one given). Running forwards finish on what they
 * began with. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_merge_adapter(
    peft_model_t* model, const char* const* names, size_t num_names,
    const peft_merge_options_t* options);

/* Goes back to the base's own weights, bit by bit and at once. Does nothing
 * when nothing is merged. Fails with FAILED_PRECONDITION ("MODEL_BUSY"), as
 * the merge does, where layers have writable_weights. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_unmerge_adapter(
    peft_model_t* model);

/* Returns new: the merged adapters in order, also while adapters are disabled;
 * none: nothing is merged. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_merged_adapters(
    const peft_model_t* model, peft_string_list_t** out_names);

/* Called after each tensor that was written, on the thread that called, with
 * the bytes that are done and those of all. Returns 0 to go on and anything
 * else to cancel. Since: 2. */
typedef int32_t (*peft_progress_fn)(void* user_data, int64_t done,
                                    int64_t total);

/* How a merged model is written. Since: 2. */
typedef struct peft_merge_and_unload_options {
  size_t struct_size;
  /* The adapters to merge, in this order. Default none: those that are merged
   * now and those that are active. */
  const char* const* names;
  size_t num_names;
  /* As in peft_merge_options_t. */
  const float* scales;
  int32_t safe_merge;
  /* Called with user_data. Default NULL. */
  peft_progress_fn on_progress;
  void* user_data;
} peft_merge_and_unload_options_t;

/* All defaults. Since: 2. */
#define PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT \
  { sizeof(peft_merge_and_unload_options_t), NULL, 0, NULL, 0, NULL, NULL }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 2. */
PEFT_API void peft_merge_and_unload_options_init(
    peft_merge_and_unload_options_t* options, size_t struct_size);

/* Writes the model with these adapters merged as the Hugging Face folder
 * `path`, which transformers and peft_model_open open like any other:
 * config.json, the tokenizer's and other small files of the base's folder as
 * they are, the weights in the element types and the shards of the base's own
 * files. Of a model opened with options.task config.json says its class and its
 * labels, and the weights are those of that class. A head that was tied to the
 * embedding and differs from it now is written untied, with tie_word_embeddings
 * false. One merged tensor is in memory at a time. The model itself does not
 * change. The folder appears whole or not at all; its parent must exist. Fails
 * as peft_model_merge_adapter does, with INVALID_ARGUMENT
 * ("ADAPTER_NOT_MERGEABLE") for a trained bias where the model's files have
 * none, ALREADY_EXISTS ("FILE_EXISTS") for a folder that is not empty,
 * CANCELLED ("CANCELLED") when on_progress asked for it, or as
 * peft_state_dict_write does. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_merge_and_unload(
    const peft_model_t* model, const char* path,
    const peft_merge_and_unload_options_t* options);

/* Writes the base of a model that was opened with a weight_format as the folder
 * `path`, which peft_model_open opens with the same numbers: config.json with a
 * quantization_config, one model.safetensors (docs/quantized.md), and the other
 * small files of the base's folder as they are. Adapters are no part of it.
 * Calls on_progress, which may be NULL, with user_data. The folder appears
 * whole or not at all; its parent must exist. FAILED_PRECONDITION
 * ("MODEL_QUANTIZED") for a model that was opened otherwise, UNIMPLEMENTED
 * ("MODEL_UNSUPPORTED") for one with replicated layers, or as
 * peft_model_merge_and_unload. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_write_quantized(
    const peft_model_t* model, const char* path, peft_progress_fn on_progress,
    void* user_data);

/* Deletes all adapters and keeps the base: what is merged is unmerged.
 * Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_unload(peft_model_t* model);

/* How adapters become one, as in PEFT's add_weighted_adapter. With d_i the
 * change that adapter i makes to a layer's weight, and w_i its weight. "svd":
 * the result is cut to a rank. Since: 2. */
#define PEFT_COMBINE_SVD 1    /* the sum of w_i d_i */
#define PEFT_COMBINE_LINEAR 2 /* sums of A and of B: has cross terms */
#define PEFT_COMBINE_CAT 3    /* the sum of w_i d_i exactly; ranks add up */
#define PEFT_COMBINE_TIES 4   /* largest elements, then a vote on signs */
#define PEFT_COMBINE_TIES_SVD 5
#define PEFT_COMBINE_DARE_LINEAR 6 /* random elements, the others scaled up */
#define PEFT_COMBINE_DARE_LINEAR_SVD 7
#define PEFT_COMBINE_DARE_TIES 8 /* both */
#define PEFT_COMBINE_DARE_TIES_SVD 9
#define PEFT_COMBINE_MAGNITUDE_PRUNE 10 /* largest elements, summed */
#define PEFT_COMBINE_MAGNITUDE_PRUNE_SVD 11

/* How signs are voted on. Since: 2. */
#define PEFT_MAJORITY_SIGN_TOTAL 1     /* of the sum */
#define PEFT_MAJORITY_SIGN_FREQUENCY 2 /* of the larger number */

/* How adapters are combined. Since: 2. */
typedef struct peft_combine_options {
  size_t struct_size;
  /* PEFT_COMBINE_...; default PEFT_COMBINE_SVD, PEFT's own. */
  int32_t combination_type;
  /* PEFT_MAJORITY_SIGN_...; default PEFT_MAJORITY_SIGN_TOTAL. */
  int32_t majority_sign_method;
  /* The rank of the types with "svd"; default 0: the largest of the sources. */
  int64_t svd_rank;
  /* The quantile of their elements that they are clamped to, over 0 and up to
   * 1; default 0: they are not. */
  float svd_clamp;
  /* The part of the elements that ties, dare and magnitude_prune keep, over 0
   * and up to 1. Default 0: not set, which these types refuse. */
  float density;
  /* Seeds torch's generator for dare; default 0. */
  uint64_t seed;
  /* PEFT hands these two on to torch's decomposition. They choose an algorithm,
   * not a result, and are without effect here. Default 1. */
  int32_t svd_full_matrices;
  /* NULL, the default, or "gesvd", "gesvdj", "gesvda"; others are refused. */
  const char* svd_driver;
} peft_combine_options_t;

/* All defaults. Since: 2. */
#define PEFT_COMBINE_OPTIONS_INIT                           \
  {                                                         \
    sizeof(peft_combine_options_t), PEFT_COMBINE_SVD,       \
        PEFT_MAJORITY_SIGN_TOTAL, 0, 0.0f, 0.0f, 0, 1, NULL \
  }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 2. */
PEFT_API void peft_combine_options_init(peft_combine_options_t* options,
                                        size_t struct_size);

/* Makes adapter `new_name` of `num_names` loaded ones with as many finite
 * weights, as PEFT's add_weighted_adapter does. Its scale is 1; it is frozen
 * and not activated. Sources are LORA, or all IA3 (whose vectors are summed,
 * with PEFT_COMBINE_LINEAR). A DoRA source takes part with the change that it
 * makes to the weight, in the types that end in svd. The config is that of the
 * first source, with the target modules of all. Fails with NOT_FOUND
 * ("ADAPTER_NOT_FOUND"), ALREADY_EXISTS ("ADAPTER_EXISTS"), INVALID_ARGUMENT
 * ("ADAPTER_NAME"; "ADAPTER_NOT_COMBINABLE" for sources that the type cannot
 * take, as ranks that differ, or that have biases, saved modules, trained
 * tokens or target_parameters; "ARGUMENT"). Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_add_weighted_adapter(
    peft_model_t* model, const char* new_name, const char* const* names,
    const float* weights, size_t num_names,
    const peft_combine_options_t* options);

/* How an adapter is probed. Since: 2. */
typedef struct peft_probe_options {
  size_t struct_size;
  /* Equal seeds give equal inputs; default 0. */
  uint64_t seed;
  /* The rows of random input that each layer gets, 1 to 4096; default 16. */
  int64_t rows;
} peft_probe_options_t;

/* All defaults. Since: 2. */
#define PEFT_PROBE_OPTIONS_INIT \
  { sizeof(peft_probe_options_t), 0, 16 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 2. */
PEFT_API void peft_probe_options_init(peft_probe_options_t* options,
                                      size_t struct_size);

/* What an adapter does to random input. Immutable. Since: 2. */
typedef struct peft_probe_report peft_probe_report_t;

/* Feeds random input to every layer that adapter `name` (NULL: the first active
 * one) has a part in, alone and with scale 1, and measures how much the output
 * changes: an adapter that loaded but does nothing has ratios of 0. Gates
 * (alora_invocation_tokens) are open; trained rows of an embedding are among
 * its input. Costs about a forward of `rows` tokens. Returns new, free with
 * peft_probe_report_free. Fails with NOT_FOUND ("ADAPTER_NOT_FOUND"), or
 * FAILED_PRECONDITION when `name` is NULL and none is active. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_probe_adapter(
    const peft_model_t* model, const char* name,
    const peft_probe_options_t* options, peft_probe_report_t** out_report);

/* One layer; the text is borrowed, until the report is freed. Since: 2. */
typedef struct peft_probe_line {
  size_t struct_size;
  /* The module. */
  const char* name;
  /* The norms over all rows of the base's output, without its bias, and of
   * what the adapter changes in it. */
  double base_norm;
  double delta_norm;
  /* delta_norm / base_norm; infinite where only the base's is 0. */
  double ratio;
} peft_probe_line_t;

/* For peft_probe_report_get_line. Since: 2. */
#define PEFT_PROBE_LINE_INIT \
  { sizeof(peft_probe_line_t), NULL, 0.0, 0.0, 0.0 }

/* The number of layers; 0 for a bad handle. Since: 2. */
PEFT_API size_t peft_probe_report_count(const peft_probe_report_t* report);

/* Writes layer `index`, in module order, to `out_line`, whose struct_size is
 * set. INVALID_ARGUMENT ("ARGUMENT") beyond the last. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_probe_report_get_line(
    const peft_probe_report_t* report, size_t index,
    peft_probe_line_t* out_line);

/* All layers together. Since: 2. */
typedef struct peft_probe_summary {
  size_t struct_size;
  /* Layers that the adapter has a part in, and those among them whose output
   * it does not change. */
  int64_t num_sites;
  int64_t num_unchanged;
  /* As in peft_probe_line_t, over all layers. */
  double ratio;
  /* The largest of a layer. */
  double max_ratio;
} peft_probe_summary_t;

/* For peft_probe_report_get_summary. Since: 2. */
#define PEFT_PROBE_SUMMARY_INIT \
  { sizeof(peft_probe_summary_t), 0, 0, 0.0, 0.0 }

/* Writes the summary to `out_summary`, whose struct_size is set. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_probe_report_get_summary(
    const peft_probe_report_t* report, peft_probe_summary_t* out_summary);

/* Frees the report. Takes NULL. Since: 2. */
PEFT_API void peft_probe_report_free(peft_probe_report_t* report);

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
  /* 1: where the base's weights are bf16 and the processor multiplies bf16
   * faster, forwards of more than 8 tokens round what goes into the linear
   * layers to bf16, too, as PyTorch does for such a model. Results are then off
   * by some thousandths of their size; sums, adapters and everything else stay
   * f32. Default 0. Since: 4. */
  int32_t round_activations;
} peft_session_options_t;

/* All defaults. Since: 1. */
#define PEFT_SESSION_OPTIONS_INIT \
  { sizeof(peft_session_options_t), 0, 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_session_options_init(peft_session_options_t* options,
                                        size_t struct_size);

/* Returns new: an empty session of `model`. Fails with FAILED_PRECONDITION
 * ("MODEL_NOT_RUNNABLE") on a host model. Since: 1. */
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
  /* As many, of models that have token types. Default NULL: all 0, or none at
   * all where a model can do without (GPT-2). Since: 2. */
  const int64_t* token_type_ids;
} peft_forward_input_t;

/* No tokens: set ids, batch and length. Since: 1. */
#define PEFT_FORWARD_INPUT_INIT \
  { sizeof(peft_forward_input_t), NULL, 0, 0, NULL, NULL, NULL }

/* Writes the defaults to the `struct_size` bytes at `input`. Since: 1. */
PEFT_API void peft_forward_input_init(peft_forward_input_t* input,
                                      size_t struct_size);

/* What a forward can give back; values that add up in `outputs`. Since: 2. */
#define PEFT_OUTPUT_LOGITS 1 /* of models with a head */
/* After the last layer and its norm, of all positions. */
#define PEFT_OUTPUT_LAST_HIDDEN_STATE 2
#define PEFT_OUTPUT_POOLER_OUTPUT 4 /* of models with a pooler */

/* What a forward does besides. Since: 1. */
typedef struct peft_forward_options {
  size_t struct_size;
  /* Computes the logits of the last so many positions of each row only. Default
   * 0: of all. */
  int64_t logits_to_keep;
  /* 1: goes on with a cache that was written under other adapters. Default 0:
   * that is FAILED_PRECONDITION ("ACTIVATION_CHANGED"). */
  int32_t allow_activation_change;
  /* Runs each row under an adapter of its own, whatever is active: one name for
   * each, "__base__" for the base model. NOT_FOUND ("ADAPTER_NOT_FOUND") names
   * those that are not loaded. While adapters are disabled all rows run the
   * base model, as in Python; so with activations. Default none. Since: 2. */
  const char* const* adapter_names;
  size_t num_adapter_names;
  /* The same with activations of the session's model: one for all rows or one
   * for each; NULL in the array is the base model. Not together with
   * adapter_names. Default none. Since: 2. */
  const peft_activation_t* const* activations;
  size_t num_activations;
  /* PEFT_OUTPUT_..., the sum of what to compute besides the logits that
   * out_logits asks for. Default 0: without out_logits what the model's class
   * is for, its logits, or of a model without a head the other two as far as it
   * has them. Since: 2. */
  int32_t outputs;
} peft_forward_options_t;

/* All defaults. Since: 1. */
#define PEFT_FORWARD_OPTIONS_INIT \
  { sizeof(peft_forward_options_t), 0, 0, NULL, 0, NULL, 0, 0 }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_forward_options_init(peft_forward_options_t* options,
                                        size_t struct_size);

/* Runs the tokens after those in the cache, under the adapters that are active
 * when the call begins. Writes the logits, f32 (batch, positions, vocab_size),
 * to `out_logits`, whose struct_size is set; its pointers are borrowed, until
 * the next call on the session. `out_logits` may be NULL where outputs says
 * what to compute, or the default is wanted; peft_session_get_output then gives
 * it. In place of vocab_size a model that classifies has its labels; one that
 * classifies sequences gives (batch, labels), of the first token (BERT) or of
 * each row's last that is not the model's pad_token_id, which it must have for
 * more than one row. The first forward after creation or a reset fixes the
 * batch; encoders (BERT) keep no cache, and each forward stands for itself.
 * Fails with FAILED_PRECONDITION ("MODEL_TASK") for an output that the model
 * does not make, as the logits of one without a head, with INVALID_ARGUMENT
 * ("ARGUMENT", "TOKEN_OUT_OF_RANGE"), RESOURCE_EXHAUSTED ("SEQUENCE_TOO_LONG")
 * or FAILED_PRECONDITION ("ACTIVATION_CHANGED": also where the rows of the
 * cache were written under others than they now name); the cache is then as it
 * was. Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_session_forward(
    peft_session_t* session, const peft_forward_input_t* input,
    const peft_forward_options_t* options, peft_tensor_view_t* out_logits);

/* Writes what the last forward of the session gave back as `output`, one of
 * PEFT_OUTPUT_..., to `out_view`, whose struct_size is set: f32, the logits as
 * peft_session_forward has them, last_hidden_state (batch, length,
 * hidden_size), pooler_output (batch, hidden_size). Its pointers are borrowed,
 * until the next forward, generate or reset of the session. Fails with
 * FAILED_PRECONDITION ("OUTPUT_NOT_COMPUTED") where that forward was not asked
 * for it, or there was none. Since: 2. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_session_get_output(
    peft_session_t* session, int32_t output, peft_tensor_view_t* out_view);

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
  /* Runs each row under an adapter of its own, whatever is active: one name for
   * each, "__base__" for the base model. NOT_FOUND ("ADAPTER_NOT_FOUND") names
   * those that are not loaded. While adapters are disabled all rows run the
   * base model, as in Python; so with activations. Default none. Since: 2. */
  const char* const* adapter_names;
  size_t num_adapter_names;
  /* The same with activations of the session's model: one for all rows or one
   * for each; NULL in the array is the base model. Not together with
   * adapter_names. Default none. Since: 2. */
  const peft_activation_t* const* activations;
  size_t num_activations;
} peft_generate_options_t;

/* All defaults. Since: 1. */
#define PEFT_GENERATE_OPTIONS_INIT                                         \
  {                                                                        \
    sizeof(peft_generate_options_t), 20, 0, 1.0f, 50, 1.0f, 0.0f, 1.0f, 0, \
        NULL, 0, 0, NULL, NULL, 0, NULL, NULL, NULL, 0, NULL, 0            \
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
 * as peft_session_forward does, with FAILED_PRECONDITION ("MODEL_TASK") unless
 * the model is a causal language model, with INVALID_ARGUMENT
 * ("LOGITS_NOT_FINITE") where the model's logits are NaN, and with CANCELLED
 * ("CANCELLED") when on_token asked for it. Returns new, free with
 * peft_generate_result_free. Since: 1. */
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

/* -------------------------------------------------------------- host models */

/* What a layer of a host model computes. Since: 1. */
#define PEFT_LAYER_OTHER 1     /* a module that nothing attaches to: a name */
#define PEFT_LAYER_LINEAR 2    /* weight (out, in) */
#define PEFT_LAYER_CONV1D_HF 3 /* transformers' Conv1D: weight (in, out) */
#define PEFT_LAYER_EMBEDDING 4 /* weight (rows, width); no bias */
#define PEFT_LAYER_LAYER_NORM 5
#define PEFT_LAYER_RMS_NORM 6
/* torch's Conv1d, Conv2d or Conv3d: weight (out, in / groups, kernel ...). */
#define PEFT_LAYER_CONV 7
/* torch's MultiheadAttention with equal query, key and value sizes: its
 * in_proj_weight (3 d, d) and in_proj_bias. Its "out_proj" is a linear layer of
 * its own. */
#define PEFT_LAYER_MULTIHEAD_ATTENTION 8
/* A parameter that its module multiplies with by itself, under the name that
 * named_parameters() has: a matrix (out, in), or (experts, out, in). */
#define PEFT_LAYER_PARAMETER 9

/* A layer of a host model. Since: 1. */
typedef struct peft_layer {
  size_t struct_size;
  /* As torch's named_modules() has it, or named_parameters() for a parameter.
   */
  const char* name;
  /* PEFT_LAYER_... */
  int32_t kind;
  /* 1: the head that gives logits, which "all-linear" leaves out. Default 0. */
  int32_t is_output_embedding;
  /* F32, BF16 or F16 on the CPU. NULL for PEFT_LAYER_OTHER. Since 4 its data
   * may be NULL: the program keeps the weight to itself. Of such a layer there
   * are peft_layer_runner_add_delta and peft_model_lower_layer; what needs the
   * weight fails with FAILED_PRECONDITION ("LAYER_WEIGHT"), or at the load as a
   * method that does (DoRA) with UNIMPLEMENTED
   * ("ADAPTER_FEATURE_UNSUPPORTED"). */
  const peft_tensor_view_t* weight;
  /* One number per output. Default NULL: none. */
  const peft_tensor_view_t* bias;
  /* Default 1: weight and bias are copied, whatever their strides. 0: they
   * never are: their memory is used as it is, and must neither change nor go
   * before the model was freed and all calls on it have returned. The bias, and
   * the weight of a norm, are contiguous then. Since 4 other weights may have
   * strides: each row, an index of the first axis, is without gaps, and rows do
   * not overlap; or, but for embeddings and convolutions, so are the columns of
   * a matrix. Matrices of experts follow each other. INVALID_ARGUMENT
   * ("ARGUMENT") otherwise, as for strides of 0 and less. */
  int32_t copy_weights;
  /* Of a parameter with experts: 1: its matrices are stored (in, out). Default
   * 0. */
  int32_t is_transposed;
  /* Of a convolution, for each axis of its kernel in torch's order; the others
   * are not read. padding is zeros before the first element, padding_end after
   * the last. Defaults 1, 0, -1 (as padding) and 1. */
  int64_t stride[3];
  int64_t padding[3];
  int64_t padding_end[3];
  int64_t dilation[3];
  /* Of a convolution. Default 1. */
  int64_t groups;
  /* Of a norm: what is added under the root. Default 1e-5. */
  double epsilon;
  /* 1, with copy_weights 0: peft_model_merge_adapter writes into weight and
   * bias themselves, and peft_model_unmerge_adapter writes back what was there,
   * bit by bit, so that the program's own code runs the merged layer; what lies
   * between rows or columns is never written. Their memory must not be a part
   * of another layer's, whose rows may lie between, and be read meanwhile by
   * nobody. While adapters are merged so, calls that read the base's weights
   * (loading, replacing, adding, saving, probing and combining adapters) are
   * FAILED_PRECONDITION ("MERGED"). Freeing the model leaves them merged.
   * Default 0. Since: 4. */
  int32_t writable_weights;
} peft_layer_t;

/* A layer without name, kind and weight. Since: 1. */
#define PEFT_LAYER_INIT                                                       \
  {                                                                           \
    sizeof(peft_layer_t), NULL, 0, 0, NULL, NULL, 1, 0, {1, 1, 1}, {0, 0, 0}, \
        {-1, -1, -1}, {1, 1, 1}, 1, 1e-5, 0                                   \
  }

/* Writes the defaults to the `struct_size` bytes at `layer`. Since: 1. */
PEFT_API void peft_layer_init(peft_layer_t* layer, size_t struct_size);

/* Returns new: a model of a program's own layers, for programs that run their
 * own forward. All verbs for adapters work on it; sessions are refused. The
 * layers are listed in the order of named_modules(); modules that only hold
 * others need no entry. All have one struct_size. Borrows `layers`, but see
 * copy_weights. Of `options` read_mode and revision have no effect, and
 * layer_replication only tells adapters how these layers were made. Since: 1.
 */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_create(
    const peft_layer_t* layers, size_t num_layers,
    const peft_model_options_t* options, peft_model_t** out_model);

/* How a layer is run. Since: 1. */
typedef struct peft_run_layer_options {
  size_t struct_size;
  /* Which matrix of a parameter with experts. Default -1: the layer has none.
   * Of peft_layer_runner_t, whose layers say it, -1. */
  int64_t expert;
  /* Runs each row, that is each index along the first axis of `x`, under an
   * adapter of its own; as in peft_forward_options_t. Default none. Since: 4.
   */
  const char* const* adapter_names;
  size_t num_adapter_names;
  /* The same with activations: one for all rows or one for each. Default none.
   * Since: 4. */
  const peft_activation_t* const* activations;
  size_t num_activations;
  /* Of a runner on a CUDA device: the CUstream (or cudaStream_t) that the work
   * is put on. Default NULL: the default stream. Since: 5. */
  void* stream;
} peft_run_layer_options_t;

/* All defaults. Since: 1. */
#define PEFT_RUN_LAYER_OPTIONS_INIT \
  { sizeof(peft_run_layer_options_t), -1, NULL, 0, NULL, 0, NULL }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 1. */
PEFT_API void peft_run_layer_options_init(peft_run_layer_options_t* options,
                                          size_t struct_size);

/* Returns new, free with peft_tensor_free: what layer `name` computes from `x`
 * under the adapters that are active when the call begins, as its torch module
 * would, in F32. `x` is (..., in), F32, BF16 or F16; for a convolution (batch,
 * channels, ...) or (channels, ...); for an embedding I64 or I32 ids of any
 * shape. Borrows `x`. Works on opened models, too, but not for their norms.
 * Fails with NOT_FOUND ("LAYER_NOT_FOUND"), INVALID_ARGUMENT
 * ("TENSOR_SHAPE_MISMATCH", "TENSOR_DTYPE", "TOKEN_OUT_OF_RANGE") or
 * UNIMPLEMENTED ("UNIMPLEMENTED"). Since: 1. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_run_layer(
    const peft_model_t* model, const char* name, const peft_tensor_view_t* x,
    const peft_run_layer_options_t* options, peft_tensor_t** out_y);

/* Writes the number of layer `name`, or of matrix `expert` of a parameter with
 * experts (else -1), to `out_layer`: for the calls below, as long as the model
 * lives. Fails with NOT_FOUND ("LAYER_NOT_FOUND"). Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_find_layer(
    const peft_model_t* model, const char* name, int64_t expert,
    int64_t* out_layer);

/* Workspace in which layers of a model run, for a program's own forward: one
 * for each thread. Thread-compatible; a second call at the same time fails with
 * FAILED_PRECONDITION ("RUNNER_BUSY"). Once calls of a shape have been made,
 * further ones allocate nothing, and take no lock but the handle's and the
 * thread pool's, unless they name adapters. Since: 4. */
typedef struct peft_layer_runner peft_layer_runner_t;

/* Returns new: a runner of the layers of `model`. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_layer_runner_create(
    const peft_model_t* model, peft_layer_runner_t** out_runner);

/* Frees the runner; a call that uses it goes on to its end. Takes NULL.
 * Since: 4. */
PEFT_API void peft_layer_runner_free(peft_layer_runner_t* runner);

/* Writes what peft_model_run_layer computes to the program's own memory: `y`
 * describes it, of the result's shape, F32, BF16 or F16, and its data is
 * written to. Rows of x and y may lie apart (strides), their elements may not;
 * a convolution's are contiguous. x and y must not overlap. Fails as
 * peft_model_run_layer does, and with FAILED_PRECONDITION: "LAYER_WEIGHT" for a
 * layer without, "MODEL_BUSY" while another thread merges into
 * writable_weights. `y` is unchanged then, but for "THREAD_POOL". Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_layer_runner_run(
    peft_layer_runner_t* runner, int64_t layer, const peft_tensor_view_t* x,
    const peft_run_layer_options_t* options, const peft_tensor_view_t* y);

/* Adds to `y`, which holds what the program itself computed from `x` with the
 * layer's own weight and bias, what adapters add to it: as the call above
 * otherwise. Reads no weight. Fails with FAILED_PRECONDITION ("LAYER_NO_DELTA")
 * where what acts does more than add: scaled outputs (DoRA, IA3) or inputs
 * (IA3's feedforward), another weight or rows of it (modules_to_save,
 * trainable_token_indices); for norms; and where adapters are merged, but for
 * layers with writable_weights. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_layer_runner_add_delta(
    peft_layer_runner_t* runner, int64_t layer, const peft_tensor_view_t* x,
    const peft_run_layer_options_t* options, const peft_tensor_view_t* y);

/* --------------------------------------------------------- CUDA devices */

/* How layers run on a CUDA device. The library is not linked to CUDA: the
 * driver and cuBLASLt are opened by peft_layer_runner_create_cuda, and all
 * device memory is allocated there, but for weights and what grows with the
 * rows of a call. Since: 5. */
typedef struct peft_cuda_options {
  size_t struct_size;
  /* CUDA's number of the device. Default 0. */
  int32_t device_index;
  /* Of x, y and weights: PEFT_DTYPE_F32, PEFT_DTYPE_F16 or PEFT_DTYPE_BF16.
   * Default BF16. */
  int32_t dtype;
  /* Adapters are kept in it on the device: one of the same three. Default BF16.
   */
  int32_t adapter_dtype;
  /* 1: sums of cuBLASLt are never split, so that results depend on shapes
   * alone. Default 0. */
  int32_t deterministic;
  /* Adapters that act together, at most, and the largest sum of their ranks at
   * a layer. Defaults 2 and 64. */
  int32_t max_adapters;
  int32_t max_rank;
  /* Different activations that rows of calls may name before one that was used
   * last must make room: 1 to 1024, beside what is active on the model. Default
   * 8. */
  int32_t max_activations;
  /* Bytes of device memory for adapters, at least enough for one. They stay
   * there until others need the room. Default 256 MiB. */
  int64_t adapter_bytes;
  /* Files to open in place of "libcuda.so.1" and of libcublasLt.so.13 or .12 as
   * the dynamic linker finds them. Default NULL. */
  const char* driver_path;
  const char* cublaslt_path;
  /* A file with the machine code of our kernels, for a library that was built
   * without (docs/cuda.md). It is run: it must be one that you trust. Default
   * NULL: what was built in. */
  const char* kernels_path;
} peft_cuda_options_t;

/* All defaults. Since: 5. */
#define PEFT_CUDA_OPTIONS_INIT                                              \
  {                                                                         \
    sizeof(peft_cuda_options_t), 0, PEFT_DTYPE_BF16, PEFT_DTYPE_BF16, 0, 2, \
        64, 8, 268435456, NULL, NULL, NULL                                  \
  }

/* Writes the defaults to the `struct_size` bytes at `options`. Since: 5. */
PEFT_API void peft_cuda_options_init(peft_cuda_options_t* options,
                                     size_t struct_size);

/* Returns new: a runner of the layers of `model` on a CUDA device, with the
 * device's primary context. peft_layer_runner_run and
 * peft_layer_runner_add_delta then take x and y in the memory of that device
 * and of the options' dtype, put their work on the stream of their options and
 * return without waiting for it; adapters are copied to the device when they
 * first act there. A call on another stream than the last waits there for what
 * that was given. Linear layers, Conv1D, MultiheadAttention's in_proj and
 * parameters run; UNIMPLEMENTED ("UNIMPLEMENTED") are the other kinds, and
 * adapters with other weights or rows (modules_to_save,
 * trainable_token_indices), with invocation tokens, or with factors between two
 * of them at one layer (an IA3 inside of a LoRA). Calls may also fail with
 * RESOURCE_EXHAUSTED ("OUT_OF_MEMORY", "CUDA_ACTIVATIONS").
 *
 * In a CUDA graph. A call that is captured allocates and copies nothing: run
 * the same calls once before, uncaptured, or it fails with FAILED_PRECONDITION
 * ("CUDA_GRAPH"). A graph of calls that name no adapters runs what was active
 * on the model when peft_layer_runner_update was last called: it need not be
 * captured again. What acts on calls that name adapters is part of the graph.
 * Calls share a workspace: launch graphs on the stream of the other calls, or
 * put them in order, and free the runner when they run no more.
 *
 * Fails with FAILED_PRECONDITION ("CUDA_DRIVER", "CUBLASLT") where the driver,
 * cuBLASLt or code for the device is missing or too old, RESOURCE_EXHAUSTED
 * ("OUT_OF_MEMORY"), or INVALID_ARGUMENT ("ARGUMENT"). Since: 5. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_layer_runner_create_cuda(
    const peft_model_t* model, const peft_cuda_options_t* options,
    peft_layer_runner_t** out_runner);

/* Says where layer `layer` has its weight on the runner's device: `weight` is
 * (out, in), or (in, out) for a Conv1D or a transposed parameter, of the
 * options' dtype, with any distance between rows. It is not copied: its memory
 * must not go before the runner was freed and its work has ended.
 * peft_layer_runner_run needs it, peft_layer_runner_add_delta does not. The
 * model's own weight, where it has one, must be the same: norms of DoRA come
 * from there. The bias is the model's. Fails with INVALID_ARGUMENT
 * ("TENSOR_SHAPE_MISMATCH", "TENSOR_DTYPE", "ARGUMENT"). Since: 5. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_layer_runner_set_weight(
    peft_layer_runner_t* runner, int64_t layer,
    const peft_tensor_view_t* weight);

/* Makes what is active on the model now act in all work that is put on `stream`
 * (a CUstream, or NULL) afterwards, graphs that were captured before included.
 * Calls that are not captured do this by themselves. Fails with
 * FAILED_PRECONDITION ("CUDA_GRAPH") where a captured graph lacks a step that
 * it would need (scaled inputs or outputs, or biases, that nothing active had
 * when it was captured); then nothing has changed. Fails as
 * peft_layer_runner_run. Since: 5. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_layer_runner_update(
    peft_layer_runner_t* runner, void* stream);

/* --------------------------------------------------------- lowered adapters */

/* What adapters do at a layer, for a program that runs it itself, as on its own
 * GPU: a list of forms (docs/lowered.md has the formulas), in the order in
 * which they act on p = x W^T, where x is the layer's input, rows of (in), and
 * W its weight, (out, in); then y = p + bias. Immutable; keeps the generations
 * that it was made of. Since: 4. */
typedef struct peft_lowered peft_lowered_t;

/* The kinds of forms, and the tensors that each has. Since: 4. */
/* p is computed from x * FACTOR (in) in place of x. */
#define PEFT_FORM_SCALE_IN 1
/* p is computed with WEIGHT in place of W, in the layout of the layer's own. */
#define PEFT_FORM_WEIGHT 2
/* Outputs IDS (n) of p are x ROWS^T, (n, in); of an embedding rows IDS of its
 * table are ROWS. */
#define PEFT_FORM_ROWS 3
/* p = p + scale * ((x A^T) * RANK_SCALE) B^T, A (r, in), B (out, r), and
 * RANK_SCALE (r), which may be missing. x is the layer's input itself. With
 * GATE, (n) tokens, for a row's tokens only from where these stand in it last.
 */
#define PEFT_FORM_LOW_RANK 4
/* p = p * FACTOR (out). */
#define PEFT_FORM_SCALE_OUT 5
/* The bias is BIAS (out), whatever the layer's own is; BIAS is missing where it
 * has none any more. */
#define PEFT_FORM_BIAS 6

/* A form's tensors. Contiguous; factors, RANK_SCALE and IDS are F32 and I64,
 * the others of the element type of the adapter's file, or F32. Since: 4. */
#define PEFT_FORM_TENSOR_A 1
#define PEFT_FORM_TENSOR_B 2
#define PEFT_FORM_TENSOR_RANK_SCALE 3
#define PEFT_FORM_TENSOR_GATE 4 /* I64 */
#define PEFT_FORM_TENSOR_FACTOR 5
#define PEFT_FORM_TENSOR_WEIGHT 6
#define PEFT_FORM_TENSOR_IDS 7
#define PEFT_FORM_TENSOR_ROWS 8
#define PEFT_FORM_TENSOR_BIAS 9

/* One form. Since: 4. */
typedef struct peft_form {
  size_t struct_size;
  int32_t kind; /* PEFT_FORM_... */
  /* Of PEFT_FORM_LOW_RANK, all scales of the adapter and of the activation
   * multiplied; else 1. */
  float scale;
} peft_form_t;

/* For peft_lowered_get_form. Since: 4. */
#define PEFT_FORM_INIT \
  { sizeof(peft_form_t), 0, 0.0f }

/* Returns new: what `activation`, or with NULL what is active on the model,
 * does at layer `layer` of peft_model_find_layer; no form: nothing. The tensors
 * are the adapters' own, not copies. Free with peft_lowered_free. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_model_lower_layer(
    const peft_model_t* model, int64_t layer,
    const peft_activation_t* activation, peft_lowered_t** out_lowered);

/* The number of forms; 0 for a bad handle. Since: 4. */
PEFT_API size_t peft_lowered_size(const peft_lowered_t* lowered);

/* Writes form `index` to `out_form`, whose struct_size is set. INVALID_ARGUMENT
 * ("ARGUMENT") beyond the last. Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_lowered_get_form(
    const peft_lowered_t* lowered, size_t index, peft_form_t* out_form);

/* Writes tensor PEFT_FORM_TENSOR_... of form `index` to `out_view`, whose
 * struct_size is set; its pointers are borrowed, until `lowered` is freed.
 * Fails with NOT_FOUND ("TENSOR_MISSING") where the form has no such tensor.
 * Since: 4. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_lowered_get_tensor(
    const peft_lowered_t* lowered, size_t index, int32_t tensor,
    peft_tensor_view_t* out_view);

/* Frees it. Takes NULL. Since: 4. */
PEFT_API void peft_lowered_free(peft_lowered_t* lowered);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* PEFT_C_PEFT_C_H_ */
