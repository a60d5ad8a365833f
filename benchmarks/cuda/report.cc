#include "benchmarks/cuda/report.h"

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace peft {

namespace {

std::string Text(double number, Unit unit) {
  if (std::isnan(number)) return "-";
  switch (unit) {
    case Unit::kCount:
      return absl::StrFormat("%.0f", number);
    case Unit::kMicroseconds:
      return absl::StrFormat("%.1f", number);
    case Unit::kPercent:
      return absl::StrFormat("%+.1f %%", number);
    default:
      return absl::StrFormat("%.2f", number);
  }
}

std::string WithUnit(double number, Unit unit) {
  const char* const suffix = unit == Unit::kMicroseconds ? " us"
                             : unit == Unit::kRatio      ? " x"
                                                         : "";
  return Text(number, unit) + suffix;
}

std::string Quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return result + "\"";
}

std::string Number(double number) {
  return std::isfinite(number) ? absl::StrFormat("%.9g", number) : "null";
}

// The items as JSON, by `format`.
template <typename Items, typename Format>
std::string Array(const Items& items, Format format) {
  return absl::StrCat("[",
                      absl::StrJoin(items, ", ",
                                    [&](std::string* out, const auto& item) {
                                      out->append(format(item));
                                    }),
                      "]");
}

std::string TableJson(const Report::Table& table) {
  return absl::StrCat(
      "{\"title\": ", Quoted(table.title), ", \"columns\": ",
      Array(table.columns, [](const Column& c) { return Quoted(c.name); }),
      ", \"rows\": ",
      Array(table.rows,
            [](const std::vector<double>& row) { return Array(row, Number); }),
      "}");
}

std::string BoundJson(const Bound& bound) {
  return absl::StrCat("{\"bound\": ", Quoted(bound.text),
                      ", \"limit\": ", Number(bound.limit),
                      ", \"at_least\": ", bound.at_least ? "true" : "false",
                      ", \"measured\": ", Number(bound.measured), ", \"met\": ",
                      std::isnan(bound.measured) ? "null"
                      : bound.met()              ? "true"
                                                 : "false",
                      "}");
}

}  // namespace

bool Bound::met() const {
  return at_least ? measured >= limit : measured <= limit;
}

void Report::SetTitle(const std::string& title) {
  title_ = title;
  std::printf("%s\n", title.c_str());
}

void Report::StartTable(const std::string& title,
                        const std::vector<Column>& columns) {
  tables_.push_back({title, columns, {}});
  std::printf("\n%s\n\n|", title.c_str());
  for (const Column& column : columns)
    std::printf(" %s |", column.name.c_str());
  std::printf("\n|");
  for (size_t i = 0; i < columns.size(); ++i) std::printf("--:|");
  std::printf("\n");
  std::fflush(stdout);
}

void Report::AddRow(const std::vector<double>& numbers) {
  Table& table = tables_.back();
  table.rows.push_back(numbers);
  std::printf("|");
  for (size_t i = 0; i < numbers.size(); ++i) {
    std::printf(" %s |", Text(numbers[i], table.columns[i].unit).c_str());
  }
  std::printf("\n");
  std::fflush(stdout);
}

void Report::AddBound(const Bound& bound) {
  bounds_.push_back(bound);
  const char* const verdict = std::isnan(bound.measured) ? "not measured"
                              : bound.met()              ? "met"
                                                         : "NOT MET";
  std::printf("%-12s  %s: %s, promised at %s %s\n", verdict, bound.text.c_str(),
              WithUnit(bound.measured, bound.unit).c_str(),
              bound.at_least ? "least" : "most",
              WithUnit(bound.limit, bound.unit).c_str());
}

std::string Report::Json() const {
  return absl::StrCat("{\"title\": ", Quoted(title_),
                      ",\n\"tables\": ", Array(tables_, TableJson),
                      ",\n\"bounds\": ", Array(bounds_, BoundJson), "}\n");
}

}  // namespace peft
