#include "peft_cc/tensors/zip.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/byte_reader.h"
#include "peft_cc/tensors/zip_records.h"

namespace peft {
namespace {

// Where the central directory lies.
struct Directory {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t num_entries = 0;
};

// Where an entry begins and ends, all its headers included.
struct Extent {
  uint64_t begin;
  uint64_t end;
  absl::string_view name;
};

class ZipReader {
 public:
  explicit ZipReader(absl::Span<const uint8_t> archive) : archive_(archive) {}

  absl::StatusOr<std::vector<ZipEntry>> Run();

 private:
  absl::Status Error(absl::string_view problem) const;
  absl::Status EntryError(absl::string_view name,
                          absl::string_view problem) const;
  absl::Status SplitError() const;

  absl::Status FindDirectory();
  absl::Status FindZip64Directory(uint64_t end);
  absl::Status SetDirectory(const Directory& directory, uint64_t end);
  absl::Status CheckEntry(const ZipDirectoryEntry& entry);
  absl::StatusOr<absl::Span<const uint8_t>> FindData(
      const ZipDirectoryEntry& entry);
  absl::Status CheckLocalHeader(const ZipDirectoryEntry& entry,
                                const ZipLocalHeader& local) const;
  absl::Status SkipDescriptor(const ZipDirectoryEntry& entry,
                              ByteReader& reader) const;
  absl::Status CheckOverlap();

  const absl::Span<const uint8_t> archive_;
  Directory directory_;
  std::unordered_set<absl::string_view> names_;
  std::vector<Extent> extents_;
};

absl::Status ZipReader::Error(absl::string_view problem) const {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTorchFile,
                   absl::StrCat("zip archive ", problem));
}

absl::Status ZipReader::EntryError(absl::string_view name,
                                   absl::string_view problem) const {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTorchFile,
                   absl::StrCat("zip entry ", Quoted(name), " ", problem),
                   {std::string(name)});
}

absl::Status ZipReader::SplitError() const {
  return Error("is split over several files, which is not supported");
}

absl::StatusOr<std::vector<ZipEntry>> ZipReader::Run() {
  PEFT_RETURN_IF_ERROR(FindDirectory());
  ByteReader reader(archive_.subspan(directory_.offset, directory_.size));
  std::vector<ZipEntry> entries;
  while (reader.remaining() > 0) {
    ZipDirectoryEntry entry;
    if (!entry.Read(reader)) return Error("has a bad directory");
    PEFT_RETURN_IF_ERROR(CheckEntry(entry));
    PEFT_ASSIGN_OR_RETURN(const auto data, FindData(entry));
    entries.push_back({entry.name, data});
  }
  if (entries.size() != directory_.num_entries) {
    return Error(absl::StrCat("has ", entries.size(),
                              " entries in its directory, expected ",
                              directory_.num_entries));
  }
  PEFT_RETURN_IF_ERROR(CheckOverlap());
  return entries;
}

// The end record must be the last thing in the file: a comment behind it, for
// which one would have to search, is never written by torch.
absl::Status ZipReader::FindDirectory() {
  if (archive_.size() < ZipEnd::kSize) return Error("is cut short");
  const uint64_t position = archive_.size() - ZipEnd::kSize;
  ByteReader reader(archive_, position);
  ZipEnd end;
  if (!end.Read(reader) || end.comment_size != 0) {
    return Error(
        "has no end record in its last 22 bytes; is the file cut short?");
  }
  if (position >= Zip64Locator::kSize) {
    PEFT_RETURN_IF_ERROR(FindZip64Directory(position - Zip64Locator::kSize));
    if (directory_.num_entries > 0) return absl::OkStatus();
  }
  if (end.disk != 0 || end.directory_disk != 0 ||
      end.entries_here != end.num_entries) {
    return SplitError();
  }
  return SetDirectory(
      {end.directory_offset, end.directory_size, end.num_entries}, position);
}

// Reads the zip64 end record if its locator is at `position`.
absl::Status ZipReader::FindZip64Directory(uint64_t position) {
  ByteReader reader(archive_, position);
  Zip64Locator locator;
  if (!locator.Read(reader)) return absl::OkStatus();
  ByteReader end_reader(archive_, locator.end_offset);
  Zip64End end;
  if (!end.Read(end_reader) || end_reader.position() != position) {
    return Error("has a bad zip64 end record");
  }
  if (locator.disk != 0 || locator.num_disks > 1 || end.disk != 0 ||
      end.directory_disk != 0 || end.entries_here != end.num_entries) {
    return SplitError();
  }
  return SetDirectory(
      {end.directory_offset, end.directory_size, end.num_entries},
      locator.end_offset);
}

// The directory must fill the space up to `end`, where its end record stands.
absl::Status ZipReader::SetDirectory(const Directory& directory, uint64_t end) {
  if (directory.num_entries == 0) return Error("is empty");
  if (directory.offset > end || directory.size != end - directory.offset) {
    return Error(absl::StrCat("has a directory of ", directory.size,
                              " bytes at ", directory.offset,
                              ", expected it to end at ", end));
  }
  directory_ = directory;
  return absl::OkStatus();
}

absl::Status ZipReader::CheckEntry(const ZipDirectoryEntry& entry) {
  if (entry.name.empty()) return Error("has an entry without a name");
  if (entry.disk != 0) return SplitError();
  if ((entry.flags & kZipEncrypted) != 0) {
    return EntryError(entry.name, "is encrypted, which is not supported");
  }
  if (entry.method != kZipStored) {
    return EntryError(entry.name,
                      absl::StrCat("is compressed (method ", entry.method,
                                   "), expected it stored, as by torch.save"));
  }
  if (entry.compressed_size != entry.size) {
    return EntryError(entry.name,
                      absl::StrCat("has two sizes, ", entry.compressed_size,
                                   " and ", entry.size));
  }
  if (!names_.insert(entry.name).second) {
    return EntryError(entry.name, "appears twice");
  }
  return absl::OkStatus();
}

// Follows an entry to its local header, which has to agree, and to its data.
absl::StatusOr<absl::Span<const uint8_t>> ZipReader::FindData(
    const ZipDirectoryEntry& entry) {
  // Entries lie before the directory.
  ByteReader reader(archive_.first(directory_.offset), entry.offset);
  ZipLocalHeader local;
  if (!local.Read(reader)) {
    return EntryError(
        entry.name, absl::StrCat("has no local header at byte ", entry.offset));
  }
  PEFT_RETURN_IF_ERROR(CheckLocalHeader(entry, local));
  absl::Span<const uint8_t> data;
  if (!reader.ReadBytes(entry.size, &data)) {
    return EntryError(entry.name,
                      absl::StrCat("has ", entry.size, " bytes, but only ",
                                   reader.remaining(), " are there"));
  }
  PEFT_RETURN_IF_ERROR(SkipDescriptor(entry, reader));
  extents_.push_back({entry.offset, reader.position(), entry.name});
  return data;
}

absl::Status ZipReader::CheckLocalHeader(const ZipDirectoryEntry& entry,
                                         const ZipLocalHeader& local) const {
  if (local.name != entry.name) {
    return EntryError(entry.name, absl::StrCat("is named ", Quoted(local.name),
                                               " in its local header"));
  }
  if (local.method != entry.method || local.flags != entry.flags) {
    return EntryError(entry.name,
                      "has another method or other flags in its local header");
  }
  // With a descriptor the size may have been unknown when this was written.
  const bool deferred = (local.flags & kZipHasDescriptor) != 0;
  const bool in_zip64 = local.size == UINT32_MAX;
  if (local.size != entry.size && !in_zip64 && !(deferred && local.size == 0)) {
    return EntryError(
        entry.name, absl::StrCat("has ", entry.size, " bytes, but ", local.size,
                                 " in its local header"));
  }
  return absl::OkStatus();
}

// Moves `reader` behind the data descriptor, where there is one.
absl::Status ZipReader::SkipDescriptor(const ZipDirectoryEntry& entry,
                                       ByteReader& reader) const {
  if ((entry.flags & kZipHasDescriptor) == 0) return absl::OkStatus();
  for (bool wide : {true, false}) {
    ByteReader attempt = reader;
    ZipDescriptor descriptor;
    if (descriptor.Read(attempt, wide) && descriptor.crc == entry.crc &&
        descriptor.compressed_size == entry.size &&
        descriptor.size == entry.size) {
      reader = attempt;
      return absl::OkStatus();
    }
  }
  return EntryError(entry.name, "has a bad data descriptor");
}

absl::Status ZipReader::CheckOverlap() {
  std::sort(extents_.begin(), extents_.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < extents_.size(); ++i) {
    if (extents_[i].begin < extents_[i - 1].end) {
      return EntryError(
          extents_[i].name,
          absl::StrCat("overlaps entry ", Quoted(extents_[i - 1].name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ZipEntry>> ReadZip(
    absl::Span<const uint8_t> archive) {
  return ZipReader(archive).Run();
}

}  // namespace peft
