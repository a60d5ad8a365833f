#include <string>
#include <vector>

#include "tools/peft/args.h"
#include "tools/peft/commands.h"
#include "tools/peft/fetch.h"
#include "tools/peft/handles.h"
#include "tools/peft/interrupt.h"
#include "tools/peft/progress.h"

namespace peft_tool {
namespace {

const char kUsage[] = "peft quantize BASE OUT [--format q8|q4] [--head]";

std::vector<OptionSpec> Specs() {
  return Joined({
      {{"--format", "F",
        "q8: 8 bits a weight; q4, the default: 4. Both add half a bit for "
        "scales"},
       {"--head", nullptr,
        "also the head, and the embedding that it is tied to"}},
      ModelPlaceSpecs(),
      HubOptionSpecs(),
      {{"--threads", "N", "threads to use; 0, the default: one per core"},
       {"--help", nullptr, "show this text"}},
  });
}

int32_t OnProgress(void* user_data, int64_t done, int64_t total) {
  auto* const progress = static_cast<Progress*>(user_data);
  progress->Count(total > 0 ? done * 100 / total : 100);
  return Interrupted() ? 1 : 0;
}

int Open(const Args& args, const peft_model_options_t& options,
         Model* out_model) {
  std::string folder;
  if (int code = FetchModel(args, args.positional()[0], options, &folder)) {
    return code;
  }
  Progress progress("quantising the weights");
  peft_model_t* model = nullptr;
  peft_status_t* status = peft_model_open(folder.c_str(), &options, &model);
  out_model->reset(model);
  return status != nullptr ? Fail(status) : kExitOk;
}

int Quantize(const Args& args, const peft_model_options_t& options) {
  Model model;
  if (int code = Open(args, options, &model)) return code;
  Progress progress("writing the quantised model", "%");
  CatchInterrupts();
  peft_status_t* status = peft_model_write_quantized(
      model.get(), args.positional()[1].c_str(), OnProgress, &progress);
  return status != nullptr ? Fail(status) : kExitOk;
}

}  // namespace

int RunQuantize(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage,
        "Writes the model BASE, a folder or owner/name of the Hub, with the "
        "weights of its\nlinear layers in blocks of 32 codes and a scale, as "
        "the new folder OUT. The\nother commands open that; adapters act on "
        "what the codes stand for.",
        Specs(),
        "The folder appears whole or not at all; Ctrl-C cancels and leaves "
        "nothing."));
  }
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads =
      static_cast<int32_t>(args.GetInt("--threads", 0, 0, 1024));
  options.quantize_head = args.Has("--head") ? 1 : 0;
  if (!args.error().empty()) return FailUsage("quantize", args.error());
  const std::string format = args.Has("--format") ? args.Get("--format") : "q4";
  if (format != "q8" && format != "q4") {
    return FailUsage("quantize", "--format is q8 or q4, not " + format);
  }
  options.weight_format =
      format == "q8" ? PEFT_WEIGHT_FORMAT_Q8 : PEFT_WEIGHT_FORMAT_Q4;
  if (args.positional().size() != 2) {
    return FailUsage("quantize", "BASE and OUT are needed");
  }
  return Quantize(args, options);
}

}  // namespace peft_tool
