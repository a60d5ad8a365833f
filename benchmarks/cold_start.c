/* From nothing to the first adapted linear: loads the library that its argument
 * names, makes a model of one layer, gives it a LoRA adapter from memory, runs
 * the layer, and prints what each step took.
 *
 *   cold_start LIBRARY [SIZE]
 */
#include <dirent.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peft_c/peft_c.h"

#define RANK 16

static const char kConfig[] =
    "{\"peft_type\": \"LORA\", \"r\": 16, \"lora_alpha\": 32,"
    " \"target_modules\": [\"fc\"]}";

static double Milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* The number behind `key` in /proc/self/status; kilobytes for memory. */
static long Status(const char* key) {
  char line[256];
  long value = -1;
  FILE* file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof(line), file)) {
    if (strncmp(line, key, strlen(key)) == 0) {
      value = strtol(line + strlen(key) + 1, NULL, 10);
    }
  }
  if (file) fclose(file);
  return value;
}

static int OpenFiles(void) {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (folder && readdir(folder)) ++count;
  if (folder) closedir(folder);
  return count;
}

static void* g_library = NULL;

static void* Find(const char* name) {
  void* const function = dlsym(g_library, name);
  if (!function) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return function;
}

/* The types are those of the header. */
#define FIND(name) __typeof__(&name) const p_##name = Find(#name)

static void Check(peft_status_t* status) {
  if (!status) return;
  FIND(peft_status_message);
  fprintf(stderr, "%s\n", p_peft_status_message(status));
  exit(1);
}

static peft_tensor_view_t View(const float* data, const int64_t* sizes,
                               int32_t rank) {
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = data;
  view.dtype = PEFT_DTYPE_F32;
  view.sizes = sizes;
  view.rank = rank;
  return view;
}

static peft_state_dict_t* MakeTensors(const float* values, int64_t size) {
  FIND(peft_state_dict_create);
  FIND(peft_state_dict_set);
  const int64_t sizes[] = {RANK, size, RANK};
  const peft_tensor_view_t a = View(values, sizes, 2);
  const peft_tensor_view_t b = View(values, sizes + 1, 2);
  peft_state_dict_t* tensors = NULL;
  Check(p_peft_state_dict_create(&tensors));
  Check(
      p_peft_state_dict_set(tensors, "base_model.model.fc.lora_A.weight", &a));
  Check(
      p_peft_state_dict_set(tensors, "base_model.model.fc.lora_B.weight", &b));
  return tensors;
}

static peft_model_t* MakeModel(const float* weight, int64_t size) {
  FIND(peft_model_create);
  const int64_t sizes[] = {size, size};
  const peft_tensor_view_t view = View(weight, sizes, 2);
  peft_layer_t layer = PEFT_LAYER_INIT;
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  peft_model_t* model = NULL;
  layer.name = "fc";
  layer.kind = PEFT_LAYER_LINEAR;
  layer.weight = &view;
  layer.copy_weights = 0;
  options.num_threads = 1;
  Check(p_peft_model_create(&layer, 1, &options, &model));
  return model;
}

static void Run(const peft_model_t* model, const float* values, int64_t size) {
  FIND(peft_model_run_layer);
  FIND(peft_tensor_free);
  const int64_t sizes[] = {1, size};
  const peft_tensor_view_t x = View(values, sizes, 2);
  peft_tensor_t* y = NULL;
  Check(p_peft_model_run_layer(model, "fc", &x, NULL, &y));
  p_peft_tensor_free(y);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int64_t size = argc > 2 ? atoi(argv[2]) : 1024;
  float* const weight = malloc(sizeof(float) * size * size);
  if (!weight || size < RANK) return 2;
  for (int64_t i = 0; i < size * size; ++i) weight[i] = (i % 7 - 3) * 0.01f;

  const long rss = Status("VmRSS");
  const double start = Milliseconds();
  g_library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!g_library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const double loaded = Milliseconds();
  const long loaded_rss = Status("VmRSS");
  const long threads = Status("Threads");
  const int files = OpenFiles();

  const double model_start = Milliseconds();
  FIND(peft_model_load_adapter_from_memory);
  peft_model_t* const model = MakeModel(weight, size);
  const double made = Milliseconds();
  Check(p_peft_model_load_adapter_from_memory(
      model, "a", kConfig, MakeTensors(weight, size), NULL, NULL));
  const double adapted = Milliseconds();
  Run(model, weight, size);
  const double first = Milliseconds();
  Run(model, weight, size);
  const double second = Milliseconds();

  printf("{\"dlopen_ms\": %.4f, \"model_ms\": %.4f, \"adapter_ms\": %.4f, ",
         loaded - start, made - model_start, adapted - made);
  printf("\"first_ms\": %.4f, \"second_ms\": %.4f, \"total_ms\": %.4f, ",
         first - adapted, second - first, loaded - start + first - model_start);
  printf("\"dlopen_rss_kb\": %ld, \"rss_kb\": %ld, ", loaded_rss - rss,
         Status("VmRSS") - rss);
  printf("\"threads\": %ld, \"open_files\": %d}\n", threads, files);
  return 0;
}
