#include <cstdio>
#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/interrupt.h"
#include "tools/peft/progress.h"
#include "tools/peft/rows.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft generate [--model DIR] [--adapter DIR]... (--ids FILE | --prompt-ids "
    "1,2,3)";

std::vector<OptionSpec> Specs() {
  return Joined({
      ModelOptionSpecs(),
      {ScaleOptionSpec(),
       {"--ids", "FILE", "safetensors with \"input_ids\", padded on the left"},
       {"--prompt-ids", "LIST", "the prompt's token ids, comma-separated"},
       {"--max-new-tokens", "N", "default 20"},
       {"--do-sample", nullptr, "draw tokens instead of taking the best"},
       {"--temperature", "T", "default 1; this and the next: with --do-sample"},
       {"--top-k", "K", "default 50; 0: off"},
       {"--top-p", "P", "default 1"},
       {"--min-p", "P", "default 0"},
       {"--repetition-penalty", "X", "default 1"},
       {"--seed", "N", "default 0"},
       {"--eos", "LIST", "token ids that end a row; default: the model's"},
       {"--ignore-eos", nullptr, "go on after an eos token"},
       {"--stop", "LIST",
        "token ids that, one after another, end a row; may "
        "be repeated"},
       RowOptionSpec(),
       {"--stream", nullptr, "print each token as it comes (one row only)"}},
  });
}

// What peft_generate_options_t points to.
struct GenerateLists {
  std::vector<int64_t> eos;
  std::vector<int64_t> stop_tokens;
  std::vector<size_t> stop_lengths;
};

struct TokenState {
  Progress* progress;
  bool stream;
  int64_t count = 0;
};

int32_t OnToken(void* user_data, int64_t, int64_t token) {
  auto* state = static_cast<TokenState*>(user_data);
  state->progress->Count(++state->count);
  if (state->stream) {
    std::printf("%s%lld", state->count > 1 ? " " : "",
                static_cast<long long>(token));
    std::fflush(stdout);
  }
  return Interrupted() ? 1 : 0;
}

int ReadNumbers(Args& args, peft_generate_options_t* options) {
  options->max_new_tokens =
      args.GetInt("--max-new-tokens", options->max_new_tokens, 1, 1 << 30);
  options->do_sample = args.Has("--do-sample") ? 1 : 0;
  options->temperature = static_cast<float>(args.GetDouble("--temperature", 1));
  options->top_k = args.GetInt("--top-k", options->top_k, 0, INT32_MAX);
  options->top_p = static_cast<float>(args.GetDouble("--top-p", 1));
  options->min_p = static_cast<float>(args.GetDouble("--min-p", 0));
  options->repetition_penalty =
      static_cast<float>(args.GetDouble("--repetition-penalty", 1));
  options->seed = static_cast<uint64_t>(args.GetInt("--seed", 0, 0, INT64_MAX));
  options->ignore_eos = args.Has("--ignore-eos") ? 1 : 0;
  return args.error().empty() ? kExitOk : FailUsage("generate", args.error());
}

int ReadLists(const Args& args, GenerateLists* lists,
              peft_generate_options_t* options) {
  if (args.Has("--eos") && !ParseIntList(args.Get("--eos"), &lists->eos)) {
    return FailUsage("generate", "--eos needs numbers with commas");
  }
  for (const std::string& text : args.GetAll("--stop")) {
    const size_t before = lists->stop_tokens.size();
    if (!ParseIntList(text, &lists->stop_tokens)) {
      return FailUsage("generate", "--stop needs numbers with commas");
    }
    lists->stop_lengths.push_back(lists->stop_tokens.size() - before);
  }
  if (!lists->eos.empty()) {
    options->eos_token_ids = lists->eos.data();
    options->num_eos_token_ids = lists->eos.size();
  }
  options->stop_tokens = lists->stop_tokens.data();
  options->stop_sequence_lengths = lists->stop_lengths.data();
  options->num_stop_sequences = lists->stop_lengths.size();
  return kExitOk;
}

int ReadPrompt(const Args& args, TokenBatch* tokens) {
  if (args.Has("--ids") == args.Has("--prompt-ids")) {
    return FailUsage("generate", "give either --ids or --prompt-ids");
  }
  if (args.Has("--ids")) return ReadTokens(args.Get("--ids"), tokens);
  if (!ParseIntList(args.Get("--prompt-ids"), &tokens->ids)) {
    return FailUsage("generate", "--prompt-ids needs numbers with commas");
  }
  tokens->batch = 1;
  tokens->length = static_cast<int64_t>(tokens->ids.size());
  return kExitOk;
}

void PrintRows(const peft_generate_result_t* result) {
  for (size_t row = 0; row < peft_generate_result_num_rows(result); ++row) {
    size_t count = 0;
    const int64_t* tokens = peft_generate_result_tokens(result, row, &count);
    for (size_t i = 0; i < count; ++i) {
      std::printf("%s%lld", i > 0 ? " " : "",
                  static_cast<long long>(tokens[i]));
    }
    std::printf("\n");
  }
}

int Generate(const Model& model, const TokenBatch& tokens, bool stream,
             peft_generate_options_t* options) {
  peft_session_t* raw = nullptr;
  if (peft_status_t* status = peft_session_create(model.get(), nullptr, &raw)) {
    return Fail(status);
  }
  Session session(raw);
  Progress progress("generating");
  TokenState state{&progress, stream};
  options->on_token = OnToken;
  options->user_data = &state;
  CatchInterrupts();
  const peft_forward_input_t input = tokens.Input();
  peft_generate_result_t* raw_result = nullptr;
  peft_status_t* status =
      peft_session_generate(raw, &input, options, &raw_result);
  Result result(raw_result);
  if (stream) std::printf("\n");
  if (status != nullptr) return Fail(status);
  if (!stream) PrintRows(raw_result);
  return kExitOk;
}

}  // namespace

int RunGenerate(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage, "Generates tokens and prints their ids, a line for each row.",
        Specs(), "Ctrl-C cancels."));
  }
  if (!args.error().empty()) return FailUsage("generate", args.error());
  if (!args.positional().empty()) {
    return FailUsage("generate", "unexpected \"" + args.positional()[0] + "\"");
  }
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  GenerateLists lists;
  TokenBatch tokens;
  if (int code = ReadNumbers(args, &options)) return code;
  if (int code = ReadLists(args, &lists, &options)) return code;
  if (int code = ReadPrompt(args, &tokens)) return code;
  const bool stream = args.Has("--stream");
  if (stream && (tokens.batch != 1 || args.GetAll("--row").size() > 1)) {
    return FailUsage("generate", "--stream needs a prompt of one row");
  }
  Model model;
  Rows rows;
  if (int code = rows.Open("generate", args, &model)) return code;
  RepeatTokens(rows.size(), &tokens);
  options.activations = rows.data();
  options.num_activations = rows.size();
  return Generate(model, tokens, stream, &options);
}

}  // namespace peft_tool
