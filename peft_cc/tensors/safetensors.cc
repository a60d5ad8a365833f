#include "peft_cc/tensors/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file_in_block.h"
#include "peft_cc/base/text_bytes.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/byte_reader.h"
#include "peft_cc/tensors/file_kind.h"
#include "peft_cc/tensors/safetensors_header.h"

namespace peft {
namespace {

absl::Status FileError(absl::string_view what, absl::string_view problem,
                       const ErrorDetails& details = {}) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kSafetensors,
                   absl::StrCat(what, ": ", problem), details);
}

absl::Status EntryError(absl::string_view what, const SafetensorsEntry& entry,
                        absl::string_view problem,
                        absl::string_view expected = "",
                        absl::string_view found = "") {
  return FileError(what,
                   absl::StrCat("tensor ", Quoted(entry.name), " ", problem),
                   {entry.name, std::string(expected), std::string(found)});
}

std::string Range(const SafetensorsEntry& entry) {
  return absl::StrCat("[", entry.begin, ", ", entry.end, "]");
}

// The two parts of a file.
struct Parts {
  absl::string_view header;
  absl::Span<const uint8_t> data;
};

// The bytes before the header: its size.
constexpr uint64_t kPrefix = 8;

// The size of the header of a file of `file_size` bytes that begins with
// `file`.
absl::StatusOr<uint64_t> HeaderSize(absl::Span<const uint8_t> file,
                                    uint64_t file_size,
                                    absl::string_view what) {
  ByteReader reader(file);
  uint64_t header_size;
  if (!reader.Read(&header_size)) {
    return FileError(what, absl::StrCat("file has ", file.size(),
                                        " bytes, expected at least 8",
                                        DescribeForeignFile(file)));
  }
  if (header_size > kMaxSafetensorsHeader) {
    return FileError(
        what,
        absl::StrCat("header size is ", header_size, ", expected at most ",
                     kMaxSafetensorsHeader, DescribeForeignFile(file)));
  }
  if (header_size > file_size - kPrefix) {
    return FileError(
        what, absl::StrCat("header has ", header_size, " bytes, but only ",
                           file_size - kPrefix,
                           " follow its size; is the file cut short?"));
  }
  return header_size;
}

absl::StatusOr<Parts> SplitFile(absl::Span<const uint8_t> file,
                                absl::string_view what) {
  PEFT_ASSIGN_OR_RETURN(const uint64_t header_size,
                        HeaderSize(file, file.size(), what));
  return Parts{
      {reinterpret_cast<const char*>(file.data()) + kPrefix, header_size},
      file.subspan(kPrefix + header_size)};
}

absl::Status CheckSize(absl::string_view what, const SafetensorsEntry& entry) {
  const std::optional<int64_t> size =
      CheckedSizeBytes(entry.dtype, entry.shape);
  if (size.has_value() &&
      static_cast<uint64_t>(*size) == entry.end - entry.begin) {
    return absl::OkStatus();
  }
  const std::string shape = absl::StrCat("shape ", ShapeToString(entry.shape),
                                         " and dtype ", DTypeName(entry.dtype));
  if (!size.has_value()) {
    return EntryError(
        what, entry,
        absl::StrCat("of ", shape, " overflows or does not fill whole bytes"));
  }
  return EntryError(
      what, entry,
      absl::StrCat("of ", shape, " needs ", *size, " bytes, data_offsets ",
                   Range(entry), " hold ", entry.end - entry.begin),
      absl::StrCat(*size, " bytes"),
      absl::StrCat(entry.end - entry.begin, " bytes"));
}

// Checks that the tensors lie one behind the other, from the first byte of
// the data to its last. Sorts them by position.
absl::Status CheckLayout(absl::string_view what, uint64_t data_size,
                         std::vector<SafetensorsEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t position = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != position || entry.end < entry.begin) {
      return EntryError(
          what, entry,
          absl::StrCat("has data_offsets ", Range(entry),
                       ", expected a range that starts at ", position,
                       ", where the tensor before it ends"),
          absl::StrCat(position), Range(entry));
    }
    PEFT_RETURN_IF_ERROR(CheckSize(what, entry));
    position = entry.end;
  }
  if (position == data_size) return absl::OkStatus();
  return FileError(what, absl::StrCat("tensors end at byte ", position,
                                      " of the data, which has ", data_size,
                                      " bytes; is the file cut short?"));
}

// The tensors of a checked header, whose data begins at `data`.
SafetensorsFile FileOf(SafetensorsHeader header, const uint8_t* data,
                       const std::shared_ptr<const void>& owner) {
  SafetensorsFile file;
  file.metadata = std::move(header.metadata);
  for (SafetensorsEntry& entry : header.entries) {
    Tensor tensor(entry.dtype, std::move(entry.shape), data + entry.begin,
                  owner);
    // Most files have them in the order of the map.
    file.tensors.emplace_hint(file.tensors.end(), std::move(entry.name),
                              std::move(tensor));
  }
  return file;
}

// The header of a file, checked against the file's size.
struct CheckedStart {
  std::string text;  // all before the data
  SafetensorsIndex index;
};

// All of most adapters' headers; enough for DescribeForeignFile too.
constexpr uint64_t kFirstRead = 16 * 1024;

absl::StatusOr<CheckedStart> ReadCheckedStart(const File& file) {
  const std::string what = Quoted(file.name());
  PEFT_ASSIGN_OR_RETURN(FileStart start, ReadFileStart(file, kFirstRead));
  PEFT_ASSIGN_OR_RETURN(const uint64_t header_size,
                        HeaderSize(BytesOf(start.text), start.file_size, what));
  const uint64_t data_start = kPrefix + header_size;
  if (start.text.size() < data_start) {
    PEFT_ASSIGN_OR_RETURN(start, ReadFileStart(file, data_start));
  }
  if (start.text.size() < data_start) {
    return FileError(what, "became shorter while being read");
  }
  start.text.resize(data_start);
  CheckedStart checked;
  checked.index.file_size = start.file_size;
  PEFT_ASSIGN_OR_RETURN(
      checked.index.header,
      ParseSafetensorsHeader(absl::string_view(start.text).substr(kPrefix),
                             what));
  PEFT_RETURN_IF_ERROR(CheckLayout(what, start.file_size - data_start,
                                   checked.index.header.entries));
  checked.text = std::move(start.text);
  return checked;
}

// Reads all of a file whose header is right, and no other.
absl::StatusOr<SafetensorsFile> ReadChecked(const File& file, PieceRunner run,
                                            BlockCache* blocks) {
  PEFT_ASSIGN_OR_RETURN(CheckedStart start, ReadCheckedStart(file));
  const uint64_t size = start.index.file_size;
  PEFT_ASSIGN_OR_RETURN(const Bytes bytes,
                        blocks != nullptr
                            ? ReadFileInBlock(file, size, run, *blocks)
                            : ReadFile(file, ReadMode::kRead, size, run));
  // Another file may have the name by now.
  if (bytes.data.size() != size ||
      std::memcmp(bytes.data.data(), start.text.data(), start.text.size()) !=
          0) {
    return FileError(Quoted(file.name()), "changed while being read");
  }
  return FileOf(std::move(start.index.header),
                bytes.data.data() + start.text.size(), bytes.owner);
}

}  // namespace

absl::StatusOr<SafetensorsFile> ReadSafetensors(const File& file, ReadMode mode,
                                                kernels::ThreadPool& pool,
                                                BlockCache* blocks) {
  const auto run = [&pool](int64_t count,
                           absl::FunctionRef<void(int64_t)> piece) {
    pool.ParallelFor(count, piece);
  };
  // Memory for a file is taken only when its header asks for all of it. A map
  // takes none.
  if (mode == ReadMode::kRead && !file.is_given()) {
    return ReadChecked(file, run, blocks);
  }
  PEFT_ASSIGN_OR_RETURN(const Bytes bytes,
                        ReadFile(file, mode, UINT64_MAX, run));
  return ParseSafetensors(bytes, Quoted(file.name()));
}

absl::StatusOr<SafetensorsIndex> ReadSafetensorsIndex(const File& file) {
  PEFT_ASSIGN_OR_RETURN(CheckedStart start, ReadCheckedStart(file));
  return std::move(start.index);
}

absl::StatusOr<SafetensorsFile> ParseSafetensors(const Bytes& bytes,
                                                 absl::string_view what) {
  PEFT_ASSIGN_OR_RETURN(const Parts parts, SplitFile(bytes.data, what));
  PEFT_ASSIGN_OR_RETURN(SafetensorsHeader header,
                        ParseSafetensorsHeader(parts.header, what));
  PEFT_RETURN_IF_ERROR(CheckLayout(what, parts.data.size(), header.entries));
  return FileOf(std::move(header), parts.data.data(), bytes.owner);
}

}  // namespace peft
