#include <cstdio>
#include <string>
#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/progress.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kUsage[] =
    "peft probe [--model DIR] --adapter DIR [--adapter DIR]... [--summary]";

std::vector<OptionSpec> Specs() {
  return Joined({
      ModelOptionSpecs(),
      {{"--rows", "N", "rows of random input for each layer; default 16"},
       {"--seed", "N", "of the input; default 0"},
       {"--summary", nullptr, "print the line for each adapter only"}},
  });
}

int PrintLayers(const std::string& adapter, const peft_probe_report_t* report) {
  for (size_t i = 0; i < peft_probe_report_count(report); ++i) {
    peft_probe_line_t line = PEFT_PROBE_LINE_INIT;
    if (peft_status_t* status = peft_probe_report_get_line(report, i, &line)) {
      return Fail(status);
    }
    std::printf("%s\t%s\t%.6g\t%.6g\t%.6g%s\n", adapter.c_str(), line.name,
                line.delta_norm, line.base_norm, line.ratio,
                line.delta_norm == 0 ? "\tno effect" : "");
  }
  return kExitOk;
}

// An adapter that changes nothing is what the command is there to find.
int PrintSummary(const std::string& adapter,
                 const peft_probe_report_t* report) {
  peft_probe_summary_t summary = PEFT_PROBE_SUMMARY_INIT;
  if (peft_status_t* status = peft_probe_report_get_summary(report, &summary)) {
    return Fail(status);
  }
  std::printf("%s\tall %lld layers\tratio %.6g, at most %.6g\n",
              adapter.c_str(), static_cast<long long>(summary.num_sites),
              summary.ratio, summary.max_ratio);
  if (summary.num_unchanged == 0) return kExitOk;
  const std::string unchanged = std::to_string(summary.num_unchanged) + " of " +
                                std::to_string(summary.num_sites) + " layers";
  if (summary.num_unchanged == summary.num_sites) {
    return Fail("adapter \"" + adapter + "\" was loaded but does nothing: " +
                unchanged + " are unchanged");
  }
  std::fprintf(stderr, "adapter \"%s\": note: %s are unchanged\n",
               adapter.c_str(), unchanged.c_str());
  return kExitOk;
}

int ProbeAdapter(const Model& model, const std::string& adapter,
                 const peft_probe_options_t& options, bool only_summary) {
  peft_probe_report_t* raw = nullptr;
  {
    Progress progress("probing \"" + adapter + "\"");
    if (peft_status_t* status = peft_model_probe_adapter(
            model.get(), adapter.c_str(), &options, &raw)) {
      return Fail(status);
    }
  }
  const ProbeReport report(raw);
  if (!only_summary) {
    if (int code = PrintLayers(adapter, raw)) return code;
  }
  return PrintSummary(adapter, raw);
}

// All of them, also where one does nothing.
int ProbeAll(const Model& model, const peft_probe_options_t& options,
             bool only_summary) {
  peft_string_list_t* raw = nullptr;
  if (peft_status_t* status = peft_model_list_adapters(model.get(), &raw)) {
    return Fail(status);
  }
  const StringList names(raw);
  if (!only_summary) std::printf("adapter\tlayer\tdelta\tbase\tratio\n");
  int code = kExitOk;
  for (size_t i = 0; i < peft_string_list_size(raw); ++i) {
    if (int failed = ProbeAdapter(model, peft_string_list_get(raw, i), options,
                                  only_summary)) {
      code = failed;
    }
  }
  return code;
}

}  // namespace

int RunProbe(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage,
        "Feeds random input to the layers that each adapter changes and says "
        "how much\ntheir outputs change.",
        Specs(),
        "A line for each layer, with tabs: adapter, layer, the norms of the "
        "change and of\nthe base's output, their ratio, and \"no effect\" "
        "where "
        "nothing changes; then one\nfor the adapter. Fails (exit code 1) for "
        "an adapter that does nothing at all."));
  }
  if (!args.error().empty()) return FailUsage("probe", args.error());
  if (!args.positional().empty()) {
    return FailUsage("probe", "unexpected \"" + args.positional()[0] + "\"");
  }
  if (!args.Has("--adapter")) {
    return FailUsage("probe", "--adapter DIR is needed");
  }
  peft_probe_options_t options = PEFT_PROBE_OPTIONS_INIT;
  options.rows = args.GetInt("--rows", options.rows, 1, 4096);
  options.seed = static_cast<uint64_t>(args.GetInt("--seed", 0, 0, INT64_MAX));
  if (!args.error().empty()) return FailUsage("probe", args.error());
  Model model;
  if (int code = OpenModel("probe", args, &model)) return code;
  return ProbeAll(model, options, args.Has("--summary"));
}

}  // namespace peft_tool
