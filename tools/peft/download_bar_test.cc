#include "tools/peft/download_bar.h"

#include "gtest/gtest.h"

namespace peft_tool {
namespace {

TEST(HumanSize, HasThreeDigitsAtMost) {
  EXPECT_EQ(HumanSize(0), "0 B");
  EXPECT_EQ(HumanSize(999), "999 B");
  EXPECT_EQ(HumanSize(1000), "1.0 kB");
  EXPECT_EQ(HumanSize(99960), "100 kB");
  EXPECT_EQ(HumanSize(999600), "1.0 MB");
  EXPECT_EQ(HumanSize(2.5e9), "2.5 GB");
  EXPECT_EQ(HumanSize(5e15), "5000 TB");
}

TEST(DownloadLine, SaysHowFarAndHowFast) {
  DownloadState state;
  state.bytes = 500000000;
  state.total_bytes = 1000000000;
  state.files = 3;
  state.total_files = 8;
  state.first_bytes = 100000000;
  state.seconds = 4;
  EXPECT_EQ(DownloadLine(state),
            "[==========>         ]  50%  500 MB of 1.0 GB, 3 of 8 files, "
            "100 MB/s, 5 s left");
}

TEST(DownloadLine, SaysNoRateBeforeThereIsOne) {
  EXPECT_EQ(DownloadLine(DownloadState()),
            "[>                   ]   0%  0 B of 0 B, 0 of 0 files");
}

TEST(DownloadLine, IsFullAtTheEndAndNotBeyond) {
  DownloadState state;
  state.bytes = 12;
  state.total_bytes = 10;
  state.files = state.total_files = 1;
  EXPECT_EQ(DownloadLine(state),
            "[====================] 100%  12 B of 10 B, 1 of 1 files");
}

}  // namespace
}  // namespace peft_tool
