/* What the C99 tests of the header share. Each includes it once. */
#ifndef PEFT_C_C_TEST_UTIL_H_
#define PEFT_C_C_TEST_UTIL_H_

#include <stdio.h>
#include <string.h>

#include "peft_c/peft_c.h"

/* Expectations of this program that did not hold. */
static int failures = 0;

static inline void Expect(int condition, const char* text, int line) {
  if (condition) return;
  fprintf(stderr, "line %d: expected %s\n", line, text);
  ++failures;
}
#define EXPECT(condition) Expect(condition, #condition, __LINE__)

static inline void ExpectOk(peft_status_t* status, const char* call, int line) {
  if (status == NULL) return;
  fprintf(stderr, "line %d: %s failed: %s [%s]\n", line, call,
          peft_status_message(status), peft_status_id(status));
  peft_status_free(status);
  ++failures;
}
#define EXPECT_OK(call) ExpectOk(call, #call, __LINE__)

static inline void ExpectError(peft_status_t* status, int32_t code,
                               const char* id, int line) {
  if (peft_status_code(status) != code ||
      strcmp(peft_status_id(status), id) != 0) {
    fprintf(stderr, "line %d: expected %d %s, got %d %s: %s\n", line, (int)code,
            id, (int)peft_status_code(status), peft_status_id(status),
            peft_status_message(status));
    ++failures;
  }
  peft_status_free(status);
}
#define EXPECT_ERROR(call, code, id) ExpectError(call, code, id, __LINE__)

/* FOLDER/name; the text lives until the next call but two. */
static const char* g_folder = NULL;
static inline const char* Path(const char* name) {
  static char paths[3][1024];
  static int next = 0;
  char* path = paths[next++ % 3];
  snprintf(path, sizeof(paths[0]), "%s/%s", g_folder, name);
  return path;
}

static inline peft_model_t* OpenBase(void) {
  peft_model_t* model = NULL;
  EXPECT_OK(peft_model_open(Path("base"), NULL, &model));
  return model;
}

static inline void Load(peft_model_t* model, const char* name) {
  char path[64];
  snprintf(path, sizeof(path), "adapters/%s", name);
  EXPECT_OK(peft_model_load_adapter(model, name, Path(path), NULL, NULL));
}

#endif /* PEFT_C_C_TEST_UTIL_H_ */
