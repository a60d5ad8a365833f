#include "testing/fake_cublaslt/fake_cublaslt.h"

#include <dlfcn.h>

#include <cstdio>

namespace peft {
namespace testing {

std::unique_ptr<FakeCublasLt> FakeCublasLt::Open(const std::string& path) {
  void* const file = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (file == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return nullptr;
  }
  std::unique_ptr<FakeCublasLt> fake(new FakeCublasLt);
  fake->path_ = path;
  fake->set_ =
      reinterpret_cast<FakeCublasLtSet>(dlsym(file, "peft_fake_cublaslt_set"));
  fake->reason_ = reinterpret_cast<FakeCublasLtReason>(
      dlsym(file, "peft_fake_cublaslt_reason"));
  fake->runs_ = reinterpret_cast<FakeCublasLtRuns>(
      dlsym(file, "peft_fake_cublaslt_runs"));
  if (fake->set_ == nullptr || fake->reason_ == nullptr ||
      fake->runs_ == nullptr) {
    std::fprintf(stderr, "%s is not the fake\n", path.c_str());
    return nullptr;
  }
  fake->Set(FakeCublasLtSettings());
  return fake;
}

}  // namespace testing
}  // namespace peft
