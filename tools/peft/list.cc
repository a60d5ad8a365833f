#include <cstdio>
#include <string>
#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft list [--model DIR] --adapter DIR [--adapter DIR]...";

int PrintAdapter(const Model& model, const char* name) {
  peft_adapter_info_t info = PEFT_ADAPTER_INFO_INIT;
  if (peft_status_t* status =
          peft_model_get_adapter_info(model.get(), name, &info)) {
    return Fail(status);
  }
  std::printf("%s\t%s\t%lld\t%lld\t%lld\t%lld\n", name, info.peft_type,
              static_cast<long long>(info.rank),
              static_cast<long long>(info.num_sites),
              static_cast<long long>(info.num_parameters),
              static_cast<long long>(info.size_bytes));
  return kExitOk;
}

}  // namespace

int RunList(const std::vector<std::string>& words) {
  Args args(words, ModelOptionSpecs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage, "Loads adapters and lists what each takes.", ModelOptionSpecs(),
        "A line each, with tabs: name, method, largest rank, layers, "
        "parameters, bytes of\nmemory."));
  }
  if (!args.error().empty()) return FailUsage("list", args.error());
  if (!args.positional().empty()) {
    return FailUsage("list", "unexpected \"" + args.positional()[0] + "\"");
  }
  Model model;
  if (int code = OpenModel("list", args, &model)) return code;
  peft_string_list_t* raw = nullptr;
  if (peft_status_t* status = peft_model_list_adapters(model.get(), &raw)) {
    return Fail(status);
  }
  const StringList names(raw);
  std::printf("name\tmethod\trank\tlayers\tparameters\tbytes\n");
  for (size_t i = 0; i < peft_string_list_size(raw); ++i) {
    if (int code = PrintAdapter(model, peft_string_list_get(raw, i))) {
      return code;
    }
  }
  return kExitOk;
}

}  // namespace peft_tool
