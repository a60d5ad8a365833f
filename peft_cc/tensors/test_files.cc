#include "peft_cc/tensors/test_files.h"

#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace peft {
namespace {

constexpr uint16_t kHasDescriptor = 1 << 3;

// Where an entry was written.
struct Written {
  uint64_t offset;
  uint64_t size;
};

std::string LocalHeader(const ZipItem& item) {
  const std::string& name =
      item.local_name.empty() ? item.name : item.local_name;
  const bool deferred = (item.flags & kHasDescriptor) != 0;
  const uint64_t size = item.local_size >= 0 ? item.local_size
                        : deferred           ? 0
                                             : item.data.size();
  return absl::StrCat("PK\x03\x04", LittleEndian(20, 2),
                      LittleEndian(item.flags, 2), LittleEndian(item.method, 2),
                      LittleEndian(0, 8), LittleEndian(size, 4),
                      LittleEndian(size, 4), LittleEndian(name.size(), 2),
                      LittleEndian(0, 2), name);
}

std::string Descriptor(const ZipItem& item) {
  if ((item.flags & kHasDescriptor) == 0) return "";
  const int size = item.has_wide_descriptor ? 8 : 4;
  return absl::StrCat("PK\x07\x08", LittleEndian(0, 4),
                      LittleEndian(item.data.size(), size),
                      LittleEndian(item.data.size(), size));
}

std::string DirectoryEntry(const ZipItem& item, const Written& written,
                           const ZipOptions& options) {
  std::string extra;
  uint64_t size = written.size;
  uint64_t offset = written.offset;
  if (options.zip64) {
    extra = absl::StrCat(LittleEndian(1, 2), LittleEndian(24, 2),
                         LittleEndian(size, 8), LittleEndian(size, 8),
                         LittleEndian(offset, 8));
    size = offset = 0xffffffff;
  }
  return absl::StrCat("PK\x01\x02", LittleEndian(20, 2), LittleEndian(20, 2),
                      LittleEndian(item.flags, 2), LittleEndian(item.method, 2),
                      LittleEndian(0, 8), LittleEndian(size, 4),
                      LittleEndian(size, 4), LittleEndian(item.name.size(), 2),
                      LittleEndian(extra.size(), 2), LittleEndian(0, 2),
                      LittleEndian(options.disk, 2), LittleEndian(0, 6),
                      LittleEndian(offset, 4), item.name, extra);
}

std::string Zip64End(uint64_t position, uint64_t directory, uint64_t count) {
  return absl::StrCat(
      "PK\x06\x06", LittleEndian(44, 8), LittleEndian(45, 2),
      LittleEndian(45, 2), LittleEndian(0, 8), LittleEndian(count, 8),
      LittleEndian(count, 8), LittleEndian(position - directory, 8),
      LittleEndian(directory, 8), "PK\x06\x07", LittleEndian(0, 4),
      LittleEndian(position, 8), LittleEndian(1, 4));
}

}  // namespace

std::string LittleEndian(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes += static_cast<char>(i < 8 ? (value >> (8 * i)) & 0xff : 0);
  }
  return bytes;
}

std::string FloatBytes(int count) {
  std::string bytes;
  for (int i = 1; i <= count; ++i) {
    const float value = static_cast<float>(i);
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    bytes += LittleEndian(bits, 4);
  }
  return bytes;
}

Bytes ToBytes(absl::string_view content) {
  std::shared_ptr<uint8_t> memory(new uint8_t[content.size()],
                                  std::default_delete<uint8_t[]>());
  if (!content.empty()) {
    std::memcpy(memory.get(), content.data(), content.size());
  }
  return {absl::MakeConstSpan(memory.get(), content.size()), memory};
}

std::string SafetensorsBytes(absl::string_view header, absl::string_view data) {
  return absl::StrCat(LittleEndian(header.size(), 8), header, data);
}

PickleBuilder::PickleBuilder(int protocol) {
  bytes_ = absl::StrCat("\x80", LittleEndian(protocol, 1));
}

PickleBuilder& PickleBuilder::Raw(absl::string_view bytes) {
  absl::StrAppend(&bytes_, bytes);
  return *this;
}

PickleBuilder& PickleBuilder::Int(int64_t value) {
  return Raw(absl::StrCat("\x8a\x08", LittleEndian(value, 8)));
}

PickleBuilder& PickleBuilder::String(absl::string_view text) {
  return Raw(absl::StrCat("X", LittleEndian(text.size(), 4), text));
}

PickleBuilder& PickleBuilder::Global(absl::string_view module,
                                     absl::string_view name) {
  return Raw(absl::StrCat("c", module, "\n", name, "\n"));
}

PickleBuilder& PickleBuilder::IntTuple(const std::vector<int64_t>& values) {
  Mark();
  for (int64_t value : values) Int(value);
  return Raw("t");
}

PickleBuilder& PickleBuilder::OrderedDict() {
  return Global("collections", "OrderedDict").Raw(")R");
}

PickleBuilder& PickleBuilder::Storage(absl::string_view type,
                                      absl::string_view key, int64_t count) {
  return Mark()
      .String("storage")
      .Global("torch", type)
      .String(key)
      .String("cpu")
      .Int(count)
      .Raw("tQ");
}

PickleBuilder& PickleBuilder::Tensor(absl::string_view type,
                                     absl::string_view key, int64_t count,
                                     int64_t offset,
                                     const std::vector<int64_t>& shape,
                                     const std::vector<int64_t>& strides) {
  Global("torch._utils", "_rebuild_tensor_v2").Mark();
  Storage(type, key, count).Int(offset).IntTuple(shape).IntTuple(strides);
  return Raw("\x89").OrderedDict().Raw("tR");
}

std::string OneTensorPickle() {
  return PickleBuilder()
      .Dict()
      .Mark()
      .String("w")
      .Tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1})
      .Raw("u")
      .Stop();
}

std::string ZipBytes(const std::vector<ZipItem>& items,
                     const ZipOptions& options) {
  std::string bytes;
  std::string directory;
  for (const ZipItem& item : items) {
    const Written written = {bytes.size(), item.data.size()};
    absl::StrAppend(&bytes, LocalHeader(item), item.data, Descriptor(item));
    absl::StrAppend(&directory, DirectoryEntry(item, written, options));
  }
  const uint64_t directory_offset = bytes.size();
  absl::StrAppend(&bytes, directory, options.before_end);
  const uint64_t count = items.size() + options.extra_entries;
  uint64_t end_count = count;
  uint64_t end_size = directory.size();
  uint64_t end_offset = directory_offset;
  if (options.zip64) {
    bytes += Zip64End(bytes.size(), directory_offset, count);
    end_count = 0xffff;
    end_size = end_offset = 0xffffffff;
  }
  absl::StrAppend(&bytes, "PK\x05\x06", LittleEndian(options.disk, 2),
                  LittleEndian(options.disk, 2), LittleEndian(end_count, 2),
                  LittleEndian(end_count, 2), LittleEndian(end_size, 4),
                  LittleEndian(end_offset, 4),
                  LittleEndian(options.comment.size(), 2), options.comment);
  return bytes;
}

std::string TorchZipBytes(absl::string_view pickle, absl::string_view storage) {
  return ZipBytes({{"archive/data.pkl", std::string(pickle)},
                   {"archive/byteorder", "little"},
                   {"archive/data/0", std::string(storage)},
                   {"archive/version", "3\n"}});
}

std::string OneTensorTorchZip() {
  return TorchZipBytes(OneTensorPickle(), FloatBytes(6));
}

std::string TorchLegacyBytes(absl::string_view pickle, int64_t count,
                             absl::string_view storage) {
  const std::string magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  return absl::StrCat(
      PickleBuilder().Raw("\x8a\x0a").Raw(magic).Stop(),
      PickleBuilder().Int(1001).Stop(),
      PickleBuilder().Dict().String("little_endian").Raw("\x88s").Stop(),
      pickle, PickleBuilder().Raw("]").String("0").Raw("a").Stop(),
      LittleEndian(count, 8), storage);
}

}  // namespace peft
