#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/progress.h"
#include "tools/peft/rows.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft forward [--model DIR] [--adapter DIR]... --ids FILE --output FILE";

std::vector<OptionSpec> Specs() {
  return Joined({
      ModelOptionSpecs(),
      {ScaleOptionSpec(),
       {"--ids", "FILE", "safetensors with \"input_ids\""},
       {"--output", "FILE", "safetensors to write"},
       RowOptionSpec(),
       {"--last", "N", "logits of the last N positions only"},
       {"--hidden", nullptr, "write last_hidden_state, too"}},
  });
}

// Adds output `output` of the session's last forward to the file under `name`,
// if it was computed.
peft_status_t* AddOutput(peft_session_t* session, int32_t output,
                         const char* name, peft_state_dict_t* file) {
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  peft_status_t* status = peft_session_get_output(session, output, &view);
  if (status == nullptr) return peft_state_dict_set(file, name, &view);
  if (peft_status_code(status) != PEFT_FAILED_PRECONDITION) return status;
  peft_status_free(status);
  return nullptr;
}

int WriteOutputs(peft_session_t* session, const std::string& path) {
  peft_state_dict_t* raw = nullptr;
  peft_status_t* status = peft_state_dict_create(&raw);
  StateDict file(raw);
  const struct {
    int32_t output;
    const char* name;
  } outputs[] = {{PEFT_OUTPUT_LOGITS, "logits"},
                 {PEFT_OUTPUT_LAST_HIDDEN_STATE, "last_hidden_state"},
                 {PEFT_OUTPUT_POOLER_OUTPUT, "pooler_output"}};
  for (const auto& each : outputs) {
    if (status != nullptr) return Fail(status);
    status = AddOutput(session, each.output, each.name, raw);
  }
  if (status == nullptr) status = peft_state_dict_write(raw, path.c_str());
  return status != nullptr ? Fail(status) : kExitOk;
}

// 0, what the model's class is for, unless more is asked for.
int OutputsOf(const Args& args, const peft_model_t* model,
              int32_t* out_outputs) {
  *out_outputs = 0;
  if (!args.Has("--hidden")) return kExitOk;
  peft_model_info_t info = PEFT_MODEL_INFO_INIT;
  if (peft_status_t* status = peft_model_get_info(model, &info)) {
    return Fail(status);
  }
  if (info.task != PEFT_TASK_BASE) {
    *out_outputs = PEFT_OUTPUT_LOGITS | PEFT_OUTPUT_LAST_HIDDEN_STATE;
  }
  return kExitOk;
}

}  // namespace

int RunForward(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage, "Runs the model once and writes what it gives.", Specs(),
        "--ids: tensor \"input_ids\" (or \"ids\"), I64 or I32, (batch, length)"
        ", optionally\n\"attention_mask\", \"position_ids\" and "
        "\"token_type_ids\". --output: tensor \"logits\",\nF32, (batch, "
        "length, "
        "vocabulary); of a classifier its labels, of one of sequences\n(batch, "
        "labels). Of a model without a head \"last_hidden_state\", (batch, "
        "length,\nwidth), and \"pooler_output\", (batch, width)."));
  }
  const int64_t keep = args.GetInt("--last", 0, 0, INT64_MAX);
  if (!args.error().empty()) return FailUsage("forward", args.error());
  if (!args.positional().empty()) {
    return FailUsage("forward", "unexpected \"" + args.positional()[0] + "\"");
  }
  if (!args.Has("--ids")) return FailUsage("forward", "--ids FILE is needed");
  if (!args.Has("--output")) {
    return FailUsage("forward", "--output FILE is needed");
  }
  TokenBatch tokens;
  if (int code = ReadTokens(args.Get("--ids"), &tokens)) return code;
  Model model;
  Rows rows;
  if (int code = rows.Open("forward", args, &model)) return code;
  RepeatTokens(rows.size(), &tokens);
  peft_session_t* raw = nullptr;
  if (peft_status_t* status = peft_session_create(model.get(), nullptr, &raw)) {
    return Fail(status);
  }
  Session session(raw);
  peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
  options.logits_to_keep = keep;
  if (int code = OutputsOf(args, model.get(), &options.outputs)) return code;
  options.activations = rows.data();
  options.num_activations = rows.size();
  const peft_forward_input_t input = tokens.Input();
  Progress progress("running the model");
  if (peft_status_t* status =
          peft_session_forward(raw, &input, &options, nullptr)) {
    return Fail(status);
  }
  return WriteOutputs(raw, args.Get("--output"));
}

}  // namespace peft_tool
