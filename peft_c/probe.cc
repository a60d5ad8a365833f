#include "peft_c/probe.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr int64_t kMaxProbeRows = 4096;

absl::StatusOr<ProbeOptions> OptionsOf(const peft_probe_options_t* options) {
  peft_probe_options_t known = PEFT_PROBE_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  if (known.rows < 1 || known.rows > kMaxProbeRows) {
    return BadArgument(
        "options.rows",
        absl::StrCat("is ", known.rows, ", expected 1 to ", kMaxProbeRows));
  }
  return ProbeOptions{known.seed, known.rows};
}

}  // namespace
}  // namespace peft

void peft_probe_options_init(peft_probe_options_t* options,
                             size_t struct_size) {
  static constexpr peft_probe_options_t kDefaults = PEFT_PROBE_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_probe_adapter(const peft_model_t* model,
                                        const char* name,
                                        const peft_probe_options_t* options,
                                        peft_probe_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_report", out_report));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, ""));
    PEFT_ASSIGN_OR_RETURN(const peft::ProbeOptions known,
                          peft::OptionsOf(options));
    PEFT_ASSIGN_OR_RETURN(peft::ProbeReport report,
                          object->ProbeAdapter(key, known));
    return peft::NewHandle(
        std::make_shared<const peft::ProbeReport>(std::move(report)),
        out_report);
  });
}

size_t peft_probe_report_count(const peft_probe_report_t* report) {
  return peft::GuardValue(size_t{0}, [&] {
    const auto object = peft::Find(report);
    return object == nullptr ? 0 : object->lines.size();
  });
}

peft_status_t* peft_probe_report_get_line(const peft_probe_report_t* report,
                                          size_t index,
                                          peft_probe_line_t* out_line) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_line", out_line));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("report", report));
    if (index >= object->lines.size()) {
      return peft::BadArgument(
          "index", absl::StrCat("is ", index, " and the report has ",
                                object->lines.size(), " lines"));
    }
    const peft::ProbeLine& found = object->lines[index];
    peft_probe_line_t line = PEFT_PROBE_LINE_INIT;
    line.name = found.site.c_str();
    line.base_norm = found.base_norm;
    line.delta_norm = found.delta_norm;
    line.ratio = found.Ratio();
    peft::WriteOutStruct(line, out_line);
    return absl::OkStatus();
  });
}

peft_status_t* peft_probe_report_get_summary(
    const peft_probe_report_t* report, peft_probe_summary_t* out_summary) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_summary", out_summary));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("report", report));
    peft_probe_summary_t summary = PEFT_PROBE_SUMMARY_INIT;
    summary.num_sites = static_cast<int64_t>(object->lines.size());
    summary.num_unchanged = object->NumUnchanged();
    summary.ratio = object->Ratio();
    summary.max_ratio = object->MaxRatio();
    peft::WriteOutStruct(summary, out_summary);
    return absl::OkStatus();
  });
}

void peft_probe_report_free(peft_probe_report_t* report) {
  peft::FreeHandle("peft_probe_report_free", report);
}
