// What the pickle of a torch file means: a dict of tensors, each a strided
// view into a storage whose bytes lie elsewhere in the file.
#ifndef PEFT_CC_TENSORS_TORCH_PICKLE_H_
#define PEFT_CC_TENSORS_TORCH_PICKLE_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/tensors/pickle.h"

namespace peft {

// A block of elements that tensors share. An untyped one has dtype
// kUnspecified and counts bytes.
struct TorchStorage {
  std::string key;  // names its bytes in the file
  DType dtype = DType::kUnspecified;
  int64_t num_elements = 0;  // 0 or more

  // 1 for an untyped storage.
  int64_t element_size() const {
    return dtype == DType::kUnspecified ? 1 : DTypeSize(dtype);
  }
};

// A view into a storage. Shape and strides have the same length, but nothing
// has been checked against the storage yet; all numbers come from the file.
struct TorchTensor {
  DType dtype = DType::kUnspecified;
  size_t storage = 0;  // index into TorchStateDict::storages
  int64_t offset = 0;  // in elements, as are the strides
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

// A dict of tensors by name, in the order of the file; names are unique.
struct TorchStateDict {
  std::vector<TorchStorage> storages;
  std::vector<std::pair<std::string, TorchTensor>> tensors;
};

// Knows the globals that make tensors, and no others. Thread-compatible.
class TorchPickleHost : public PickleHost {
 public:
  // Refuses all but the globals of torch_pickle.cc, by name.
  absl::StatusOr<PickleValue> FindGlobal(absl::string_view module,
                                         absl::string_view name) override;
  // Rebuilds a tensor, parameter, torch.Size or OrderedDict.
  absl::StatusOr<PickleRef> Call(PickleHeap& heap, PickleRef global,
                                 PickleRef arguments) override;
  // Understands the ids of storages.
  absl::StatusOr<PickleRef> LoadPersistent(PickleHeap& heap,
                                           PickleRef id) override;

  // The state dict whose pickle had the value `root`. Fails with
  // INVALID_ARGUMENT (TORCH_FILE) when it is no flat dict of tensors with
  // unique names. Call it once, at the end.
  absl::StatusOr<TorchStateDict> TakeStateDict(const PickleHeap& heap,
                                               PickleRef root);

 private:
  absl::StatusOr<PickleRef> RebuildTensor(PickleHeap& heap,
                                          const PickleValue& arguments,
                                          bool has_dtype);
  absl::StatusOr<size_t> AddStorage(TorchStorage storage);

  std::vector<TorchStorage> storages_;
  std::vector<TorchTensor> tensors_;
  std::unordered_map<std::string, size_t> storage_by_key_;
};

}  // namespace peft

#endif  // PEFT_CC_TENSORS_TORCH_PICKLE_H_
