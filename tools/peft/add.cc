#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/fetch.h"
#include "tools/peft/handles.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft add --model DIR --config FILE --output DIR [--overwrite]";
constexpr size_t kMaxConfigBytes = 16 << 20;

std::vector<OptionSpec> Specs() {
  return Joined({
      {{"--model", "DIR", "the base model, a folder or a Hub id"},
       {"--config", "FILE",
        "an adapter_config.json; only peft_type must be in it"},
       {"--output", "DIR", "folder to write; its parent must exist"},
       {"--overwrite", nullptr, "replace the adapter that is at --output"},
       {"--seed", "N",
        "as torch.manual_seed before get_peft_model; default 0"}},
      ModelPlaceSpecs(),
      HubOptionSpecs(),
      {TaskOptionSpec(),
       LabelsOptionSpec(),
       {"--threads", "N", "threads to use; 0, the default: one per core"},
       {"--help", nullptr, "show this text"}},
  });
}

// Reads a text file; prints what went wrong.
int ReadText(const std::string& path, std::string* out_text) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) {
    return Fail("cannot open \"" + path + "\": " + std::strerror(errno));
  }
  char part[4096];
  while (size_t size = std::fread(part, 1, sizeof(part), file.get())) {
    out_text->append(part, size);
    if (out_text->size() > kMaxConfigBytes) {
      return Fail("\"" + path + "\" has over 16 MB: is it a config?");
    }
  }
  if (std::ferror(file.get())) {
    return Fail("cannot read \"" + path + "\": " + std::strerror(errno));
  }
  if (out_text->find('\0') != std::string::npos) {
    return Fail("\"" + path + "\" is no text");
  }
  return kExitOk;
}

int CheckUsage(const Args& args) {
  if (!args.error().empty()) return FailUsage("add", args.error());
  if (!args.positional().empty()) {
    return FailUsage("add", "unexpected \"" + args.positional()[0] + "\"");
  }
  for (const char* name : {"--model", "--config", "--output"}) {
    if (!args.Has(name)) {
      return FailUsage("add", std::string(name) + " is needed");
    }
  }
  return kExitOk;
}

}  // namespace

int RunAdd(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage, "Makes a fresh adapter, as get_peft_model does, and writes it.",
        Specs(),
        "Drawn numbers equal those that PEFT draws after torch.manual_seed(N). "
        "The folder\nappears whole or not at all. Without --overwrite a folder "
        "with files is left alone."));
  }
  peft_add_adapter_options_t options = PEFT_ADD_ADAPTER_OPTIONS_INIT;
  options.seed = static_cast<uint64_t>(
      args.GetInt("--seed", 0, 0, std::numeric_limits<int64_t>::max()));
  if (int code = CheckUsage(args)) return code;
  std::string config;
  if (int code = ReadText(args.Get("--config"), &config)) return code;
  Model model;
  if (int code = OpenModel("add", args, &model)) return code;
  if (peft_status_t* status = peft_model_add_adapter(
          model.get(), nullptr, config.c_str(), &options)) {
    return Fail(status);
  }
  return SaveAdapter(args, model.get(), nullptr);
}

}  // namespace peft_tool
