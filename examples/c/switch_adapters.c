/* Opens the quickstart's base model, loads two adapters, switches, generates.
 * usage: switch_adapters BASE ADAPTERS */
#include <stdio.h>

#include "peft_c/peft_c.h"

/* The character that each token of this model stands for. */
static const char kText[] =
    "???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM";

/* Prints how the active adapter writes 1987. */
static peft_status_t* Answer(peft_session_t* session, const char* name) {
  const int64_t prompt[] = {1, 4, 12, 11, 10, 13}; /* <bos> 1 9 8 7 = */
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  peft_generate_result_t* result = NULL;
  input.ids = prompt;
  input.batch = 1;
  input.length = 6;
  options.max_new_tokens = 64;
  peft_status_t* status =
      peft_session_generate(session, &input, &options, &result);
  size_t size = 0;
  const int64_t* tokens = peft_generate_result_tokens(result, 0, &size);
  if (!status) printf("%s: ", name);
  for (size_t i = 0; i + 1 < size; ++i) putchar(kText[tokens[i]]);
  if (!status) putchar('\n');
  peft_generate_result_free(result);
  return status;
}

int main(int argc, char** argv) {
  const char* const names[] = {"german", "roman"};
  char path[4096];
  peft_model_t* model = NULL;
  peft_session_t* session = NULL;
  if (argc != 3) return 2;
  peft_status_t* s = peft_model_open(argv[1], NULL, &model);
  if (!s) s = peft_session_create(model, NULL, &session);
  if (!s) s = Answer(session, "base");
  for (int i = 0; i < 2 && !s; ++i) {
    snprintf(path, sizeof(path), "%s/%s", argv[2], names[i]);
    s = peft_model_load_adapter(model, names[i], path, NULL, NULL);
    if (!s) s = Answer(session, names[i]);
  }
  if (!s) s = peft_model_set_adapter(model, names, 1, NULL);
  if (!s) s = Answer(session, "german");
  if (!s) s = peft_model_disable_adapters(model);
  if (!s) s = Answer(session, "base");
  if (s) fprintf(stderr, "%s\n", peft_status_message(s));
  const int failed = s != NULL;
  peft_status_free(s);
  peft_session_free(session);
  peft_model_free(model);
  return failed;
}
