#include "benchmarks/cuda/report.h"

#include <cmath>

#include "gtest/gtest.h"

namespace peft {
namespace {

using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStdout;

TEST(ReportTest, PrintsTablesInMarkdown) {
  Report report;
  CaptureStdout();
  report.StartTable("Layers", {{"d"},
                               {"base", Unit::kMicroseconds},
                               {"over base", Unit::kPercent},
                               {"PEFT / ours", Unit::kRatio}});
  report.AddRow({4096, 12.34, 5.06, std::nan("")});
  EXPECT_EQ(GetCapturedStdout(),
            "\nLayers\n\n| d | base | over base | PEFT / ours |\n"
            "|--:|--:|--:|--:|\n| 4096 | 12.3 | +5.1 % | - |\n");
}

TEST(ReportTest, JudgesBounds) {
  Report report;
  CaptureStdout();
  report.AddBound({"cost", Unit::kPercent, 30, false, 30});
  report.AddBound({"cost", Unit::kPercent, 30, false, 31});
  report.AddBound({"speed", Unit::kRatio, 1.5, true, 1.4});
  report.AddBound({"switch", Unit::kMicroseconds, 50, false, std::nan("")});
  EXPECT_EQ(GetCapturedStdout(),
            "met           cost: +30.0 %, promised at most +30.0 %\n"
            "NOT MET       cost: +31.0 %, promised at most +30.0 %\n"
            "NOT MET       speed: 1.40 x, promised at least 1.50 x\n"
            "not measured  switch: - us, promised at most 50.0 us\n");
}

TEST(ReportTest, WritesAllOfItAsJson) {
  Report report;
  CaptureStdout();
  report.SetTitle("a \"GPU\"");
  report.StartTable("Layers", {{"d"}, {"base", Unit::kMicroseconds}});
  report.AddRow({64, std::nan("")});
  report.AddRow({72, 1.5});
  report.AddBound({"cost", Unit::kPercent, 30, false, 31});
  report.AddBound({"switch", Unit::kMicroseconds, 50, false, std::nan("")});
  GetCapturedStdout();
  EXPECT_EQ(report.Json(),
            "{\"title\": \"a \\\"GPU\\\"\",\n"
            "\"tables\": [{\"title\": \"Layers\", \"columns\": [\"d\", "
            "\"base\"], \"rows\": [[64, null], [72, 1.5]]}],\n"
            "\"bounds\": [{\"bound\": \"cost\", \"limit\": 30, \"at_least\": "
            "false, \"measured\": 31, \"met\": false}, {\"bound\": \"switch\", "
            "\"limit\": 50, \"at_least\": false, \"measured\": null, \"met\": "
            "null}]}\n");
}

}  // namespace
}  // namespace peft
