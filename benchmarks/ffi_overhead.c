/* What calls of the C ABI cost from C: the baseline of other languages, whose
 * programs do the same. benchmarks/ffi.py runs them in turns.
 *
 * usage: ffi_overhead SCENARIO
 * Each line of the input names a call and how often to make it; the answer is
 * a line with the nanoseconds that all of them took. */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peft_c/peft_c.h"

static peft_model_t* model;
static peft_session_t* session;

/* Where results go, so that no call is left out. */
static volatile float sink;

static void Check(peft_status_t* status) {
  if (!status) return;
  fprintf(stderr, "%s\n", peft_status_message(status));
  exit(1);
}

static void Version(void) { sink = (float)peft_api_version(); }

static void Has(void) {
  int32_t has = 0;
  Check(peft_model_has_adapter(model, "plain", &has));
  sink = (float)has;
}

static void Layer(void) {
  static const int64_t sizes[] = {1, 16};
  static const float x[16] = {1, 2, 3, 4};
  peft_tensor_view_t in = PEFT_TENSOR_VIEW_INIT, out = PEFT_TENSOR_VIEW_INIT;
  peft_tensor_t* y = NULL;
  in.data = x;
  in.dtype = PEFT_DTYPE_F32;
  in.rank = 2;
  in.sizes = sizes;
  Check(peft_model_run_layer(model, "model.layers.0.self_attn.q_proj", &in,
                             NULL, &y));
  Check(peft_tensor_get_view(y, &out));
  sink = ((const float*)out.data)[0];
  peft_tensor_free(y);
}

static void Forward(void) {
  const int64_t ids[] = {5};
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
  input.ids = ids;
  input.batch = 1;
  input.length = 1;
  Check(peft_session_reset(session));
  Check(peft_session_forward(session, &input, NULL, &logits));
  sink = ((const float*)logits.data)[0];
}

static int64_t Now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t Time(void (*call)(void), int64_t count) {
  const int64_t start = Now();
  for (int64_t i = 0; i < count; ++i) call();
  return Now() - start;
}

static void Open(const char* scenario) {
  char path[4096];
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  snprintf(path, sizeof(path), "%s/base", scenario);
  Check(peft_model_open(path, &options, &model));
  snprintf(path, sizeof(path), "%s/adapters/plain", scenario);
  Check(peft_model_load_adapter(model, "plain", path, NULL, NULL));
  Check(peft_session_create(model, NULL, &session));
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*call)(void);
  } calls[] = {{"version", Version},
               {"has_adapter", Has},
               {"run_layer", Layer},
               {"forward", Forward}};
  char name[32];
  long long count = 0;
  if (argc != 2) return 2;
  Open(argv[1]);
  while (scanf("%31s %lld", name, &count) == 2) {
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); ++i) {
      if (strcmp(name, calls[i].name) != 0) continue;
      printf("%lld\n", (long long)Time(calls[i].call, count));
    }
    fflush(stdout);
  }
  peft_session_free(session);
  peft_model_free(model);
  return 0;
}
