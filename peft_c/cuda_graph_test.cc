// Captured calls at layers on a CUDA device go on working when adapters are
// exchanged.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/driver_types.h"
#include "peft_c/cuda_host_model_test_util.h"
#include "peft_c/failing_allocations.h"

namespace peft {
namespace {

using kernels::cuda::GraphExecHandle;
using kernels::cuda::GraphHandle;
using kernels::cuda::StreamHandle;

class CudaGraphTest : public CudaHostModelTest {
 protected:
  void SetUp() override {
    Create(DType::kF32);
    ASSERT_EQ(machine_->cuStreamCreate(&stream_, 1), 0);
    options_.stream = stream_;
    x_ = Random({kRows, kIn});
    for (Layer& layer : layers_) ys_.push_back(Random({kRows, layer.out}));
  }
  void TearDown() override {
    if (exec_ != nullptr) {
      EXPECT_EQ(machine_->cuGraphExecDestroy(exec_), 0);
    }
    cuda_.reset();
    EXPECT_EQ(machine_->cuStreamDestroy_v2(stream_), 0);
  }

  // The step: all layers on one x.
  Outcome RunStep() {
    for (size_t i = 0; i < layers_.size(); ++i) {
      Outcome outcome = OnCuda(false, layers_[i], x_, ys_[i], options_);
      if (!outcome.ok()) return outcome;
    }
    return {};
  }

  Outcome Capture() {
    GraphHandle graph = nullptr;
    EXPECT_EQ(machine_->cuStreamBeginCapture_v2(
                  stream_, kernels::cuda::kCaptureThreadLocal),
              0);
    Outcome outcome = RunStep();
    EXPECT_EQ(machine_->cuStreamEndCapture(stream_, &graph), 0);
    if (outcome.ok()) {
      EXPECT_EQ(machine_->cuGraphInstantiateWithFlags(&exec_, graph, 0), 0);
    }
    EXPECT_EQ(machine_->cuGraphDestroy(graph), 0);
    return outcome;
  }

  void Update() {
    ASSERT_PEFT_OK(peft_layer_runner_update(cuda_.get(), stream_));
  }

  // The graph gives what the CPU gives under `options`.
  void ExpectGraphAsOnCpu(peft_run_layer_options_t options = kNoOptions) {
    ASSERT_EQ(machine_->cuGraphLaunch(exec_, stream_), 0);
    for (size_t i = 0; i < layers_.size(); ++i) {
      SCOPED_TRACE(layers_[i].name);
      ExpectClose(Fetch(ys_[i]), OnCpu(false, layers_[i], x_, ys_[i], options));
    }
  }

  static constexpr int64_t kRows = 3;
  StreamHandle stream_ = nullptr;
  peft_run_layer_options_t options_ = kNoOptions;
  CudaMatrix x_;
  std::vector<CudaMatrix> ys_;
  GraphExecHandle exec_ = nullptr;
};

TEST_F(CudaGraphTest, FollowsOtherAdaptersScalesAndNone) {
  LoadLoraOnAll("a", 16);
  LoadLoraOnAll("b", 5);
  ASSERT_TRUE(RunStep().ok());
  ASSERT_TRUE(Capture().ok());
  ExpectGraphAsOnCpu();
  SetActive({"a"});
  Update();
  ExpectGraphAsOnCpu();
  SetActive({"a", "b"});
  Update();
  ExpectGraphAsOnCpu();
  ASSERT_PEFT_OK(peft_model_set_scale(model_.get(), "a", 0.25f));
  Update();
  ExpectGraphAsOnCpu();
  SetActive({});
  Update();
  ExpectGraphAsOnCpu();
  LoadLoraOnAll("new", 48);
  Update();
  ExpectGraphAsOnCpu();
}

TEST_F(CudaGraphTest, CapturedOfTheBaseAloneItFollowsToAdapters) {
  ASSERT_TRUE(RunStep().ok());
  ASSERT_TRUE(Capture().ok());
  ExpectGraphAsOnCpu();
  LoadLoraOnAll("a", 16);
  Update();
  ExpectGraphAsOnCpu();
}

TEST_F(CudaGraphTest, CapturedWithFactorsItFollowsToWhatHasNone) {
  LoadLoraOnAll("a", 8);
  LoadLoraOnAll("other", 4, R"(, "use_dora": true)");
  LoadLoraOnAll("dora", 8, R"(, "use_dora": true)");
  ASSERT_TRUE(RunStep().ok());
  ASSERT_TRUE(Capture().ok());
  ExpectGraphAsOnCpu();
  for (const char* name : {"other", "a", "dora"}) {
    SCOPED_TRACE(name);
    SetActive({name});
    Update();
    ExpectGraphAsOnCpu();
  }
  SetActive({});
  Update();
  ExpectGraphAsOnCpu();
}

TEST_F(CudaGraphTest, CapturedWithBiasesItFollowsToWhatHasNone) {
  LoadLoraOnAll("a", 8);
  LoadLoraOnAll("bias", 8, R"(, "lora_bias": true)");
  ASSERT_TRUE(RunStep().ok());
  ASSERT_TRUE(Capture().ok());
  ExpectGraphAsOnCpu();
  SetActive({"a"});
  Update();
  ExpectGraphAsOnCpu();
}

TEST_F(CudaGraphTest, WhereAStepIsMissingNothingChanges) {
  LoadIa3OnAll("ia3");
  LoadLoraOnAll("a", 8);
  ASSERT_TRUE(RunStep().ok());
  ASSERT_TRUE(Capture().ok());
  SetActive({"ia3"});
  const Outcome outcome = Take(peft_layer_runner_update(cuda_.get(), stream_));
  EXPECT_EQ(outcome.code, PEFT_FAILED_PRECONDITION);
  EXPECT_EQ(outcome.id, "CUDA_GRAPH");
  EXPECT_EQ(outcome.subject, "q");
  EXPECT_EQ(RunStep().id, "CUDA_GRAPH");
  SetActive({"a"});
  ExpectGraphAsOnCpu();
}

TEST_F(CudaGraphTest, RowsThatNameAdaptersArePartOfIt) {
  LoadLoraOnAll("a", 8);
  LoadLoraOnAll("dora", 8, R"(, "use_dora": true)");
  const char* const names[] = {"dora", "__base__", "a"};
  peft_run_layer_options_t rows = kNoOptions;
  rows.adapter_names = names;
  rows.num_adapter_names = 3;
  options_ = rows;
  options_.stream = stream_;
  ASSERT_TRUE(RunStep().ok());
  ASSERT_TRUE(Capture().ok());
  // Other calls take other slots.
  for (int i = 0; i < 12; ++i) {
    const std::string name = "other" + std::to_string(i);
    LoadLoraOnAll(name.c_str(), 4);
    const char* const one = name.c_str();
    peft_run_layer_options_t other = kNoOptions;
    other.adapter_names = &one;
    other.num_adapter_names = 1;
    ExpectAsOnCpu(false, "q", 2, other);
  }
  ExpectGraphAsOnCpu(rows);
}

TEST_F(CudaGraphTest, CapturesOfWhatHasNotRunAreRefused) {
  LoadLoraOnAll("a", 8);
  EXPECT_EQ(Capture().id, "CUDA_GRAPH");
  ASSERT_TRUE(RunStep().ok());
  LoadLoraOnAll("b", 8);
  EXPECT_EQ(Capture().id, "CUDA_GRAPH");
  Update();
  ASSERT_TRUE(Capture().ok());
  ExpectGraphAsOnCpu();
}

TEST_F(CudaGraphTest, OutlivesAWorkspaceThatGrows) {
  LoadLoraOnAll("a", 8);
  ASSERT_TRUE(RunStep().ok());
  ASSERT_TRUE(Capture().ok());
  LoadLoraOnAll("b", 13);
  ExpectAsOnCpu(false, "q", 400);
  ExpectGraphAsOnCpu();
}

TEST_F(CudaGraphTest, FurtherCallsAllocateNothing) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "with ASan what the fake device allocates counts as well";
#endif
  LoadLoraOnAll("a", 8);
  const DeviceView x(x_, dtype_);
  const DeviceView y(ys_[0], dtype_);
  const auto run = [&] {
    return peft_layer_runner_run(cuda_.get(), layers_[0].number, &x, &options_,
                                 &y) == nullptr;
  };
  ASSERT_TRUE(run());
  FailAfter(0, AfterFailure::kAllFail);
  const bool ran = run();
  const bool has_failed = StopFailing();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(has_failed);
}

}  // namespace
}  // namespace peft
