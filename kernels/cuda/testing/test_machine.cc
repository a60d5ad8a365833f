#include "kernels/cuda/testing/test_machine.h"

#include <dlfcn.h>

#include <cstdlib>
#include <utility>

#include "gtest/gtest.h"
#include "testing/fake_cublaslt/fake_cublaslt.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr char kDriver[] = "kernels/cuda/testing/libfake_cuda.so";
constexpr char kCublasLt[] = "testing/fake_cublaslt/libfake_cublaslt.so";

template <typename Function>
void Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  EXPECT_NE(function, nullptr) << name;
}

}  // namespace

// Functions of the fakes' own.
struct TestMachine::Libraries {
  std::unique_ptr<peft::testing::FakeCublasLt> cublaslt;
  const char* (*take_defects)() = nullptr;
  const char* (*take_launches)() = nullptr;
};

TestMachine::TestMachine() : libraries_(std::make_unique<Libraries>()) {
  if (is_fake()) OpenFakes();
  auto driver = is_fake() ? Driver::Open(kDriver) : Driver::Open();
  EXPECT_TRUE(driver.ok()) << driver.status();
  driver_ = *std::move(driver);
  EXPECT_EQ((*this)->cuDevicePrimaryCtxRetain(&context_, 0), kSuccess);
  EXPECT_EQ((*this)->cuCtxPushCurrent_v2(context_), kSuccess);
}

void TestMachine::OpenFakes() {
  void* const library = dlopen(kDriver, RTLD_NOW | RTLD_LOCAL);
  peft::testing::FakeCublasLtSettings settings;
  Find(library, "peft_fake_cuda_enqueue", settings.enqueue);
  Find(library, "peft_fake_cuda_resolve", settings.resolve);
  Find(library, "peft_fake_cuda_add_defect", settings.defect);
  Find(library, "peft_fake_cuda_take_defects", libraries_->take_defects);
  Find(library, "peft_fake_cuda_take_launches", libraries_->take_launches);
  libraries_->cublaslt = peft::testing::FakeCublasLt::Open(kCublasLt);
  // Whoever runs on several streams here orders them.
  settings.shared_workspaces = true;
  libraries_->cublaslt->Set(settings);
  products_ = libraries_->cublaslt->runs();
}

TestMachine::~TestMachine() {
  EXPECT_EQ((*this)->cuCtxSynchronize(), kSuccess);
  for (const DevicePtr block : blocks_) {
    EXPECT_EQ((*this)->cuMemFree_v2(block), kSuccess);
  }
  if (is_fake()) {
    TakeKernels();
    EXPECT_STREQ(libraries_->take_defects(), "");
  }
  EXPECT_EQ((*this)->cuCtxPopCurrent_v2(&context_), kSuccess);
  EXPECT_EQ((*this)->cuDevicePrimaryCtxRelease_v2(0), kSuccess);
}

bool TestMachine::is_fake() const {
  return std::getenv("PEFT_TEST_GPU") == nullptr;
}

const char* TestMachine::driver_path() const {
  return is_fake() ? kDriver : nullptr;
}
const char* TestMachine::cublaslt_path() const {
  return is_fake() ? kCublasLt : std::getenv("PEFT_CUBLASLT");
}
const char* TestMachine::kernels_path() const {
  return is_fake() ? kDriver : nullptr;
}

DevicePtr TestMachine::Allocate(size_t bytes) {
  DevicePtr block = 0;
  EXPECT_EQ((*this)->cuMemAlloc_v2(&block, bytes), kSuccess);
  blocks_.push_back(block);
  return block;
}

void TestMachine::Write(DevicePtr to, const void* from, size_t bytes) {
  EXPECT_EQ((*this)->cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr), kSuccess);
  EXPECT_EQ((*this)->cuCtxSynchronize(), kSuccess);
}

void TestMachine::Read(DevicePtr from, void* to, size_t bytes) {
  EXPECT_EQ((*this)->cuCtxSynchronize(), kSuccess);
  EXPECT_EQ((*this)->cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr), kSuccess);
  EXPECT_EQ((*this)->cuCtxSynchronize(), kSuccess);
}

std::string TestMachine::TakeKernels() {
  EXPECT_EQ((*this)->cuCtxSynchronize(), kSuccess);
  return libraries_->take_launches();
}

int64_t TestMachine::TakeProducts() {
  EXPECT_EQ((*this)->cuCtxSynchronize(), kSuccess);
  const int64_t before = std::exchange(products_, libraries_->cublaslt->runs());
  return products_ - before;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
