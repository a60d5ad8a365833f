#include "peft_cc/adapters/base_fingerprint.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr char kName[] = "model.layers.0.mlp.down_proj";

// Numbers of bf16 and f16, and no two alike in a row.
std::vector<float> Values(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(i * 37 % 251 - 125) / 256;
  }
  return values;
}

SiteTable SitesOf(Tensor weight, const std::string& name = kName) {
  Site site;
  site.name = name;
  site.in_features = weight.dim(1);
  site.out_features = weight.dim(0);
  site.weight = std::move(weight);
  return SiteTable({site}, {"", name}, "llama");
}

SiteTable Sites(int64_t out = 40, DType dtype = DType::kF32) {
  return SitesOf(MakeTensor({out, 30}, Values(out * 30), dtype));
}

std::shared_ptr<const Adapter> OnSite0() {
  Adapter::SiteEntry entry;
  entry.site = 0;
  return std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                   std::vector<Adapter::SiteEntry>{entry});
}

std::string FingerprintOf(const SiteTable& sites) {
  return BaseFingerprint(sites, *OnSite0());
}

TEST(BaseFingerprintTest, EqualWeightsHaveEqualFingerprints) {
  EXPECT_EQ(FingerprintOf(Sites()), FingerprintOf(Sites()));
  EXPECT_EQ(FingerprintOf(Sites()).size(), 3u + 16);
}

TEST(BaseFingerprintTest, ADTypeThatHoldsTheNumbersKeepsIt) {
  const std::string expected = FingerprintOf(Sites());
  EXPECT_EQ(FingerprintOf(Sites(40, DType::kBF16)), expected);
  EXPECT_EQ(FingerprintOf(Sites(40, DType::kF16)), expected);
}

TEST(BaseFingerprintTest, RoundingToBf16KeepsIt) {
  std::vector<float> values = Values(1200);
  for (float& value : values) value *= 1.00037f;
  values[3] = 1e-7f;
  EXPECT_EQ(FingerprintOf(SitesOf(MakeTensor({40, 30}, values))),
            FingerprintOf(SitesOf(MakeTensor({40, 30}, values, DType::kBF16))));
}

TEST(BaseFingerprintTest, OtherValuesNamesAndShapesChangeIt) {
  const std::string plain = FingerprintOf(Sites());
  std::vector<float> values = Values(1200);
  for (const size_t changed : {size_t{0}, values.size() - 1}) {
    std::vector<float> others = values;
    others[changed] += 1;
    EXPECT_NE(FingerprintOf(SitesOf(MakeTensor({40, 30}, others))), plain);
  }
  EXPECT_NE(FingerprintOf(SitesOf(MakeTensor({40, 30}, values), "other")),
            plain);
  EXPECT_NE(FingerprintOf(SitesOf(MakeTensor({30, 40}, values))), plain);
}

TEST(BaseFingerprintTest, TensorsOfAnySizeHaveOne) {
  for (const int64_t out : {1, 2, 3, 9}) {
    EXPECT_NE(FingerprintOf(Sites(out)), FingerprintOf(Sites(out + 1)));
  }
}

struct Checked {
  absl::Status status;
  LoadReport report;
};

Checked Check(const std::string& recorded, bool lenient = false) {
  Checked checked;
  checked.status = CheckBaseFingerprint(recorded, Sites(), *OnSite0(), lenient,
                                        checked.report);
  return checked;
}

TEST(CheckBaseFingerprintTest, TheRightOneAndNoneAreFine) {
  for (const std::string& recorded : {std::string(), FingerprintOf(Sites())}) {
    const Checked checked = Check(recorded);
    EXPECT_TRUE(checked.status.ok()) << checked.status;
    EXPECT_TRUE(checked.report.lines.empty());
  }
}

TEST(CheckBaseFingerprintTest, AnotherIsRefusedByName) {
  const absl::Status status = Check("v1:0123456789abcdef").status;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorId(status), error_id::kBaseMismatch);
  EXPECT_EQ(GetErrorDetails(status).found, FingerprintOf(Sites()));
}

TEST(CheckBaseFingerprintTest, LenientMakesItALine) {
  const Checked checked = Check("v1:0123456789abcdef", /*lenient=*/true);
  EXPECT_TRUE(checked.status.ok()) << checked.status;
  ASSERT_EQ(checked.report.lines.size(), 1u);
  EXPECT_EQ(checked.report.lines[0].kind, ReportKind::kMismatched);
}

TEST(CheckBaseFingerprintTest, AnUnknownVersionIsALine) {
  const Checked checked = Check("v9:\n");
  EXPECT_TRUE(checked.status.ok()) << checked.status;
  ASSERT_EQ(checked.report.lines.size(), 1u);
  EXPECT_EQ(checked.report.lines[0].kind, ReportKind::kNote);
}

}  // namespace
}  // namespace peft
