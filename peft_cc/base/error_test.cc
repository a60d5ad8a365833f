#include "peft_cc/base/error.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

absl::Status ShapeError() {
  return MakeError(absl::StatusCode::kInvalidArgument,
                   error_id::kTensorShapeMismatch, "lora_A is [8, 64]",
                   {"lora_A", "[8, 128]", "[8, 64]"});
}

TEST(Error, CarriesIdAndDetails) {
  const absl::Status status = ShapeError();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "lora_A is [8, 64]");
  EXPECT_EQ(ErrorId(status), "TENSOR_SHAPE_MISMATCH");
  const ErrorDetails details = GetErrorDetails(status);
  EXPECT_EQ(details.tensor, "lora_A");
  EXPECT_EQ(details.expected, "[8, 128]");
  EXPECT_EQ(details.found, "[8, 64]");
}

// What error.h promises.
constexpr size_t kMaxDetail = 4000;

TEST(Error, LongDetailsAreCut) {
  const std::string longest(kMaxDetail, 'a');
  const absl::Status status = MakeError(absl::StatusCode::kInternal, "ID", "m",
                                        {longest, longest + "b"});
  EXPECT_EQ(GetErrorDetails(status).tensor, longest);
  EXPECT_EQ(GetErrorDetails(status).expected,
            longest.substr(0, kMaxDetail - 3) + "...");
}

TEST(Error, LongDetailsAreCutBetweenTwoCharacters) {
  std::string text(kMaxDetail - 4, 'a');
  for (int i = 0; i < 10; ++i) text += "\xf0\x9f\x98\x80";
  const absl::Status status =
      MakeError(absl::StatusCode::kInternal, "ID", "m", {text});
  EXPECT_EQ(GetErrorDetails(status).tensor,
            text.substr(0, kMaxDetail - 4) + "...");
}

TEST(Error, ForeignErrorIsInternal) {
  EXPECT_EQ(ErrorId(absl::NotFoundError("x")), "INTERNAL");
  EXPECT_EQ(GetErrorDetails(absl::NotFoundError("x")).tensor, "");
}

TEST(Error, OkHasNoId) { EXPECT_EQ(ErrorId(absl::OkStatus()), ""); }

TEST(Error, ContextKeepsIdAndDetails) {
  const absl::Status status = WithContext(ShapeError(), "adapter \"a\"");
  EXPECT_EQ(status.message(), "adapter \"a\": lora_A is [8, 64]");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorId(status), "TENSOR_SHAPE_MISMATCH");
  EXPECT_EQ(GetErrorDetails(status).found, "[8, 64]");
}

TEST(Error, ContextLeavesOkAlone) {
  EXPECT_TRUE(WithContext(absl::OkStatus(), "adapter").ok());
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return ShapeError();
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  PEFT_ASSIGN_OR_RETURN(const int half, Half(value));
  PEFT_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

absl::Status CheckQuarter(int value) {
  PEFT_RETURN_IF_ERROR(Quarter(value).status());
  return absl::OkStatus();
}

TEST(Error, MacrosReturnEarly) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(ErrorId(Quarter(6).status()), "TENSOR_SHAPE_MISMATCH");
  EXPECT_EQ(ErrorId(CheckQuarter(7)), "TENSOR_SHAPE_MISMATCH");
  EXPECT_TRUE(CheckQuarter(4).ok());
}

}  // namespace
}  // namespace peft
