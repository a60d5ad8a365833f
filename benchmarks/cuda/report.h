// What a benchmark has measured: tables in Markdown, a line for each bound, and
// both as JSON.
#ifndef BENCHMARKS_CUDA_REPORT_H_
#define BENCHMARKS_CUDA_REPORT_H_

#include <string>
#include <vector>

namespace peft {

enum class Unit { kCount, kMicroseconds, kPercent, kRatio };

struct Column {
  std::string name;
  Unit unit = Unit::kCount;
};

// A number that was promised.
struct Bound {
  std::string text;  // "one adapter at one row, over the base"
  Unit unit = Unit::kPercent;
  double limit = 0;
  bool at_least = false;  // else at most
  double measured = 0;    // NaN where it was not

  bool met() const;
};

// Numbers are in the units that are printed, NaN where nothing was measured.
class Report {
 public:
  // Goes into the JSON: the device, and what ran on it.
  void SetTitle(const std::string& title);
  // Begins a table, to which rows are added. All are printed at once.
  void StartTable(const std::string& title, const std::vector<Column>& columns);
  void AddRow(const std::vector<double>& numbers);
  // Printed as "met", "NOT MET" or "not measured".
  void AddBound(const Bound& bound);

  struct Table {
    std::string title;
    std::vector<Column> columns;
    std::vector<std::vector<double>> rows;
  };
  const std::vector<Table>& tables() const { return tables_; }
  const std::vector<Bound>& bounds() const { return bounds_; }
  std::string Json() const;

 private:
  std::string title_;
  std::vector<Table> tables_;
  std::vector<Bound> bounds_;
};

}  // namespace peft

#endif  // BENCHMARKS_CUDA_REPORT_H_
