#include <string>
#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/interrupt.h"
#include "tools/peft/progress.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft merge [--model DIR] --adapter DIR [--adapter DIR]... --output DIR";

std::vector<OptionSpec> Specs() {
  return Joined({
      ModelOptionSpecs(),
      {ScaleOptionSpec(),
       {"--output", "DIR", "folder to write; its parent must exist"},
       {"--safe", nullptr, "refuse a merged weight that is NaN or infinite"}},
  });
}

int32_t OnProgress(void* user_data, int64_t done, int64_t total) {
  auto* const progress = static_cast<Progress*>(user_data);
  progress->Count(total > 0 ? done * 100 / total : 100);
  return Interrupted() ? 1 : 0;
}

int Merge(const Model& model, const Args& args) {
  Progress progress("writing the merged model", "%");
  peft_merge_and_unload_options_t options = PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT;
  options.safe_merge = args.Has("--safe") ? 1 : 0;
  options.on_progress = OnProgress;
  options.user_data = &progress;
  CatchInterrupts();
  peft_status_t* status = peft_model_merge_and_unload(
      model.get(), args.Get("--output").c_str(), &options);
  return status != nullptr ? Fail(status) : kExitOk;
}

}  // namespace

int RunMerge(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage,
        "Writes the model with the adapters merged into its weights, as a "
        "folder that\ntransformers opens without PEFT.",
        Specs(),
        "Weights keep their element types, shards and files. The folder "
        "appears whole or\nnot at all; Ctrl-C cancels and leaves nothing."));
  }
  if (!args.error().empty()) return FailUsage("merge", args.error());
  if (!args.positional().empty()) {
    return FailUsage("merge", "unexpected \"" + args.positional()[0] + "\"");
  }
  if (!args.Has("--adapter")) {
    return FailUsage("merge", "--adapter DIR is needed");
  }
  if (!args.Has("--output"))
    return FailUsage("merge", "--output DIR is needed");
  Model model;
  if (int code = OpenActiveModel("merge", args, &model)) return code;
  return Merge(model, args);
}

}  // namespace peft_tool
