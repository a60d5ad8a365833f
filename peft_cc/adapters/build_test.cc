// Every way in which tensors and config may not fit each other or the model.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kQ1[] = "model.layers.1.self_attn.q_proj";
constexpr char kA0[] =
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
constexpr char kB0[] =
    "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

// An adapter of q_proj in both layers that fits, for tests to break.
class BuildAdapterTest : public ::testing::Test {
 protected:
  BuildAdapterTest() {
    AddFactors(sites_, kQ0, tensors_);
    AddFactors(sites_, kQ1, tensors_);
  }

  absl::StatusOr<LoadedAdapter> Build() {
    return BuildAdapter(sites_, "mine", config_, tensors_, options_);
  }

  // The error, which must name the adapter.
  absl::Status Fail() {
    const absl::Status status = Build().status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("adapter \"mine\": "));
    return status;
  }

  SiteTable sites_ = TinySites();
  AdapterConfig config_ = MakeLoraConfig({"q_proj"});
  TensorMap tensors_;
  AdapterLoadOptions options_;
};

auto Line(ReportKind kind, const std::string& name) {
  return AllOf(Field(&ReportLine::kind, kind), Field(&ReportLine::name, name));
}

auto Note(const std::string& text) {
  return AllOf(Field(&ReportLine::kind, ReportKind::kNote),
               Field(&ReportLine::detail, HasSubstr(text)));
}

TEST_F(BuildAdapterTest, ReportsWhatItUses) {
  const LoadedAdapter loaded = *Build();
  EXPECT_EQ(loaded.report.adapter_name, "mine");
  EXPECT_EQ(loaded.report.peft_type, "LORA");
  EXPECT_EQ(loaded.report.num_sites, 2);
  EXPECT_EQ(loaded.report.num_parameters, 64);
  EXPECT_EQ(loaded.report.size_bytes, 256);
  EXPECT_EQ(loaded.report.Count(ReportKind::kMatched), 4);
  EXPECT_THAT(loaded.report.lines, SizeIs(4));
  EXPECT_EQ(loaded.report.lines[0].name, kA0);
  EXPECT_EQ(loaded.report.lines[0].detail, kQ0);
}

TEST_F(BuildAdapterTest, StateDictHasPeftsNames) {
  const LoadedAdapter loaded = *Build();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : loaded.adapter->state_dict()) {
    names.push_back(name);
  }
  EXPECT_THAT(names, UnorderedElementsAre(std::string(kQ0) + ".lora_A.weight",
                                          std::string(kQ0) + ".lora_B.weight",
                                          std::string(kQ1) + ".lora_A.weight",
                                          std::string(kQ1) + ".lora_B.weight"));
}

TEST_F(BuildAdapterTest, GenerationsDiffer) {
  EXPECT_NE(Build()->adapter->generation(), Build()->adapter->generation());
}

TEST_F(BuildAdapterTest, WrongShapeNamesTensorAndShapes) {
  tensors_[kA0] = MakeTensor({3, 8});
  const absl::Status status = Fail();
  EXPECT_EQ(ErrorId(status), error_id::kTensorShapeMismatch);
  const ErrorDetails details = GetErrorDetails(status);
  EXPECT_EQ(details.tensor, kA0);
  EXPECT_EQ(details.expected, "[2, 8]");
  EXPECT_EQ(details.found, "[3, 8]");
  options_.lenient = true;
  EXPECT_EQ(ErrorId(Fail()), error_id::kTensorShapeMismatch);
}

TEST_F(BuildAdapterTest, RankZeroTensorsDoNotFit) {
  tensors_[kA0] = MakeTensor({0, 8});
  tensors_[kB0] = MakeTensor({8, 0});
  EXPECT_EQ(ErrorId(Fail()), error_id::kTensorShapeMismatch);
}

TEST_F(BuildAdapterTest, WrongNumberOfDimensionsDoesNotFit) {
  tensors_[kA0] = MakeTensor({16});
  EXPECT_EQ(GetErrorDetails(Fail()).found, "[16]");
}

TEST_F(BuildAdapterTest, WrongDTypeNamesTensorAndDType) {
  for (const DType dtype : {DType::kI32, DType::kF8E4M3, DType::kBool}) {
    tensors_[kB0] = MakeTensor({8, 2}, {}, dtype);
    const absl::Status status = Fail();
    EXPECT_EQ(ErrorId(status), error_id::kTensorDType);
    EXPECT_EQ(GetErrorDetails(status).tensor, kB0);
    EXPECT_EQ(GetErrorDetails(status).found, DTypeName(dtype));
  }
}

TEST_F(BuildAdapterTest, F64BecomesF32WithANote) {
  tensors_[kB0] = MakeTensor({8, 2}, {}, DType::kF64);
  const LoadedAdapter loaded = *Build();
  EXPECT_THAT(loaded.report.lines, Contains(Note("F64")));
  const LowRank& form =
      std::get<LowRank>(loaded.adapter->entries()[0].program[0]);
  EXPECT_EQ(form.b.dtype(), DType::kF32);
}

TEST_F(BuildAdapterTest, FactorsKeepTheirDType) {
  tensors_[kA0] = MakeTensor({2, 8}, {1}, DType::kBF16);
  const LoadedAdapter loaded = *Build();
  const LowRank& form =
      std::get<LowRank>(loaded.adapter->entries()[0].program[0]);
  EXPECT_EQ(form.a.dtype(), DType::kBF16);
  EXPECT_EQ(form.b.dtype(), DType::kF32);
}

TEST_F(BuildAdapterTest, MissingTensorsAreNamedAndCounted) {
  tensors_.erase(kB0);
  const absl::Status status = Fail();
  EXPECT_EQ(ErrorId(status), error_id::kTensorMissing);
  EXPECT_EQ(GetErrorDetails(status).tensor, kB0);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 tensor is missing"));
}

TEST_F(BuildAdapterTest, LongListsAreCut) {
  config_ = MakeLoraConfig({"q_proj", "k_proj", "v_proj"});
  const absl::Status status = Fail();
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("8 tensors are missing"), HasSubstr("and 5 more")));
}

TEST_F(BuildAdapterTest, LenientMissingTensorActsAsZero) {
  options_.lenient = true;
  tensors_.erase(kB0);
  const LoadedAdapter loaded = *Build();
  EXPECT_THAT(loaded.report.lines, Contains(Line(ReportKind::kMissing, kB0)));
  EXPECT_EQ(loaded.report.num_sites, 1);
}

TEST_F(BuildAdapterTest, UnexpectedTensorIsNamed) {
  const std::string extra = "base_model.model.lm_head.lora_A.weight";
  tensors_[extra] = MakeTensor({2, 8});
  const absl::Status status = Fail();
  EXPECT_EQ(ErrorId(status), error_id::kTensorUnexpected);
  EXPECT_EQ(GetErrorDetails(status).tensor, extra);
  options_.lenient = true;
  const LoadedAdapter loaded = *Build();
  EXPECT_THAT(loaded.report.lines,
              Contains(Line(ReportKind::kUnexpected, extra)));
  EXPECT_THAT(loaded.adapter->state_dict(), SizeIs(4));
}

TEST_F(BuildAdapterTest, RepeatedPrefixLoadsWithANote) {
  TensorMap tripled;
  for (auto& [name, tensor] : tensors_) {
    tripled["base_model.model.base_model.model." + name] = tensor;
  }
  tensors_ = std::move(tripled);
  const auto loaded = Build();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(loaded->report.lines, Contains(Note("3 times")));
  EXPECT_EQ(loaded->report.num_sites, 2);
}

TEST_F(BuildAdapterTest, AFileOfANestedAdapterIsRefused) {
  const std::string nested =
      "base_model.model.model.layers.0.self_attn.q_proj.base_layer";
  tensors_[nested + ".lora_A.weight"] = tensors_.at(kA0);
  tensors_[nested + ".lora_B.weight"] = tensors_.at(kB0);
  const absl::Status beside = Fail();
  EXPECT_EQ(ErrorId(beside), error_id::kTensorUnexpected);
  EXPECT_EQ(GetErrorDetails(beside).tensor, nested + ".lora_A.weight");
  EXPECT_THAT(std::string(beside.message()), HasSubstr("another adapter"));
  tensors_.erase(kA0);
  tensors_.erase(kB0);
  const absl::Status instead = Fail();
  EXPECT_EQ(ErrorId(instead), error_id::kTensorUnexpected);
  EXPECT_EQ(GetErrorDetails(instead).tensor, nested + ".lora_A.weight");
}

TEST_F(BuildAdapterTest,
       AFileOfSingleExpertsIsRefusedWhereTheyAreOneParameter) {
  const std::string expert =
      "base_model.model.model.layers.0.mlp.experts.1.up_proj.lora_A.weight";
  config_ = MakeLoraConfig({"q_proj", "up_proj"});
  tensors_[expert] = tensors_.at(kA0);
  const absl::Status status = Fail();
  EXPECT_EQ(ErrorId(status), error_id::kTensorUnexpected);
  EXPECT_EQ(GetErrorDetails(status).tensor, expert);
  EXPECT_THAT(std::string(status.message()), HasSubstr("one expert"));
}

TEST_F(BuildAdapterTest, FileForAnotherModelIsRefused) {
  tensors_.clear();
  tensors_["base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"] =
      MakeTensor({2, 8});
  EXPECT_EQ(ErrorId(Fail()), error_id::kAdapterTensors);
  options_.lenient = true;
  EXPECT_EQ(ErrorId(Fail()), error_id::kAdapterTensors);
}

TEST_F(BuildAdapterTest, FileWithoutTensorsIsRefused) {
  tensors_.clear();
  EXPECT_EQ(ErrorId(Fail()), error_id::kAdapterTensors);
}

TEST_F(BuildAdapterTest, UnknownTargetIsRefused) {
  config_ = MakeLoraConfig({"no_such_module"});
  EXPECT_EQ(ErrorId(Fail()), error_id::kNoTargetMatched);
}

TEST_F(BuildAdapterTest, NormTargetIsRefused) {
  config_ = MakeLoraConfig({"q_proj", "input_layernorm"});
  const absl::Status status = Fail();
  EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("input_layernorm"), HasSubstr("normalisation")));
}

TEST_F(BuildAdapterTest, ContainerTargetIsRefused) {
  config_ = MakeLoraConfig({"self_attn"});
  const absl::Status status = Fail();
  EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr("self_attn"));
}

TEST_F(BuildAdapterTest, NonFiniteValuesAreNoted) {
  tensors_[kB0] =
      MakeTensor({8, 2}, {0, std::numeric_limits<float>::quiet_NaN()});
  EXPECT_THAT(Build()->report.lines,
              Contains(AllOf(Line(ReportKind::kNote, kB0), Note("NaN"))));
}

TEST_F(BuildAdapterTest, ScaleThatOverflowsIsRefused) {
  config_.lora->lora_alpha = 1e300;
  EXPECT_EQ(ErrorId(Fail()), error_id::kAdapterConfig);
}

TEST_F(BuildAdapterTest, OtherMethodsAreRefusedByName) {
  config_.lora.reset();
  config_.base.peft_type = "LOHA";
  const absl::Status status = Fail();
  EXPECT_EQ(ErrorId(status), error_id::kAdapterMethodUnsupported);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"LOHA\""));
}

TEST_F(BuildAdapterTest, ConfigRemarksAreReported) {
  config_.ignored_keys = {"new_key"};
  config_.notes = {"a remark"};
  config_.targets.fan_in_fan_out = true;
  const LoadReport report = Build()->report;
  EXPECT_THAT(report.lines, Contains(Line(ReportKind::kIgnoredKey, "new_key")));
  EXPECT_THAT(report.lines, Contains(Note("a remark")));
  EXPECT_THAT(report.lines, Contains(Note("fan_in_fan_out")));
}

}  // namespace
}  // namespace peft
