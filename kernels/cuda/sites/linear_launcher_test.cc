// What a call at a layer computes, and in which launches.

#include "kernels/cuda/sites/linear_launcher.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lt/library.h"
#include "kernels/cuda/lt/workspace.h"
#include "kernels/cuda/testing/test_machine.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kIn = 32;
constexpr int64_t kOut = 20;
constexpr int64_t kRank = 8;

// Numbers on both sides; f32.
struct Matrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> values;
  DevicePtr address = 0;

  float at(int64_t row, int64_t col) const { return values[row * cols + col]; }
  DeviceMatrix device() const {
    return {address, DType::kF32, rows, cols, cols};
  }
};

class LinearLauncherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!machine_.is_fake()) GTEST_SKIP() << "a GPU does not say what ran";
    driver_ = *Driver::Open(machine_.driver_path());
    device_ = *Device::Open(*driver_, 0);
    kernels_ = *AdapterKernels::Load(*device_, "any");
    library_ = *LtLibrary::Open(machine_.cublaslt_path());
    handle_ = *LtHandle::Create(*library_);
    plans_ = std::make_unique<PlanCache>(*handle_, LtSettings());
    launcher_ = std::make_unique<LinearLauncher>(*kernels_, *plans_);
    workspace_ = std::make_unique<LtWorkspace>(
        *LtWorkspace::Create(*device_, nullptr, LtSettings()));
    const uint32_t zeros[] = {0, 0};
    counters_ = Upload(zeros, sizeof(zeros));
    weight_ = Make(kOut, kIn);
    a_ = Make(kRank, kIn);
    b_ = Make(kOut, kRank);
    LowRankTerm term;
    term.a = a_.address;
    term.b = b_.address;
    term.scale = kScale;
    term.rank = kRank;
    terms_ = Upload(&term, sizeof(term));
  }

  DevicePtr Upload(const void* data, size_t bytes) {
    const DevicePtr address = machine_.Allocate(bytes);
    machine_.Write(address, data, bytes);
    return address;
  }
  Matrix Make(int64_t rows, int64_t cols) {
    Matrix matrix;
    matrix.rows = rows;
    matrix.cols = cols;
    for (int64_t i = 0; i < rows * cols; ++i) {
      matrix.values.push_back(std::sin(static_cast<float>(++seed_)));
    }
    matrix.address = Upload(matrix.values.data(), rows * cols * sizeof(float));
    return matrix;
  }

  // Rounds the numbers, and puts them on the device in BF16.
  DeviceMatrix InBF16(Matrix& matrix) {
    std::vector<uint16_t> rounded;
    for (float& value : matrix.values) {
      rounded.push_back(F32ToBF16(value));
      value = BF16ToF32(rounded.back());
    }
    return {Upload(rounded.data(), rounded.size() * sizeof(uint16_t)),
            DType::kBF16, matrix.rows, matrix.cols, matrix.cols};
  }

  // A call for groups of rows, each with the term or without.
  SiteCall CallFor(const std::vector<SiteGroup>& groups,
                   const std::vector<bool>& with_term) {
    std::vector<RowGroup> rows;
    SiteCall call;
    int64_t count = 0;
    for (size_t i = 0; i < groups.size(); ++i) {
      rows.push_back({groups[i].rows, 0, with_term[i] ? 1 : 0});
      call.has_terms |= with_term[i];
      count += groups[i].rows;
    }
    const std::vector<RowTile> tiles = MakeTiles(rows);
    x_ = Make(count, kIn);
    y_ = Make(count, kOut);
    call.x = x_.device();
    call.y = y_.device();
    call.weight = weight_.device();
    call.groups = groups;
    call.tiles = Upload(tiles.data(), tiles.size() * sizeof(RowTile));
    call.num_tiles = static_cast<int32_t>(tiles.size());
    call.terms = terms_;
    call.columns = kRank;
    call.chunks = call.units = 1;
    call.adapter_dtype = DType::kF32;
    return call;
  }

  void Run(const SiteCall& call) {
    SiteScratch scratch;
    scratch.data = machine_.Allocate(launcher_->ScratchBytes(call) + 1);
    scratch.counters = counters_;
    scratch.lt = workspace_->stream();
    machine_.TakeKernels();
    machine_.TakeProducts();
    const DeviceScope scope(*device_);
    const absl::Status status = launcher_->Run(call, scratch);
    ASSERT_TRUE(status.ok()) << status;
  }

  // The term alone for one output.
  double Term(int64_t row, int64_t out) const {
    double sum = 0;
    for (int64_t j = 0; j < kRank; ++j) {
      double t = 0;
      for (int64_t k = 0; k < kIn; ++k) t += x_.at(row, k) * a_.at(j, k);
      sum += kScale * t * b_.at(out, j);
    }
    return sum;
  }
  double Base(int64_t row, int64_t out, const Matrix* in_scale) const {
    double sum = 0;
    for (int64_t k = 0; k < kIn; ++k) {
      const double factor = in_scale == nullptr ? 1 : in_scale->at(0, k);
      sum += factor * x_.at(row, k) * weight_.at(out, k);
    }
    return sum;
  }
  void ExpectY(const std::function<double(int64_t, int64_t)>& expected) {
    std::vector<float> found(y_.values.size());
    machine_.Read(y_.address, found.data(), found.size() * sizeof(float));
    for (int64_t row = 0; row < y_.rows; ++row) {
      for (int64_t i = 0; i < kOut; ++i) {
        ASSERT_NEAR(found[row * kOut + i], expected(row, i), 1e-4)
            << row << ", " << i;
      }
    }
  }

  static constexpr float kScale = 0.5f;
  int seed_ = 0;
  TestMachine machine_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<AdapterKernels> kernels_;
  std::unique_ptr<LtLibrary> library_;
  std::unique_ptr<LtHandle> handle_;
  std::unique_ptr<PlanCache> plans_;
  std::unique_ptr<LinearLauncher> launcher_;
  std::unique_ptr<LtWorkspace> workspace_;
  DevicePtr counters_ = 0;
  DevicePtr terms_ = 0;
  Matrix weight_;
  Matrix a_;
  Matrix b_;
  Matrix x_;
  Matrix y_;
};

TEST_F(LinearLauncherTest, FewRowsOf16BitsAreOneLaunch) {
  const std::vector<SiteGroup> groups = {{5, {}}, {13, {}}};
  SiteCall call = CallFor(groups, {true, false});
  call.x = InBF16(x_);
  call.y = InBF16(y_);
  call.weight = InBF16(weight_);
  LowRankTerm term;
  term.a = InBF16(a_).data;
  term.b = InBF16(b_).data;
  term.scale = kScale;
  term.rank = kRank;
  call.terms = Upload(&term, sizeof(term));
  call.adapter_dtype = DType::kBF16;
  Run(call);
  EXPECT_EQ(machine_.TakeKernels(), "peft_fused_bf16_32\n");
  EXPECT_EQ(machine_.TakeProducts(), 0);
  std::vector<uint16_t> found(y_.values.size());
  machine_.Read(call.y.data, found.data(), found.size() * sizeof(uint16_t));
  for (int64_t row = 0; row < y_.rows; ++row) {
    for (int64_t i = 0; i < kOut; ++i) {
      const double expected =
          Base(row, i, nullptr) + (row < 5 ? Term(row, i) : 0);
      ASSERT_NEAR(BF16ToF32(found[row * kOut + i]), expected,
                  0x1p-8 * std::abs(expected) + 1e-4)
          << row << ", " << i;
    }
  }
}

TEST_F(LinearLauncherTest, FewRowsOfF32AreAProductAndTwoLaunches) {
  const std::vector<SiteGroup> groups = {{16, {}}};
  Run(CallFor(groups, {true}));
  EXPECT_EQ(machine_.TakeKernels(),
            "peft_shrink_f32_f32\npeft_expand_f32_f32\n");
  EXPECT_EQ(machine_.TakeProducts(), 1);
  ExpectY([&](int64_t row, int64_t i) {
    return Base(row, i, nullptr) + Term(row, i);
  });
}

TEST_F(LinearLauncherTest, ATransposedWeightIsAProduct) {
  const std::vector<SiteGroup> groups = {{3, {}}};
  SiteCall call = CallFor(groups, {true});
  Matrix turned = weight_;
  turned.rows = kIn;
  turned.cols = kOut;
  for (int64_t k = 0; k < kIn; ++k) {
    for (int64_t i = 0; i < kOut; ++i) {
      turned.values[k * kOut + i] = weight_.at(i, k);
    }
  }
  turned.address =
      Upload(turned.values.data(), turned.values.size() * sizeof(float));
  call.weight = turned.device();
  call.transposed = true;
  Run(call);
  EXPECT_EQ(machine_.TakeKernels(),
            "peft_shrink_f32_f32\npeft_expand_f32_f32\n");
  EXPECT_EQ(machine_.TakeProducts(), 1);
  ExpectY([&](int64_t row, int64_t i) {
    return Base(row, i, nullptr) + Term(row, i);
  });
}

TEST_F(LinearLauncherTest, ManyRowsOfAnOnlyTermAreThreeProducts) {
  const Matrix bias = Make(1, kOut);
  SiteFactors factors;
  factors.bias = factors.bias_in_dtype = bias.address;
  const std::vector<SiteGroup> groups = {{70, factors}};
  SiteCall call = CallFor(groups, {true});
  call.only_term = {a_.address, b_.address,
                    terms_ + offsetof(LowRankTerm, scale), kRank};
  Run(call);
  EXPECT_EQ(machine_.TakeKernels(), "");
  EXPECT_EQ(machine_.TakeProducts(), 3);
  ExpectY([&](int64_t row, int64_t i) {
    return Base(row, i, nullptr) + Term(row, i) + bias.at(0, i);
  });
}

TEST_F(LinearLauncherTest, WithoutTermsTheBiasIsTheProductsOwn) {
  const Matrix bias = Make(1, kOut);
  SiteFactors factors;
  factors.bias = factors.bias_in_dtype = bias.address;
  const std::vector<SiteGroup> groups = {{4, factors}};
  Run(CallFor(groups, {false}));
  EXPECT_EQ(machine_.TakeKernels(), "");
  EXPECT_EQ(machine_.TakeProducts(), 1);
  ExpectY([&](int64_t row, int64_t i) {
    return Base(row, i, nullptr) + bias.at(0, i);
  });
}

TEST_F(LinearLauncherTest, GroupsShareTheBaseAndHaveTheirFactors) {
  const Matrix in_scale = Make(1, kIn);
  const Matrix out_scale = Make(1, kOut);
  const Matrix bias = Make(1, kOut);
  const std::vector<SiteGroup> groups = {
      {2, {}},
      {3, {in_scale.address, 0, 0, 0}},
      {1, {0, out_scale.address, bias.address, bias.address}}};
  Run(CallFor(groups, {true, false, true}));
  EXPECT_EQ(machine_.TakeKernels(),
            "peft_scale_input_f32\npeft_scale_input_f32\n"
            "peft_scale_input_f32\npeft_shrink_f32_f32\n"
            "peft_expand_f32_f32\npeft_scale_output_f32\n");
  EXPECT_EQ(machine_.TakeProducts(), 1);
  ExpectY([&](int64_t row, int64_t i) {
    if (row < 2) return Base(row, i, nullptr) + Term(row, i);
    if (row < 5) return Base(row, i, &in_scale);
    return (Base(row, i, nullptr) + Term(row, i)) * out_scale.at(0, i) +
           bias.at(0, i);
  });
}

TEST_F(LinearLauncherTest, WithoutAWeightItAddsToWhatIsThere) {
  for (const int64_t rows : {5, 40}) {
    const std::vector<SiteGroup> groups = {{rows, {}}};
    SiteCall call = CallFor(groups, {true});
    call.weight = {};
    Run(call);
    EXPECT_EQ(machine_.TakeProducts(), 0);
    ExpectY(
        [&](int64_t row, int64_t i) { return y_.at(row, i) + Term(row, i); });
  }
}

TEST_F(LinearLauncherTest, NoRowsAreNoLaunch) {
  const std::vector<SiteGroup> groups = {{0, {}}};
  SiteCall call = CallFor({{1, {}}}, {true});
  call.groups = groups;
  call.x.rows = call.y.rows = 0;
  call.num_tiles = 0;
  Run(call);
  EXPECT_EQ(machine_.TakeKernels(), "");
  EXPECT_EQ(machine_.TakeProducts(), 0);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
