// The records of a zip archive, field by field (PKWARE APPNOTE 6.3.10, 4.3).
// Each Read returns false when bytes are missing or the signature is another.
#ifndef PEFT_CC_TENSORS_ZIP_RECORDS_H_
#define PEFT_CC_TENSORS_ZIP_RECORDS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peft_cc/tensors/byte_reader.h"

namespace peft {

// General purpose flags.
inline constexpr uint16_t kZipEncrypted = (1 << 0) | (1 << 6) | (1 << 13);
inline constexpr uint16_t kZipHasDescriptor = 1 << 3;

// The method of entries without compression.
inline constexpr uint16_t kZipStored = 0;

// The end record, the last in the file when there is no comment.
struct ZipEnd {
  static constexpr uint64_t kSize = 22;

  uint16_t disk = 0;
  uint16_t directory_disk = 0;
  uint16_t entries_here = 0;
  uint16_t num_entries = 0;
  uint32_t directory_size = 0;
  uint32_t directory_offset = 0;
  uint16_t comment_size = 0;

  bool Read(ByteReader& reader);
};

// Stands before the end record and says where the zip64 end record is.
struct Zip64Locator {
  static constexpr uint64_t kSize = 20;

  uint32_t disk = 0;
  uint64_t end_offset = 0;
  uint32_t num_disks = 0;

  bool Read(ByteReader& reader);
};

// The end record where counts or offsets do not fit into ZipEnd.
struct Zip64End {
  uint32_t disk = 0;
  uint32_t directory_disk = 0;
  uint64_t entries_here = 0;
  uint64_t num_entries = 0;
  uint64_t directory_size = 0;
  uint64_t directory_offset = 0;

  bool Read(ByteReader& reader);
};

// An entry of the central directory. Numbers that did not fit their 32 bits
// have been replaced by those of the zip64 field.
struct ZipDirectoryEntry {
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t compressed_size = 0;
  uint64_t size = 0;
  uint16_t disk = 0;
  uint64_t offset = 0;
  absl::string_view name;

  bool Read(ByteReader& reader);

 private:
  bool ReadZip64Field(absl::Span<const uint8_t> extra);
};

// What stands before the data of an entry.
struct ZipLocalHeader {
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t size = 0;  // all ones when it is in a zip64 field
  absl::string_view name;

  bool Read(ByteReader& reader);
};

// What stands behind the data of an entry that has kZipHasDescriptor. Sizes
// have 8 bytes in the `wide` form, else 4; nothing says which it is.
struct ZipDescriptor {
  uint32_t crc = 0;
  uint64_t compressed_size = 0;
  uint64_t size = 0;

  bool Read(ByteReader& reader, bool wide);
};

}  // namespace peft

#endif  // PEFT_CC_TENSORS_ZIP_RECORDS_H_
