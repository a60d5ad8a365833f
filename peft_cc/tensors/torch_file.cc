#include "peft_cc/tensors/torch_file.h"

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/byte_reader.h"
#include "peft_cc/tensors/file_kind.h"
#include "peft_cc/tensors/pickle.h"
#include "peft_cc/tensors/torch_legacy.h"
#include "peft_cc/tensors/torch_pickle.h"
#include "peft_cc/tensors/torch_storage.h"
#include "peft_cc/tensors/zip.h"

namespace peft {
namespace {

// Entries of the archive by their path below its only top folder.
class TorchArchive {
 public:
  static absl::StatusOr<TorchArchive> Open(absl::Span<const uint8_t> file) {
    PEFT_ASSIGN_OR_RETURN(const std::vector<ZipEntry> entries, ReadZip(file));
    TorchArchive archive;
    // The folder has the name that the file had when it was saved.
    const absl::string_view first = entries.front().name;
    const absl::string_view folder = first.substr(0, first.find('/') + 1);
    for (const ZipEntry& entry : entries) {
      absl::string_view path = entry.name;
      if (folder.empty() || !absl::ConsumePrefix(&path, folder)) {
        return TorchFileError(absl::StrCat("zip entry ", Quoted(entry.name),
                                           " is not in the one folder that "
                                           "torch.save makes"));
      }
      archive.entries_[path] = entry.data;
    }
    return archive;
  }

  // Null when there is none.
  const absl::Span<const uint8_t>* Find(absl::string_view path) const {
    const auto found = entries_.find(path);
    return found == entries_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<absl::string_view, absl::Span<const uint8_t>> entries_;
};

// Files from before torch 2.1 do not say it, and are little-endian.
absl::Status CheckByteOrder(const TorchArchive& archive) {
  const absl::Span<const uint8_t>* entry = archive.Find("byteorder");
  if (entry == nullptr) return absl::OkStatus();
  const absl::string_view order(reinterpret_cast<const char*>(entry->data()),
                                entry->size());
  if (order == "little") return absl::OkStatus();
  return TorchFileError(
      absl::StrCat("has byte order ", Quoted(order), ", expected \"little\""));
}

absl::StatusOr<TorchStateDict> ReadStateDict(const TorchArchive& archive) {
  const absl::Span<const uint8_t>* pickle = archive.Find("data.pkl");
  if (pickle == nullptr) return TorchFileError("has no entry data.pkl");
  if (archive.Find("constants.pkl") != nullptr) {
    return TorchFileError("is a TorchScript program, expected a state dict");
  }
  ByteReader reader(*pickle);
  TorchPickleHost host;
  PickleHeap heap;
  PEFT_ASSIGN_OR_RETURN(const PickleRef root, RunPickle(reader, host, heap));
  if (reader.remaining() > 0) {
    return TorchFileError(absl::StrCat("pickle has ", reader.remaining(),
                                       " bytes behind its end"));
  }
  return host.TakeStateDict(heap, root);
}

absl::StatusOr<absl::Span<const uint8_t>> FindStorage(
    const TorchArchive& archive, const TorchStorage& storage) {
  const std::string path = absl::StrCat("data/", storage.key);
  const absl::Span<const uint8_t>* entry = archive.Find(path);
  if (entry == nullptr) {
    return TorchFileError(absl::StrCat("has no entry ", Quoted(path)));
  }
  int64_t size;
  if (__builtin_mul_overflow(storage.num_elements, storage.element_size(),
                             &size) ||
      static_cast<uint64_t>(size) != entry->size()) {
    return TorchFileError(absl::StrCat(
        "storage ", Quoted(path), " has ", entry->size(), " bytes, expected ",
        storage.num_elements, " elements of ", storage.element_size()));
  }
  return *entry;
}

absl::StatusOr<TensorMap> ParseTorchZip(const Bytes& file) {
  PEFT_ASSIGN_OR_RETURN(const TorchArchive archive,
                        TorchArchive::Open(file.data));
  PEFT_RETURN_IF_ERROR(CheckByteOrder(archive));
  PEFT_ASSIGN_OR_RETURN(const TorchStateDict dict, ReadStateDict(archive));
  std::vector<absl::Span<const uint8_t>> storages;
  for (const TorchStorage& storage : dict.storages) {
    PEFT_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> bytes,
                          FindStorage(archive, storage));
    storages.push_back(bytes);
  }
  return MakeTensors(dict, storages, file);
}

}  // namespace

absl::StatusOr<TensorMap> ReadTorchFile(const File& file, ReadMode mode) {
  PEFT_ASSIGN_OR_RETURN(const Bytes bytes, ReadFile(file, mode, UINT64_MAX));
  return ParseTorchFile(bytes, Quoted(file.name()));
}

absl::StatusOr<TensorMap> ParseTorchFile(const Bytes& bytes,
                                         absl::string_view what) {
  absl::StatusOr<TensorMap> tensors =
      IsZip(bytes.data) ? ParseTorchZip(bytes) : ParseTorchLegacy(bytes);
  if (!tensors.ok()) return WithContext(tensors.status(), what);
  return tensors;
}

}  // namespace peft
