#include <string>
#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft save [--model DIR] --adapter DIR --output DIR [--overwrite]";

std::vector<OptionSpec> Specs() {
  return Joined({
      ModelOptionSpecs(),
      {{"--output", "DIR", "folder to write; its parent must exist"},
       {"--overwrite", nullptr, "replace the adapter that is at --output"},
       {"--initial-adapter", "DIR",
        "the adapter before training, whose initialisation (pissa, olora, ...) "
        "took something from the base: writes a plain LoRA for the base as it "
        "was"}},
  });
}

}  // namespace

int RunSave(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage,
        "Loads an adapter and writes it again as PEFT does: as safetensors, "
        "with PEFT's names.",
        Specs(),
        "The folder appears whole or not at all. Without --overwrite a folder "
        "with files\nis left alone; with it, its other files stay."));
  }
  if (!args.error().empty()) return FailUsage("save", args.error());
  if (!args.positional().empty()) {
    return FailUsage("save", "unexpected \"" + args.positional()[0] + "\"");
  }
  if (args.GetAll("--adapter").size() != 1) {
    return FailUsage("save", "give one --adapter DIR");
  }
  if (!args.Has("--output")) {
    return FailUsage("save", "--output DIR is needed");
  }
  Model model;
  if (int code = OpenModel("save", args, &model)) return code;
  return SaveAdapter(args, model.get(), nullptr);
}

}  // namespace peft_tool
