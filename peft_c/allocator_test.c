/* A program's allocator gets every byte that libpeft.so allocates: this program
 * has a malloc of its own, which looks who calls it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peft_c/peft_c.h"

/* glibc's own. */
extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t count, size_t size);
extern void* __libc_realloc(void* data, size_t size);
extern void* __libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void* data);

/* Where the library's code is. */
static uintptr_t library_begin, library_end;
static atomic_long num_calls_from_library;
static atomic_int is_counting;

static void Look(const void* caller) {
  const uintptr_t address = (uintptr_t)caller;
  if (!is_counting || address < library_begin || address >= library_end) return;
  atomic_fetch_add(&num_calls_from_library, 1);
}
#define LOOK() Look(__builtin_return_address(0))

void* malloc(size_t size) {
  LOOK();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  LOOK();
  return __libc_calloc(count, size);
}
void* realloc(void* data, size_t size) {
  LOOK();
  return __libc_realloc(data, size);
}
void free(void* data) {
  LOOK();
  __libc_free(data);
}
void* memalign(size_t alignment, size_t size) {
  LOOK();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  LOOK();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out_data, size_t alignment, size_t size) {
  LOOK();
  *out_data = __libc_memalign(alignment, size);
  return *out_data == NULL ? 12 : 0;
}

static int FindLibrary(struct dl_phdr_info* info, size_t size, void* data) {
  (void)size;
  (void)data;
  if (strstr(info->dlpi_name, "libpeft.so") == NULL) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)* part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0) continue;
    library_begin = info->dlpi_addr + part->p_vaddr;
    library_end = library_begin + part->p_memsz;
  }
  return 1;
}

/* The allocator: counts, keeps each block's size and alignment before it to
 * compare, and has no memory for one block. */
typedef struct counter {
  atomic_llong live_bytes, total_bytes, live_blocks, blocks, mistakes;
  atomic_llong fail_at; /* the block that there is no memory for; 0: none */
} counter_t;

static void* Allocate(void* user_data, size_t size, size_t alignment) {
  counter_t* counter = user_data;
  const long long block = atomic_fetch_add(&counter->blocks, 1) + 1;
  if (block == counter->fail_at) return NULL;
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || size == 0) {
    atomic_fetch_add(&counter->mistakes, 1);
  }
  const size_t before = alignment > 64 ? alignment : 64;
  char* memory = __libc_memalign(before, before + size);
  if (memory == NULL) return NULL;
  memcpy(memory + before - 16, &size, sizeof(size));
  memcpy(memory + before - 8, &alignment, sizeof(alignment));
  atomic_fetch_add(&counter->live_bytes, (long long)size);
  atomic_fetch_add(&counter->total_bytes, (long long)size);
  atomic_fetch_add(&counter->live_blocks, 1);
  return memory + before;
}

static void Deallocate(void* user_data, void* data, size_t size,
                       size_t alignment) {
  counter_t* counter = user_data;
  const size_t before = alignment > 64 ? alignment : 64;
  size_t known_size, known_alignment;
  memcpy(&known_size, (char*)data - 16, sizeof(known_size));
  memcpy(&known_alignment, (char*)data - 8, sizeof(known_alignment));
  if (known_size != size || known_alignment != alignment) {
    atomic_fetch_add(&counter->mistakes, 1);
  }
  atomic_fetch_sub(&counter->live_bytes, (long long)size);
  atomic_fetch_sub(&counter->live_blocks, 1);
  __libc_free((char*)data - before);
}

static int failures;

static void Expect(int is_true, const char* what) {
  if (is_true) return;
  ++failures;
  fprintf(stderr, "FAILED: %s\n", what);
}

static void ExpectOk(peft_status_t* status) {
  if (status == NULL) return;
  ++failures;
  fprintf(stderr, "FAILED: %s\n", peft_status_message(status));
  peft_status_free(status);
}

static void ExpectId(peft_status_t* status, const char* id) {
  Expect(strcmp(peft_status_id(status), id) == 0, id);
  peft_status_free(status);
}

/* Opens, loads, generates, fails, saves nothing, frees all. */
static peft_status_t* UseLibrary(const char* folder) {
  char base[512], adapter[512];
  snprintf(base, sizeof(base), "%s/base", folder);
  snprintf(adapter, sizeof(adapter), "%s/adapters/german", folder);
  int64_t prompt[] = {1, 7, 5, 3, 10, 13};
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = prompt;
  input.batch = 1;
  input.length = 6;
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.read_mode = PEFT_READ_MODE_READ;
  options.num_threads = 2;
  peft_model_t* model = NULL;
  peft_session_t* session = NULL;
  peft_generate_result_t* result = NULL;
  peft_string_t* json = NULL;
  peft_status_t* s = peft_model_open(base, &options, &model);
  if (!s) s = peft_model_load_adapter(model, "a", adapter, NULL, NULL);
  if (!s) s = peft_session_create(model, NULL, &session);
  if (!s) s = peft_session_generate(session, &input, NULL, &result);
  if (!s) s = peft_model_merge_adapter(model, NULL, 0, NULL);
  if (!s) s = peft_inspect_adapter(adapter, NULL, model, &json);
  if (!s) ExpectId(peft_model_set_scale(model, "b", 1), "ADAPTER_NOT_FOUND");
  peft_string_free(json);
  peft_generate_result_free(result);
  peft_session_free(session);
  peft_model_free(model);
  return s;
}

int main(int argc, char** argv) {
  static counter_t counter;
  peft_allocator_t allocator = PEFT_ALLOCATOR_INIT;
  allocator.user_data = &counter;
  allocator.allocate = Allocate;
  allocator.deallocate = Deallocate;
  dl_iterate_phdr(FindLibrary, NULL);
  Expect(argc == 2 && library_end != 0, "found the library");
  is_counting = 1;
  ExpectOk(peft_set_allocator(&allocator));
  Expect(num_calls_from_library == 0, "setting it allocates nothing");
  ExpectOk(UseLibrary(argv[1]));
  const long long kept = counter.live_bytes;
  const long long kept_blocks = counter.live_blocks;
  const long long blocks = counter.blocks;
  ExpectOk(UseLibrary(argv[1]));
  Expect(counter.live_bytes == kept && counter.live_blocks == kept_blocks,
         "a second use leaves nothing behind");
  const long long in_use = counter.blocks - blocks;
  /* Each of some allocations fails once. */
  for (long long i = 1; i < in_use; i += 1 + in_use / 60) {
    counter.fail_at = counter.blocks + i;
    peft_status_t* status = UseLibrary(argv[1]);
    counter.fail_at = 0;
    if (status != NULL) ExpectId(status, "OUT_OF_MEMORY");
  }
  ExpectOk(UseLibrary(argv[1]));
  Expect(counter.live_blocks <= kept_blocks + 8, "failures leave little");
  Expect(counter.mistakes == 0, "sizes and alignments are told as given");
  Expect(num_calls_from_library == 0, "the library calls no other malloc");
  ExpectId(peft_set_allocator(&allocator), "ALLOCATOR");
  is_counting = 0;
  printf("%lld blocks, %lld bytes in all; kept %lld bytes\n",
         (long long)counter.blocks, (long long)counter.total_bytes, kept);
  return failures == 0 ? 0 : 1;
}
