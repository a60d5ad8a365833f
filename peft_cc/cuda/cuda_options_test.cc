#include "peft_cc/cuda/cuda_options.h"

#include <string>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// The option that is refused; "" where none is.
template <typename Change>
std::string Refused(Change change) {
  CudaOptions options;
  change(options);
  const absl::Status status = CheckCudaOptions(options);
  if (status.ok()) return "";
  EXPECT_EQ(ErrorId(status), "ARGUMENT");
  return GetErrorDetails(status).tensor;
}

TEST(CudaOptionsTest, DefaultsAreTaken) {
  EXPECT_EQ(Refused([](CudaOptions&) {}), "");
}

TEST(CudaOptionsTest, WhatCannotBeIsNamed) {
  using Options = CudaOptions;
  EXPECT_EQ(Refused([](Options& o) { o.dtype = DType::kI64; }), "dtype");
  EXPECT_EQ(Refused([](Options& o) { o.dtype = DType::kUnspecified; }),
            "dtype");
  EXPECT_EQ(Refused([](Options& o) { o.adapter_dtype = DType::kF64; }),
            "adapter_dtype");
  EXPECT_EQ(Refused([](Options& o) { o.max_adapters = 0; }), "max_adapters");
  EXPECT_EQ(Refused([](Options& o) { o.max_adapters = 65; }), "max_adapters");
  EXPECT_EQ(Refused([](Options& o) { o.max_rank = -1; }), "max_rank");
  EXPECT_EQ(Refused([](Options& o) { o.max_rank = 1 << 20; }), "max_rank");
  EXPECT_EQ(Refused([](Options& o) { o.max_activations = 0; }),
            "max_activations");
  EXPECT_EQ(Refused([](Options& o) { o.adapter_bytes = -1; }), "adapter_bytes");
}

}  // namespace
}  // namespace peft
