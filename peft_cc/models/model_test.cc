#include "peft_cc/models/model.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/session.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

class ModelTest : public ::testing::Test {
 protected:
  ModelTest()
      : model_(OpenModel(GoldenModel("llama"))),
        golden_(GoldenModel("llama")) {}

  std::vector<float> Logits() {
    const auto session = NewSession(*model_);
    const auto logits = session->Forward(golden_.Prompt());
    EXPECT_TRUE(logits.ok()) << logits.status();
    return std::vector<float>(
        logits->data,
        logits->data + logits->batch * logits->positions * logits->vocabulary);
  }

  std::unique_ptr<Model> model_;
  Golden golden_;
};

TEST_F(ModelTest, LoadingActivatesAndDisablingGivesTheBaseExactly) {
  const std::vector<float> base = Logits();
  ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  EXPECT_EQ(model_->ActiveAdapters(), std::vector<std::string>{"a"});
  const std::vector<float> adapted = Logits();
  EXPECT_NE(adapted, base);
  model_->DisableAdapters();
  EXPECT_FALSE(model_->adapters_enabled());
  EXPECT_EQ(Logits(), base);
  model_->EnableAdapters();
  EXPECT_EQ(Logits(), adapted);
}

TEST_F(ModelTest, AnAdapterOfPeftGivesItsLogits) {
  const std::string folder = "peft_cc/models/testdata/adapter";
  const auto report = model_->LoadAdapter("a", folder);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->num_sites, 2 + 2 * 3);
  const std::vector<float> expected =
      ReadSafetensors(folder + "/expected.safetensors", ReadMode::kRead)
          ->tensors.at("logits")
          .ToF32();
  const auto session = NewSession(*model_);
  const auto logits = session->Forward(golden_.Prompt());
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_LE(RelativeError(*logits, expected, &golden_.mask), 1e-5);
}

TEST_F(ModelTest, SwitchesAndScales) {
  const std::vector<float> base = Logits();
  ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  const std::vector<float> a = Logits();
  ASSERT_TRUE(model_->LoadAdapter("b", WriteAdapter(0.5f)).ok());
  EXPECT_NE(Logits(), a);
  ASSERT_TRUE(model_->SetAdapter({"a"}).ok());
  EXPECT_EQ(Logits(), a);
  ASSERT_TRUE(model_->SetAdapter({"a"}, {0.0f}).ok());
  EXPECT_EQ(Logits(), base);
  ASSERT_TRUE(model_->SetAdapter({}).ok());
  EXPECT_EQ(Logits(), base);
  EXPECT_FALSE(model_->SetAdapter({"c"}).ok());
  EXPECT_EQ(model_->AdapterNames(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(ModelTest, AFailedLoadLeavesTheNameFree) {
  EXPECT_FALSE(model_->LoadAdapter("a", "/nonexistent").ok());
  EXPECT_TRUE(model_->AdapterNames().empty());
  EXPECT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  EXPECT_TRUE(IsError(model_->LoadAdapter("a", WriteAdapter(1.0f)).status(),
                      absl::StatusCode::kAlreadyExists, "ADAPTER_EXISTS", "a"));
}

TEST_F(ModelTest, GetsAdaptersByNameOrTheFirstActive) {
  EXPECT_TRUE(IsError(model_->GetAdapter("").status(),
                      absl::StatusCode::kFailedPrecondition,
                      "ADAPTER_NOT_FOUND", "no adapter is active"));
  ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  ASSERT_TRUE(model_->LoadAdapter("b", WriteAdapter(0.5f)).ok());
  EXPECT_EQ(model_->GetAdapter("")->get(), model_->GetAdapter("b")->get());
  EXPECT_NE(model_->GetAdapter("a")->get(), model_->GetAdapter("b")->get());
  EXPECT_FALSE(model_->GetAdapter("c").ok());
}

TEST_F(ModelTest, AGenerationGoesOnWithADeletedAdapter) {
  ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  const auto session = NewSession(*model_);
  GenerateOptions options;
  options.max_new_tokens = 8;
  const auto expected = session->Generate(golden_.Prompt(), options)->tokens;
  options.on_token = [&](int64_t, int64_t) {
    (void)model_->DeleteAdapter({"a"});
    return true;
  };
  EXPECT_EQ(session->Generate(golden_.Prompt(), options)->tokens, expected);
  EXPECT_TRUE(model_->AdapterNames().empty());
}

TEST_F(ModelTest, SessionsRunAtTheSameTimeWhileAdaptersSwitch) {
  ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  const std::vector<float> adapted = Logits();
  model_->DisableAdapters();
  const std::vector<float> base = Logits();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int run = 0; run < 30; ++run) {
        const std::vector<float> logits = Logits();
        EXPECT_TRUE(logits == base || logits == adapted);
      }
    });
  }
  std::thread switcher([&] {
    while (!stop) {
      model_->EnableAdapters();
      model_->DisableAdapters();
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  switcher.join();
}

TEST(ModelOpenTest, BadOptionsAreNamed) {
  ModelOptions options;
  for (const int threads : {-1, 1 << 20}) {
    options.num_threads = threads;
    EXPECT_TRUE(IsError(Model::Open(GoldenModel("llama"), options).status(),
                        absl::StatusCode::kInvalidArgument, "ARGUMENT",
                        "num_threads is"));
  }
}

TEST(ModelOpenTest, ProcessorsThatTheSystemRefusesAreNamed) {
  ModelOptions options;
  for (const int processor : {-1, 1023, 1 << 20}) {
    options.processors = {processor};
    EXPECT_TRUE(IsError(Model::Open(GoldenModel("llama"), options).status(),
                        absl::StatusCode::kInvalidArgument, "ARGUMENT",
                        "processors[0] is " + std::to_string(processor)));
  }
}

TEST(ModelOpenTest, ProcessorsAreNotForTheCallersPool) {
  ModelOptions options;
  options.processors = {0};
  options.thread_pool = std::shared_ptr<kernels::ThreadPool>(
      std::shared_ptr<void>(), &kernels::InlineThreadPool());
  EXPECT_TRUE(IsError(Model::Open(GoldenModel("llama"), options).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "together with a thread_pool"));
}

TEST(ModelOpenTest, RunsOnTheCallersPool) {
  ModelOptions options;
  options.thread_pool = std::shared_ptr<kernels::ThreadPool>(
      std::shared_ptr<void>(), &kernels::InlineThreadPool());
  const auto model = Model::Open(GoldenModel("llama"), options);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(&(*model)->pool(), &kernels::InlineThreadPool());
}

class SavedAdapterTest : public ModelTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
    path_ = CopyOfFolder(WriteAdapter(1.0f));
    AdapterSaveOptions options;
    options.overwrite = true;
    ASSERT_TRUE(model_->SaveAdapter("a", path_, options).ok());
  }

  // The base with one row of every query projection changed.
  static std::unique_ptr<Model> OpenOther() {
    const std::string folder = CopyOfModel("llama");
    EditTensors(folder, [](TensorMap& tensors) {
      for (auto& [name, tensor] : tensors) {
        if (name.find("q_proj") == std::string::npos) continue;
        std::vector<float> values = tensor.ToF32();
        for (int64_t i = 0; i < tensor.dim(1); ++i) values[i] += 0.5f;
        void* data = nullptr;
        const std::vector<int64_t> shape(tensor.shape().begin(),
                                         tensor.shape().end());
        tensor = *Tensor::Allocate(DType::kF32, shape, &data);
        std::copy(values.begin(), values.end(), static_cast<float*>(data));
      }
    });
    return OpenModel(folder);
  }

  std::string path_;
};

TEST_F(SavedAdapterTest, LoadsOverTheSameBase) {
  const auto report = model_->LoadAdapter("b", path_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->Count(ReportKind::kNote), 0);
  EXPECT_EQ(
      ReadSafetensors(path_ + "/adapter_model.safetensors", ReadMode::kRead)
          ->metadata.at("format"),
      "pt");
}

TEST_F(SavedAdapterTest, IsRefusedOverAnotherBase) {
  const auto other = OpenOther();
  const absl::Status status = other->LoadAdapter("b", path_).status();
  EXPECT_TRUE(IsError(status, absl::StatusCode::kInvalidArgument,
                      error_id::kBaseMismatch, "adapter \"b\""));
  EXPECT_TRUE(other->AdapterNames().empty());
}

TEST_F(SavedAdapterTest, LenientLoadsItOverAnotherBase) {
  AdapterLoadOptions options;
  options.lenient = true;
  const auto report = OpenOther()->LoadAdapter("b", path_, options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->Count(ReportKind::kMismatched), 1);
}

TEST_F(SavedAdapterTest, ThatNamesAnotherBaseHasALineInTheReport) {
  const std::string path = path_ + "/adapter_config.json";
  Json config = *ParseJson(ReadText(path), "config");
  config["base_model_name_or_path"] = "owner/another-model";
  WriteText(path, DumpJson(config));
  const auto report = model_->LoadAdapter("b", path_);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->Count(ReportKind::kNote), 1);
  EXPECT_EQ(report->lines.back().name, "base_model_name_or_path");
}

}  // namespace
}  // namespace peft
