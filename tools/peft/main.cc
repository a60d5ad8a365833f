// peft: inspect PEFT adapters and run models with them, on the C ABI.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "peft_c/peft_c.h"
#include "tools/peft/commands.h"
#include "tools/peft/handles.h"

namespace peft_tool {
namespace {

const char kHelp[] =
    "usage: peft COMMAND [OPTIONS]\n"
    "\n"
    "Works with PEFT adapters and Hugging Face models without Python.\n"
    "\n"
    "  inspect ADAPTER  say what an adapter folder holds and if it can run\n"
    "  list             load adapters and say what each takes\n"
    "  save             write an adapter again, as safetensors\n"
    "  add              make a fresh adapter from a config\n"
    "  add-weighted     make one adapter of several\n"
    "  merge            write a model with adapters merged into its weights\n"
    "  quantize         write a model with its weights in 8 or 4 bits\n"
    "  probe            say how much adapters change each layer's output\n"
    "  forward          run a model with adapters and write its logits\n"
    "  generate         generate token ids\n"
    "  download         fetch an adapter or a model from the Hub\n"
    "  cache            list, verify and clean the Hub's cache\n"
    "  version          say what this build is and can do\n"
    "\n"
    "`peft COMMAND --help` shows the options of a command.\n"
    "Exit codes: 0 done, 1 failed (the reason is on stderr), 2 bad usage.\n";

int PrintVersion() {
  peft_build_info_t info = {};
  info.struct_size = sizeof(info);
  peft_get_build_info(&info);
  std::printf(
      "peft %s (API %d)\ncompiler: %s\ncpu kernels: %s\nmethods: %s\n"
      "models: %s\n",
      info.version, info.api_version, info.compiler, info.cpu_kernels,
      info.methods, info.model_types);
  return kExitOk;
}

int Run(const std::vector<std::string>& words) {
  if (words.empty()) {
    std::fputs(kHelp, stderr);
    return kExitUsage;
  }
  const std::string& command = words[0];
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (command == "inspect") return RunInspect(rest);
  if (command == "list") return RunList(rest);
  if (command == "save") return RunSave(rest);
  if (command == "add") return RunAdd(rest);
  if (command == "add-weighted") return RunAddWeighted(rest);
  if (command == "merge") return RunMerge(rest);
  if (command == "quantize") return RunQuantize(rest);
  if (command == "probe") return RunProbe(rest);
  if (command == "forward") return RunForward(rest);
  if (command == "generate") return RunGenerate(rest);
  if (command == "download") return RunDownload(rest);
  if (command == "cache") return RunCache(rest);
  if (command == "version" || command == "--version") return PrintVersion();
  if (command == "help" || command == "--help" || command == "-h") {
    return PrintHelp(kHelp);
  }
  std::fprintf(stderr, "peft: unknown command \"%s\"\nTry: peft --help\n",
               command.c_str());
  return kExitUsage;
}

}  // namespace

int PrintHelp(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

}  // namespace peft_tool

int main(int argc, char** argv) {
  // `bazel run` starts programs elsewhere; paths are meant from where the user
  // is.
  const char* folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (folder != nullptr && chdir(folder) != 0) {
    return peft_tool::Fail(std::string("cannot enter ") + folder);
  }
  const int code =
      peft_tool::Run(std::vector<std::string>(argv + 1, argv + argc));
  if (std::fflush(stdout) != 0) return peft_tool::kExitFailure;
  return code;
}
