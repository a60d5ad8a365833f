#include "peft_c/status.h"

#include <new>
#include <stdexcept>
#include <string>

#include "gtest/gtest.h"
#include "peft_c/handle.h"
#include "peft_c/test_util.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

template <typename Body>
Outcome Guarded(Body body) {
  return Take(Guard(body));
}

peft_status_t* Garbage(uintptr_t value) {
  return reinterpret_cast<peft_status_t*>(value);
}

TEST(StatusTest, SuccessIsNull) {
  EXPECT_EQ(NewStatus(absl::OkStatus()), nullptr);
  EXPECT_EQ(peft_status_code(nullptr), PEFT_OK);
  EXPECT_STREQ(peft_status_id(nullptr), "");
  EXPECT_STREQ(peft_status_message(nullptr), "");
  peft_status_free(nullptr);
}

TEST(StatusTest, CarriesTheErrorWithItsDetails) {
  const Outcome outcome = Take(NewStatus(
      MakeError(absl::StatusCode::kNotFound, error_id::kTensorMissing,
                "no such tensor", {"lora_A", "[8, 128]", "[8, 64]"})));
  EXPECT_EQ(outcome.code, PEFT_NOT_FOUND);
  EXPECT_EQ(outcome.id, "TENSOR_MISSING");
  EXPECT_EQ(outcome.message, "no such tensor");
  EXPECT_EQ(outcome.subject, "lora_A");
  EXPECT_EQ(outcome.expected, "[8, 128]");
  EXPECT_EQ(outcome.found, "[8, 64]");
}

TEST(StatusTest, AnErrorWithoutAnIdIsInternal) {
  EXPECT_EQ(Take(NewStatus(absl::AbortedError("x"))).id, "INTERNAL");
}

TEST(StatusTest, TextsAreAlwaysUtf8) {
  const Outcome outcome =
      Take(NewStatus(absl::InternalError("a\xff"
                                         "b")));
  EXPECT_EQ(outcome.message, "a\\xffb");
}

TEST(StatusTest, GarbageAndFreedStatusesAreUnknown) {
  peft_status_t* const freed = NewStatus(absl::InternalError("x"));
  peft_status_free(freed);
  for (peft_status_t* status :
       {freed, Garbage(1), Garbage(8), Garbage(~uintptr_t{0})}) {
    EXPECT_EQ(peft_status_code(status), PEFT_UNKNOWN);
    EXPECT_STREQ(peft_status_id(status), "");
    EXPECT_STREQ(peft_status_message(status), "");
    EXPECT_STREQ(peft_status_subject(status), "");
    EXPECT_STREQ(peft_status_expected(status), "");
    EXPECT_STREQ(peft_status_found(status), "");
    peft_status_free(status);
  }
}

TEST(GuardTest, ReturnsTheBodysStatus) {
  EXPECT_TRUE(Guarded([] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(Guarded([] { return absl::NotFoundError("x"); }).code,
            PEFT_NOT_FOUND);
}

TEST(GuardTest, BadAllocBecomesOutOfMemory) {
  const Outcome outcome =
      Guarded([]() -> absl::Status { throw std::bad_alloc(); });
  EXPECT_EQ(outcome.code, PEFT_RESOURCE_EXHAUSTED);
  EXPECT_EQ(outcome.id, "OUT_OF_MEMORY");
  EXPECT_NE(outcome.message, "");
}

TEST(GuardTest, OtherExceptionsBecomeInternal) {
  const Outcome outcome =
      Guarded([]() -> absl::Status { throw std::runtime_error("boom"); });
  EXPECT_EQ(outcome.code, PEFT_INTERNAL);
  EXPECT_EQ(outcome.id, "INTERNAL");
  EXPECT_NE(outcome.message.find("boom"), std::string::npos) << outcome;
}

TEST(GuardTest, WhatIsNoStdExceptionBecomesInternal) {
  EXPECT_EQ(Guarded([]() -> absl::Status { throw 42; }).id, "INTERNAL");
}

TEST(GuardTest, TheOutOfMemoryStatusMayBeFreedAnyNumberOfTimes) {
  peft_status_t* const status =
      Guard([]() -> absl::Status { throw std::bad_alloc(); });
  peft_status_free(status);
  peft_status_free(status);
  EXPECT_EQ(peft_status_code(status), PEFT_RESOURCE_EXHAUSTED);
}

TEST(GuardValueTest, GivesTheFallbackForAnException) {
  EXPECT_EQ(GuardValue(7, [] { return 8; }), 8);
  EXPECT_EQ(GuardValue(7, []() -> int { throw std::bad_alloc(); }), 7);
}

}  // namespace
}  // namespace peft
