#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/progress.h"
#include "tools/peft/rows.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft forward --model DIR [--adapter DIR]... --ids FILE --output FILE";

std::vector<OptionSpec> Specs() {
  std::vector<OptionSpec> specs = ModelOptionSpecs();
  specs.push_back({"--ids", "FILE", "safetensors with \"input_ids\""});
  specs.push_back({"--output", "FILE", "safetensors to write \"logits\" to"});
  specs.push_back(RowOptionSpec());
  specs.push_back({"--last", "N", "logits of the last N positions only"});
  return specs;
}

int WriteLogits(const peft_tensor_view_t& logits, const std::string& path) {
  peft_state_dict_t* raw = nullptr;
  if (peft_status_t* status = peft_state_dict_create(&raw)) {
    return Fail(status);
  }
  StateDict file(raw);
  if (peft_status_t* status = peft_state_dict_set(raw, "logits", &logits)) {
    return Fail(status);
  }
  peft_status_t* status = peft_state_dict_write(raw, path.c_str());
  return status != nullptr ? Fail(status) : kExitOk;
}

}  // namespace

int RunForward(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage, "Runs the model once and writes its logits.", Specs(),
        "--ids: tensor \"input_ids\" (or \"ids\"), I64 or I32, (batch, length)"
        ", optionally\n\"attention_mask\" and \"position_ids\". --output: "
        "tensor \"logits\", F32,\n(batch, length, vocabulary)."));
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
  if (int code = OpenModel("forward", args, &model)) return code;
  Rows rows;
  if (int code = rows.Read("forward", args, model)) return code;
  rows.Repeat(&tokens);
  peft_session_t* raw = nullptr;
  if (peft_status_t* status = peft_session_create(model.get(), nullptr, &raw)) {
    return Fail(status);
  }
  Session session(raw);
  peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
  options.logits_to_keep = keep;
  options.activations = rows.data();
  options.num_activations = rows.size();
  const peft_forward_input_t input = tokens.Input();
  peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
  Progress progress("running the model");
  if (peft_status_t* status =
          peft_session_forward(raw, &input, &options, &logits)) {
    return Fail(status);
  }
  return WriteLogits(logits, args.Get("--output"));
}

}  // namespace peft_tool
