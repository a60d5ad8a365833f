#include "peft_c/struct_size.h"

#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// A struct that has grown: `added` is of a second version, and `newer` stands
// for what a third one of another library appends.
struct Grown {
  size_t struct_size;
  int64_t first;
  int64_t added;
};

constexpr Grown kDefaults = {sizeof(Grown), 1, 2};

struct Newer {
  Grown known;
  int64_t newer;
};

}  // namespace

template <>
inline constexpr size_t kFirstSize<Grown> = 16;

namespace {

TEST(ReadStructTest, TakesEveryFieldOfAProgramOfToday) {
  const Grown in = {sizeof(Grown), 10, 20};
  Grown out = kDefaults;
  ASSERT_TRUE(ReadStruct("options", &in, &out).ok());
  EXPECT_EQ(out.first, 10);
  EXPECT_EQ(out.added, 20);
}

TEST(ReadStructTest, FieldsThatAnOlderProgramLacksTakeTheirDefaults) {
  const Grown in = {16, 10, 20};
  Grown out = kDefaults;
  ASSERT_TRUE(ReadStruct("options", &in, &out).ok());
  EXPECT_EQ(out.first, 10);
  EXPECT_EQ(out.added, 2);
}

TEST(ReadStructTest, TakesANewerProgramsStructWhoseNewFieldsAreZero) {
  const Newer in = {{sizeof(Newer), 10, 20}, 0};
  Grown out = kDefaults;
  ASSERT_TRUE(ReadStruct("options", &in.known, &out).ok());
  EXPECT_EQ(out.added, 20);
}

TEST(ReadStructTest, RefusesANewerProgramsStructWithANewFieldSet) {
  const Newer in = {{sizeof(Newer), 10, 20}, 1 << 20};
  Grown out = kDefaults;
  const absl::Status status = ReadStruct("options", &in.known, &out);
  EXPECT_EQ(ErrorId(status), error_id::kStructSize);
  EXPECT_NE(status.message().find("older than the program's header"),
            std::string::npos)
      << status;
}

TEST(ReadStructTest, RefusesSizesThatNoStructHas) {
  for (size_t size : {size_t{0}, size_t{15}, size_t{20}, kMaxStructSize + 8,
                      ~size_t{0}, ~size_t{7}}) {
    const Grown in = {size, 10, 20};
    Grown out = kDefaults;
    const absl::Status status = ReadStruct("options", &in, &out);
    EXPECT_EQ(ErrorId(status), error_id::kStructSize) << size;
    EXPECT_EQ(out.first, 1);
  }
}

TEST(ReadStructTest, NamesTheArgumentThatIsNull) {
  Grown out = kDefaults;
  const absl::Status status = ReadStruct<Grown>("input", nullptr, &out);
  EXPECT_EQ(ErrorId(status), error_id::kArgument);
  EXPECT_EQ(status.message(), "argument input is NULL");
}

TEST(OutStructTest, WritesNoMoreThanAnOlderProgramHas) {
  Grown out = {16, 7, 8};
  ASSERT_TRUE(ClearOutStruct("out", &out).ok());
  EXPECT_EQ(out.first, 0);
  WriteOutStruct(kDefaults, &out);
  EXPECT_EQ(out.struct_size, 16u);
  EXPECT_EQ(out.first, 1);
  EXPECT_EQ(out.added, 8);
}

TEST(OutStructTest, ZeroesWhatANewerProgramExpects) {
  Newer out = {{sizeof(Newer), 7, 8}, 9};
  ASSERT_TRUE(ClearOutStruct("out", &out.known).ok());
  WriteOutStruct(kDefaults, &out.known);
  EXPECT_EQ(out.known.struct_size, sizeof(Newer));
  EXPECT_EQ(out.known.added, 2);
  EXPECT_EQ(out.newer, 0);
}

TEST(InitStructTest, WritesTheDefaultsAndTheProgramsSize) {
  Newer out;
  std::memset(&out, 0xff, sizeof(out));
  InitStruct(kDefaults, &out.known, sizeof(out));
  EXPECT_EQ(out.known.struct_size, sizeof(Newer));
  EXPECT_EQ(out.known.first, 1);
  EXPECT_EQ(out.newer, 0);
}

TEST(InitStructTest, LeavesNullAndAbsurdSizesAlone) {
  InitStruct<Grown>(kDefaults, nullptr, sizeof(Grown));
  Grown out = {3, 4, 5};
  InitStruct(kDefaults, &out, 0);
  InitStruct(kDefaults, &out, ~size_t{0});
  EXPECT_EQ(out.struct_size, 3u);
}

}  // namespace
}  // namespace peft
