/* Sessions, forward and generate, used from plain C99 against the shared
 * library.
 *
 *   peft_c_session_test FOLDER   with the quickstart's base/ and adapters/
 */
#include "peft_c/c_test_util.h"

/* "<bos> 1 2 3 4 =", and the tokens that answer it. */
static const int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};

static peft_forward_input_t Prompt(void) {
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kPrompt;
  input.batch = 1;
  input.length = sizeof(kPrompt) / sizeof(kPrompt[0]);
  return input;
}

static int64_t ArgMax(const float* logits, int64_t size) {
  int64_t best = 0;
  int64_t i;
  for (i = 1; i < size; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

static void TestForward(void) {
  const peft_forward_input_t input = Prompt();
  peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
  peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
  peft_forward_input_t next = PEFT_FORWARD_INPUT_INIT;
  peft_session_t* session = NULL;
  peft_model_t* model = OpenBase();
  int64_t token;

  EXPECT_OK(peft_session_create(model, NULL, &session));
  EXPECT_OK(peft_session_forward(session, &input, NULL, &logits));
  EXPECT(logits.dtype == PEFT_DTYPE_F32 && logits.rank == 3);
  EXPECT(logits.sizes[0] == 1 && logits.sizes[1] == 6 && logits.sizes[2] == 56);
  EXPECT(peft_session_cache_length(session) == 6);
  token = ArgMax((const float*)logits.data + 5 * 56, 56);
  EXPECT(token == 30); /* the "o" of "one" */

  next.ids = &token;
  next.batch = 1;
  next.length = 1;
  EXPECT_OK(peft_session_forward(session, &next, NULL, &logits));
  EXPECT(logits.sizes[1] == 1);
  EXPECT(ArgMax((const float*)logits.data, 56) == 29); /* "n" */

  Load(model, "german");
  EXPECT_ERROR(peft_session_forward(session, &next, NULL, &logits),
               PEFT_FAILED_PRECONDITION, "ACTIVATION_CHANGED");
  EXPECT(logits.data == NULL && peft_session_cache_length(session) == 7);
  options.allow_activation_change = 1;
  EXPECT_OK(peft_session_forward(session, &next, &options, &logits));
  EXPECT_OK(peft_session_reset(session));
  EXPECT(peft_session_cache_length(session) == 0);

  /* The session keeps what it needs of the model. */
  peft_model_free(model);
  options.logits_to_keep = 1;
  EXPECT_OK(peft_session_forward(session, &input, &options, &logits));
  EXPECT(logits.sizes[1] == 1);
  EXPECT(ArgMax((const float*)logits.data, 56) == 20); /* "eintausend..." */
  peft_session_free(session);
}

/* Counts, and cancels at the third token. */
static int32_t CancelAtThird(void* user_data, int64_t row, int64_t token) {
  int* count = (int*)user_data;
  (void)row;
  (void)token;
  return ++*count == 3;
}

static void TestGenerate(void) {
  /* "one" and its space. */
  const int64_t stop[] = {20, 14};
  const size_t stop_length = 2;
  const peft_forward_input_t input = Prompt();
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  peft_generate_result_t* result = NULL;
  peft_session_t* session = NULL;
  peft_model_t* model = OpenBase();
  const int64_t* tokens;
  size_t num_tokens = 0;
  int count = 0;

  EXPECT_OK(peft_session_create(model, NULL, &session));
  EXPECT_OK(peft_session_generate(session, &input, NULL, &result));
  EXPECT(peft_generate_result_num_rows(result) == 1);
  peft_generate_result_tokens(result, 0, &num_tokens);
  EXPECT(num_tokens == 20); /* the default */
  EXPECT(peft_generate_result_finish_reason(result, 0) == PEFT_FINISH_LENGTH);
  EXPECT(peft_generate_result_tokens(result, 1, &num_tokens) == NULL);
  EXPECT(num_tokens == 0);
  EXPECT(peft_generate_result_finish_reason(result, 1) == 0);
  peft_generate_result_free(result);

  options.max_new_tokens = 64;
  EXPECT_OK(peft_session_generate(session, &input, &options, &result));
  EXPECT(peft_generate_result_finish_reason(result, 0) == PEFT_FINISH_EOS);
  tokens = peft_generate_result_tokens(result, 0, &num_tokens);
  EXPECT(num_tokens > 0 && tokens[num_tokens - 1] == 2);
  peft_generate_result_free(result);

  options.stop_tokens = stop;
  options.stop_sequence_lengths = &stop_length;
  options.num_stop_sequences = 1;
  EXPECT_OK(peft_session_generate(session, &input, &options, &result));
  EXPECT(peft_generate_result_finish_reason(result, 0) == PEFT_FINISH_STOP);
  tokens = peft_generate_result_tokens(result, 0, &num_tokens);
  EXPECT(num_tokens == 4 && tokens[3] == 14);
  peft_generate_result_free(result);

  options.on_token = CancelAtThird;
  options.user_data = &count;
  EXPECT_ERROR(peft_session_generate(session, &input, &options, &result),
               PEFT_CANCELLED, "CANCELLED");
  EXPECT(result == NULL && count == 3);
  peft_session_free(session);
  peft_model_free(model);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: peft_c_session_test FOLDER\n");
    return 2;
  }
  g_folder = argv[1];
  TestForward();
  TestGenerate();
  return failures == 0 ? 0 : 1;
}
