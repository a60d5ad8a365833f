#include "peft_cc/tensors/zip_records.h"

namespace peft {
namespace {

constexpr uint32_t kLocalHeaderSignature = 0x04034b50;
constexpr uint32_t kDescriptorSignature = 0x08074b50;
constexpr uint32_t kDirectorySignature = 0x02014b50;
constexpr uint32_t kZip64EndSignature = 0x06064b50;
constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr uint32_t kEndSignature = 0x06054b50;

// The zip64 end record's own size field leaves out itself and the signature.
constexpr uint64_t kZip64EndRest = 44;

constexpr uint16_t kZip64FieldId = 0x0001;

// In a field of this value the real one stands in the zip64 field.
constexpr uint32_t kInZip64Field = 0xffffffff;

bool ReadSignature(ByteReader& reader, uint32_t expected) {
  uint32_t signature = 0;
  return reader.Read(&signature) && signature == expected;
}

bool ReadText(ByteReader& reader, uint64_t size, absl::string_view* out) {
  absl::Span<const uint8_t> bytes;
  if (!reader.ReadBytes(size, &bytes)) return false;
  *out = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  return true;
}

}  // namespace

bool ZipEnd::Read(ByteReader& reader) {
  return ReadSignature(reader, kEndSignature) &&
         reader.Read(&disk, &directory_disk, &entries_here, &num_entries,
                     &directory_size, &directory_offset, &comment_size);
}

bool Zip64Locator::Read(ByteReader& reader) {
  return ReadSignature(reader, kZip64LocatorSignature) &&
         reader.Read(&disk, &end_offset, &num_disks);
}

bool Zip64End::Read(ByteReader& reader) {
  uint64_t rest = 0;
  uint16_t made_by = 0;
  uint16_t needed = 0;
  return ReadSignature(reader, kZip64EndSignature) &&
         reader.Read(&rest, &made_by, &needed, &disk, &directory_disk,
                     &entries_here, &num_entries, &directory_size,
                     &directory_offset) &&
         rest == kZip64EndRest;
}

bool ZipDirectoryEntry::Read(ByteReader& reader) {
  uint16_t made_by, needed, time, date, internal_attributes;
  uint16_t name_size = 0;
  uint16_t extra_size = 0;
  uint16_t comment_size = 0;
  uint32_t short_compressed_size = 0;
  uint32_t short_size = 0;
  uint32_t short_offset = 0;
  uint32_t external_attributes;
  absl::Span<const uint8_t> extra;
  absl::Span<const uint8_t> comment;
  if (!ReadSignature(reader, kDirectorySignature) ||
      !reader.Read(&made_by, &needed, &flags, &method, &time, &date, &crc,
                   &short_compressed_size, &short_size, &name_size, &extra_size,
                   &comment_size, &disk, &internal_attributes,
                   &external_attributes, &short_offset) ||
      !ReadText(reader, name_size, &name) ||
      !reader.ReadBytes(extra_size, &extra) ||
      !reader.ReadBytes(comment_size, &comment)) {
    return false;
  }
  compressed_size = short_compressed_size;
  size = short_size;
  offset = short_offset;
  return ReadZip64Field(extra);
}

// The field holds those of the three numbers that did not fit, in this order.
bool ZipDirectoryEntry::ReadZip64Field(absl::Span<const uint8_t> extra) {
  ByteReader fields(extra);
  uint16_t id = 0;
  uint16_t field_size = 0;
  absl::Span<const uint8_t> content;
  while (fields.Read(&id, &field_size) &&
         fields.ReadBytes(field_size, &content)) {
    if (id != kZip64FieldId) continue;
    ByteReader numbers(content);
    for (uint64_t* value : {&size, &compressed_size, &offset}) {
      if (*value == kInZip64Field && !numbers.Read(value)) return false;
    }
    break;
  }
  return true;
}

bool ZipLocalHeader::Read(ByteReader& reader) {
  uint16_t needed, time, date;
  uint16_t name_size = 0;
  uint16_t extra_size = 0;
  uint32_t crc, compressed_size;
  absl::Span<const uint8_t> extra;
  return ReadSignature(reader, kLocalHeaderSignature) &&
         reader.Read(&needed, &flags, &method, &time, &date, &crc,
                     &compressed_size, &size, &name_size, &extra_size) &&
         ReadText(reader, name_size, &name) &&
         reader.ReadBytes(extra_size, &extra);
}

bool ZipDescriptor::Read(ByteReader& reader, bool wide) {
  if (!ReadSignature(reader, kDescriptorSignature)) return false;
  if (wide) return reader.Read(&crc, &compressed_size, &size);
  uint32_t short_compressed_size = 0;
  uint32_t short_size = 0;
  if (!reader.Read(&crc, &short_compressed_size, &short_size)) return false;
  compressed_size = short_compressed_size;
  size = short_size;
  return true;
}

}  // namespace peft
