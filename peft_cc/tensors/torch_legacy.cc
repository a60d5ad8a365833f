#include "peft_cc/tensors/torch_legacy.h"

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/byte_reader.h"
#include "peft_cc/tensors/file_kind.h"
#include "peft_cc/tensors/pickle.h"
#include "peft_cc/tensors/torch_pickle.h"
#include "peft_cc/tensors/torch_storage.h"

namespace peft {
namespace {

using Kind = PickleValue::Kind;
using StorageBytes = std::vector<absl::Span<const uint8_t>>;

// 0x1950a86a20f9469cfc6c, little-endian.
constexpr absl::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

constexpr int64_t kVersion = 1001;

class LegacyReader {
 public:
  explicit LegacyReader(const Bytes& file) : file_(file), reader_(file.data) {}

  absl::StatusOr<TensorMap> Run() {
    PEFT_RETURN_IF_ERROR(CheckMagic());
    PEFT_RETURN_IF_ERROR(CheckVersion());
    PEFT_RETURN_IF_ERROR(CheckByteOrder());
    PEFT_ASSIGN_OR_RETURN(const PickleRef root, Next());
    PEFT_ASSIGN_OR_RETURN(const TorchStateDict dict,
                          host_.TakeStateDict(heap_, root));
    PEFT_ASSIGN_OR_RETURN(const StorageBytes storages, ReadStorages(dict));
    return MakeTensors(dict, storages, file_);
  }

 private:
  absl::StatusOr<PickleRef> Next() { return RunPickle(reader_, host_, heap_); }

  absl::Status CheckMagic() {
    const absl::StatusOr<PickleRef> magic = Next();
    if (magic.ok() && heap_.Get(*magic).kind == Kind::kBigInt &&
        heap_.Get(*magic).text == kMagic) {
      return absl::OkStatus();
    }
    return TorchFileError(absl::StrCat("is no file of torch.save",
                                       DescribeForeignFile(file_.data)));
  }

  absl::Status CheckVersion() {
    PEFT_ASSIGN_OR_RETURN(const PickleRef version, Next());
    const PickleValue& value = heap_.Get(version);
    if (value.kind == Kind::kInt && value.number == kVersion) {
      return absl::OkStatus();
    }
    return TorchFileError(absl::StrCat("has another version than ", kVersion));
  }

  // The third pickle describes the machine that wrote the file.
  absl::Status CheckByteOrder() {
    PEFT_ASSIGN_OR_RETURN(const PickleRef info, Next());
    const PickleValue& dict = heap_.Get(info);
    if (dict.kind != Kind::kDict) return TorchFileError("has no system info");
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      if (heap_.Get(dict.items[i]).text != "little_endian") continue;
      const PickleValue& value = heap_.Get(dict.items[i + 1]);
      if (value.kind == Kind::kBool && value.number == 1) {
        return absl::OkStatus();
      }
      return TorchFileError("has byte order big, expected little");
    }
    return TorchFileError("does not say its byte order");
  }

  // The fifth pickle lists the keys, in the order in which the storages
  // follow: each as a count of elements and the elements.
  absl::StatusOr<StorageBytes> ReadStorages(const TorchStateDict& dict) {
    std::unordered_map<absl::string_view, size_t> index_by_key;
    for (size_t i = 0; i < dict.storages.size(); ++i) {
      index_by_key[dict.storages[i].key] = i;
    }
    PEFT_ASSIGN_OR_RETURN(const PickleRef keys, Next());
    if (heap_.Get(keys).kind != Kind::kList) {
      return TorchFileError("has no list of storages");
    }
    StorageBytes storages(dict.storages.size());
    for (PickleRef ref : heap_.Get(keys).items) {
      const auto found = index_by_key.find(heap_.Get(ref).text);
      if (found == index_by_key.end()) {
        return TorchFileError(absl::StrCat("lists storage ",
                                           Quoted(heap_.Get(ref).text),
                                           " twice, or no tensor has it"));
      }
      PEFT_ASSIGN_OR_RETURN(storages[found->second],
                            ReadStorage(dict.storages[found->second]));
      index_by_key.erase(found);
    }
    if (!index_by_key.empty()) {
      return TorchFileError(absl::StrCat("does not list storage ",
                                         Quoted(index_by_key.begin()->first)));
    }
    if (reader_.remaining() == 0) return storages;
    return TorchFileError(
        absl::StrCat("has ", reader_.remaining(), " bytes behind its end"));
  }

  absl::StatusOr<absl::Span<const uint8_t>> ReadStorage(
      const TorchStorage& storage) {
    int64_t count = 0;
    absl::Span<const uint8_t> bytes;
    const int64_t element_size = storage.element_size();
    if (!reader_.Read(&count)) return CutShort(storage);
    if (count != storage.num_elements) {
      return TorchFileError(absl::StrCat("storage ", Quoted(storage.key),
                                         " has ", count, " elements, expected ",
                                         storage.num_elements));
    }
    if (count > static_cast<int64_t>(reader_.remaining()) / element_size ||
        !reader_.ReadBytes(count * element_size, &bytes)) {
      return CutShort(storage);
    }
    return bytes;
  }

  absl::Status CutShort(const TorchStorage& storage) const {
    return TorchFileError(
        absl::StrCat("is cut short in storage ", Quoted(storage.key)));
  }

  const Bytes& file_;
  ByteReader reader_;
  TorchPickleHost host_;
  PickleHeap heap_;
};

}  // namespace

absl::StatusOr<TensorMap> ParseTorchLegacy(const Bytes& file) {
  return LegacyReader(file).Run();
}

}  // namespace peft
