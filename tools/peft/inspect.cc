#include <cstdio>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tools/peft/commands.h"
#include "tools/peft/fetch.h"
#include "tools/peft/handles.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

using Json = nlohmann::ordered_json;

const char kUsage[] = "peft inspect ADAPTER [--model DIR] [--json]";
// Names listed before the rest is only counted.
constexpr size_t kListed = 10;

std::vector<OptionSpec> Specs() {
  return Joined({
      {{"--model", "DIR", "also say which modules of this base model match"},
       {"--subfolder", "NAME", "folder below ADAPTER that holds the adapter"},
       {"--revision", "R", "of an ADAPTER of the Hub (main)"}},
      ModelPlaceSpecs(),
      HubOptionSpecs(),
      {TaskOptionSpec(),
       LabelsOptionSpec(),
       {"--json", nullptr, "print everything as JSON"},
       {"--help", nullptr, "show this text"}},
  });
}

// A value as a person reads it: text without quotes, nothing for null.
std::string Text(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void PrintLine(const char* label, const std::string& text) {
  if (!text.empty()) std::printf("%-16s %s\n", label, text.c_str());
}

void PrintNames(const char* label, const Json& names) {
  std::string text = std::to_string(names.size());
  for (size_t i = 0; i < names.size() && i < kListed; ++i) {
    text += (i == 0 ? ": " : ", ") + Text(names[i]);
  }
  if (names.size() > kListed) text += ", ...";
  PrintLine(label, text);
}

void PrintRanks(const Json& summary) {
  std::string text;
  for (const Json& entry : summary["ranks"]) {
    if (!text.empty()) text += ", ";
    text +=
        Text(entry["rank"]) + " (" + Text(entry["num_modules"]) + " modules)";
  }
  PrintLine("ranks", text);
}

void PrintModel(const Json& model) {
  PrintNames("matched", model["matched"]);
  PrintNames("unmatched", model["unmatched"]);
  PrintLine("loads", model["loads"].get<bool>()
                         ? "yes"
                         : "no: " + Text(model["reason"]));
}

// What the adapter in `folder` will take once it is loaded.
void PrintMemory(const std::string& folder) {
  peft_adapter_estimate_t estimate = PEFT_ADAPTER_ESTIMATE_INIT;
  if (Status(peft_estimate_adapter(folder.c_str(), nullptr, &estimate))) return;
  PrintLine("memory", std::to_string(estimate.size_bytes) + " bytes, file " +
                          std::to_string(estimate.file_bytes) + " bytes");
}

void PrintSummary(const Json& summary) {
  const std::string version = Text(summary["peft_version"]);
  PrintLine("method", Text(summary["peft_type"]) +
                          (version.empty() ? "" : " (PEFT " + version + ")"));
  PrintLine("runs here", summary["runnable"].get<bool>()
                             ? "yes"
                             : "no: " + Text(summary["reason"]));
  PrintLine("base model", Text(summary["base_model_name_or_path"]));
  PrintLine("task", Text(summary["task_type"]));
  PrintLine("rank", Text(summary["rank"]));
  PrintLine("lora_alpha", Text(summary["lora_alpha"]));
  PrintRanks(summary);
  PrintLine("target_modules", Text(summary["target_modules"]));
  PrintLine("layers", Text(summary["layer_replication"]));
  PrintLine("tensors", Text(summary["num_tensors"]) + ", " +
                           Text(summary["num_parameters"]) + " parameters, " +
                           Text(summary["size_bytes"]) + " bytes, " +
                           Text(summary["dtypes"]));
  if (!summary["ignored_keys"].empty()) {
    PrintNames("ignored keys", summary["ignored_keys"]);
  }
  PrintMemory(Text(summary["folder"]));
  for (const Json& note : summary["notes"]) PrintLine("note", Text(note));
  if (summary.contains("model")) PrintModel(summary["model"]);
}

// The folder of the adapter that the command line names.
int FindAdapter(const Args& args, std::string* out_folder) {
  const std::string subfolder = args.Get("--subfolder");
  const std::string revision = args.Get("--revision");
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  options.subfolder = subfolder.c_str();
  if (!revision.empty()) options.revision = revision.c_str();
  return FetchAdapter(args, args.positional()[0], options, out_folder);
}

}  // namespace

int RunInspect(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage,
        "Says what a PEFT adapter folder holds, of any method, and whether it "
        "can run.",
        Specs(),
        "ADAPTER is a folder, or owner/name of the Hub. Fails (exit code 1) "
        "when it\ncannot be read. With --model, \"loads\" says whether a "
        "strict "
        "load on that model\nwould succeed."));
  }
  if (!args.error().empty()) return FailUsage("inspect", args.error());
  if (args.positional().size() != 1) {
    return FailUsage("inspect", "give one adapter");
  }
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  if (int code = ReadHead("inspect", args, &options)) return code;
  std::string folder;
  if (int code = FindAdapter(args, &folder)) return code;
  Model model;
  if (args.Has("--model")) {
    if (int code = OpenBase(args, {folder}, options, &model)) return code;
  }
  peft_string_t* raw = nullptr;
  if (peft_status_t* status =
          peft_inspect_adapter(folder.c_str(), nullptr, model.get(), &raw)) {
    return Fail(status);
  }
  String json(raw);
  if (args.Has("--json")) {
    std::printf("%s\n", peft_string_data(raw));
    return kExitOk;
  }
  const Json summary = Json::parse(peft_string_data(raw), nullptr, false);
  if (summary.is_discarded()) return Fail("the summary is not JSON: a bug");
  PrintSummary(summary);
  return kExitOk;
}

}  // namespace peft_tool
