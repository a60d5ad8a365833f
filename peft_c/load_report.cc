#include "peft_c/load_report.h"

#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

size_t peft_load_report_count(const peft_load_report_t* report, int32_t kind) {
  return peft::GuardValue(size_t{0}, [&]() -> size_t {
    const auto object = peft::Find(report);
    if (object == nullptr) return 0;
    if (kind == 0) return object->lines.size();
    return object->Count(static_cast<peft::ReportKind>(kind));
  });
}

peft_status_t* peft_load_report_get_line(const peft_load_report_t* report,
                                         size_t index,
                                         peft_report_line_t* out_line) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_line", out_line));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("report", report));
    if (index >= object->lines.size()) {
      return peft::BadArgument(
          "index", absl::StrCat("is ", index, " and the report has ",
                                object->lines.size(), " lines"));
    }
    const peft::ReportLine& found = object->lines[index];
    peft_report_line_t line = PEFT_REPORT_LINE_INIT;
    line.kind = static_cast<int32_t>(found.kind);
    line.name = found.name.c_str();
    line.detail = found.detail.c_str();
    peft::WriteOutStruct(line, out_line);
    return absl::OkStatus();
  });
}

int64_t peft_load_report_num_sites(const peft_load_report_t* report) {
  return peft::GuardValue(int64_t{0}, [&] {
    const auto object = peft::Find(report);
    return object == nullptr ? 0 : object->num_sites;
  });
}

int64_t peft_load_report_num_parameters(const peft_load_report_t* report) {
  return peft::GuardValue(int64_t{0}, [&] {
    const auto object = peft::Find(report);
    return object == nullptr ? 0 : object->num_parameters;
  });
}

void peft_load_report_free(peft_load_report_t* report) {
  peft::FreeHandle("peft_load_report_free", report);
}
