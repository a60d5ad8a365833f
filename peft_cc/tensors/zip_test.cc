#include "peft_cc/tensors/zip.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/test_files.h"

namespace peft {
namespace {

constexpr uint16_t kHasDescriptor = 1 << 3;

// The entries as "name=data", or the error.
absl::StatusOr<std::vector<std::string>> List(absl::string_view archive) {
  const Bytes bytes = ToBytes(archive);
  PEFT_ASSIGN_OR_RETURN(const auto entries, ReadZip(bytes.data));
  std::vector<std::string> list;
  for (const ZipEntry& entry : entries) {
    const std::string data(entry.data.begin(), entry.data.end());
    list.push_back(absl::StrCat(entry.name, "=", data));
  }
  return list;
}

void ExpectList(const std::string& archive,
                const std::vector<std::string>& expected) {
  const auto list = List(archive);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(*list, expected);
}

void ExpectRefused(absl::string_view archive, absl::string_view part) {
  const absl::Status status = List(archive).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_EQ(ErrorId(status), "TORCH_FILE");
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

ZipItem WithFlags(std::string name, std::string data, uint16_t flags) {
  return {std::move(name), std::move(data), flags};
}

TEST(Zip, ListsEntriesInOrder) {
  ExpectList(ZipBytes({{"d/b", "two"}, {"d/a", "one"}, {"d/e", ""}}),
             {"d/b=two", "d/a=one", "d/e="});
}

TEST(Zip, Zip64) {
  ExpectList(ZipBytes({{"a", "one"}, {"b", "two"}}, {/*zip64=*/true}),
             {"a=one", "b=two"});
}

TEST(Zip, Zip64SizesInLocalHeader) {
  ZipItem item = {"a", "one"};
  item.local_size = 0xffffffff;
  ExpectList(ZipBytes({item}, {/*zip64=*/true}), {"a=one"});
}

TEST(Zip, DescriptorsOfBothWidths) {
  ZipItem wide = WithFlags("wide", "one", kHasDescriptor);
  wide.has_wide_descriptor = true;
  ExpectList(ZipBytes({wide, WithFlags("narrow", "two", kHasDescriptor),
                       WithFlags("empty", "", kHasDescriptor)}),
             {"wide=one", "narrow=two", "empty="});
}

TEST(Zip, NamesAreNeverPaths) {
  ExpectList(ZipBytes({{"../../etc/passwd", "x"}, {"/a", "y"}}),
             {"../../etc/passwd=x", "/a=y"});
}

TEST(Zip, BytesBetweenEntriesAreIgnored) {
  // torch pads for alignment; a hole looks the same.
  const std::string archive = ZipBytes({{"a", "one"}, {"hole", "xxxxxxxx"}});
  ExpectList(archive, {"a=one", "hole=xxxxxxxx"});
}

TEST(Zip, CompressedEntryIsRefusedByName) {
  ZipItem item = {"d/a", "one"};
  item.method = 8;
  ExpectRefused(ZipBytes({item}), "\"d/a\" is compressed (method 8)");
}

TEST(Zip, EncryptedEntryIsRefused) {
  for (int bit : {0, 6, 13}) {
    ExpectRefused(ZipBytes({WithFlags("a", "one", 1 << bit)}), "encrypted");
  }
}

TEST(Zip, SplitArchiveIsRefused) {
  ZipOptions options;
  options.disk = 1;
  ExpectRefused(ZipBytes({{"a", "one"}}, options), "split");
}

TEST(Zip, NameTwiceIsRefused) {
  ExpectRefused(ZipBytes({{"a", "one"}, {"a", "two"}}), "\"a\" appears twice");
}

TEST(Zip, EmptyNameIsRefused) {
  ExpectRefused(ZipBytes({{"", "one"}}), "without a name");
}

TEST(Zip, LocalHeaderMustAgree) {
  ZipItem other_name = {"a", "one"};
  other_name.local_name = "b";
  ExpectRefused(ZipBytes({other_name}), "named \"b\" in its local header");
  ZipItem other_size = {"a", "one"};
  other_size.local_size = 2;
  ExpectRefused(ZipBytes({other_size}), "has 3 bytes, but 2");
  std::string other_flags = ZipBytes({{"a", "one"}});
  other_flags[6] ^= 8;
  ExpectRefused(other_flags, "other flags");
  std::string other_method = ZipBytes({{"a", "one"}});
  other_method[8] = 8;
  ExpectRefused(other_method, "another method");
  std::string no_header = ZipBytes({{"a", "one"}});
  no_header[2] = 5;
  ExpectRefused(no_header, "no local header at byte 0");
}

TEST(Zip, SizesMustAgree) {
  std::string archive = ZipBytes({{"a", "one"}});
  archive[archive.find("PK\x01\x02") + 20] = 2;
  ExpectRefused(archive, "two sizes, 2 and 3");
}

TEST(Zip, BadDescriptorIsRefused) {
  std::string archive = ZipBytes({WithFlags("a", "one", kHasDescriptor)});
  const size_t descriptor = archive.find("PK\x07\x08");
  for (size_t offset : {0, 4, 8, 12}) {
    std::string bad = archive;
    bad[descriptor + offset] ^= 1;
    ExpectRefused(bad, "bad data descriptor");
  }
}

TEST(Zip, DataBehindTheEntriesIsRefused) {
  std::string archive = ZipBytes({{"a", "one"}});
  const size_t entry = archive.find("PK\x01\x02");
  archive[entry + 20] = archive[entry + 24] = 100;
  archive[18] = archive[22] = 100;
  ExpectRefused(archive, "has 100 bytes, but only 3 are there");
}

TEST(Zip, OverlapIsRefused) {
  // The second entry's header is part of the first one's data.
  const std::string inner = ZipBytes({{"b", "two"}});
  std::string archive = ZipBytes({{"a", inner}, {"b", "two"}});
  const size_t directory = archive.rfind("PK\x01\x02");
  archive.replace(directory + 42, 4, LittleEndian(31, 4));
  ExpectRefused(archive, "overlaps entry");
}

TEST(Zip, SameExtentTwiceIsRefused) {
  std::string archive = ZipBytes({{"a", "one"}, {"a", "one"}});
  const size_t directory = archive.rfind("PK\x01\x02");
  archive.replace(directory + 42, 4, LittleEndian(0, 4));
  ExpectRefused(archive, "appears twice");
}

TEST(Zip, OffsetBehindTheFileIsRefused) {
  std::string archive = ZipBytes({{"a", "one"}}, {/*zip64=*/true});
  const size_t field = archive.find("PK\x01\x02") + 46 + 1 + 4 + 16;
  archive.replace(field, 8, LittleEndian(UINT64_MAX - 3, 8));
  ExpectRefused(archive, "no local header");
}

TEST(Zip, WrongCountIsRefused) {
  for (bool zip64 : {false, true}) {
    ZipOptions options;
    options.zip64 = zip64;
    options.extra_entries = 1;
    ExpectRefused(ZipBytes({{"a", "one"}}, options), "expected 2");
  }
}

TEST(Zip, EmptyArchiveIsRefused) { ExpectRefused(ZipBytes({}), "is empty"); }

TEST(Zip, DirectoryMustFillItsSpace) {
  ZipOptions options;
  options.before_end = "x";
  ExpectRefused(ZipBytes({{"a", "one"}}, options), "expected it to end at");
  ExpectRefused("x" + ZipBytes({{"a", "one"}}), "expected it to end at");
}

TEST(Zip, BytesBehindTheEndAreRefused) {
  ExpectRefused(ZipBytes({{"a", "one"}}) + "x", "no end record");
  ZipOptions options;
  options.comment = "hello";
  ExpectRefused(ZipBytes({{"a", "one"}}, options), "no end record");
}

TEST(Zip, BadZip64RecordIsRefused) {
  const std::string archive = ZipBytes({{"a", "one"}}, {/*zip64=*/true});
  const size_t end = archive.find("PK\x06\x06");
  for (size_t offset : {0, 4}) {
    std::string bad = archive;
    bad[end + offset] ^= 1;
    ExpectRefused(bad, "bad zip64 end record");
  }
  std::string no_field = archive;
  no_field[archive.find("PK\x01\x02") + 46 + 1 + 2] = 8;
  ExpectRefused(no_field, "bad directory");
}

TEST(Zip, ArchiveCutAtAnyByteIsRefused) {
  for (bool zip64 : {false, true}) {
    const std::string archive = ZipBytes(
        {WithFlags("d/a", "one", kHasDescriptor), {"d/b", "two"}}, {zip64});
    for (size_t size = 0; size < archive.size(); ++size) {
      ExpectRefused(archive.substr(0, size), "zip archive");
    }
  }
}

TEST(Zip, AnyChangedByteIsHandled) {
  const std::string archive = ZipBytes(
      {WithFlags("d/a", "one", kHasDescriptor), {"d/b", "two"}}, {true});
  for (size_t i = 0; i < archive.size(); ++i) {
    for (int value : {0, 1, 0x7f, 0x80, 0xff}) {
      std::string changed = archive;
      changed[i] = static_cast<char>(value);
      (void)List(changed);  // a sanitizer watches
    }
  }
}

}  // namespace
}  // namespace peft
