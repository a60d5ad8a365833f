#include "peft_cc/tensors/torch_pickle.h"

#include <iterator>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

using Kind = PickleValue::Kind;

// More dimensions than torch supports.
constexpr size_t kMaxRank = 64;

enum class GlobalKind {
  kOrderedDict,
  kSize,
  kRebuildTensor,              // of torch before 0.4
  kRebuildTensorV2,            // + requires_grad, hooks
  kRebuildTensorV3,            // + dtype: the storage is untyped
  kRebuildParameter,           // tensor, requires_grad, hooks
  kRebuildParameterWithState,  // + state
  kStorage,
  kUntypedStorage,
  kDType,
};

struct GlobalInfo {
  const char* module;
  const char* name;
  GlobalKind kind;
  DType dtype = DType::kUnspecified;
};

// Storages saved from a GPU have their class in torch.cuda: see FindGlobal.
constexpr GlobalInfo kGlobals[] = {
    {"collections", "OrderedDict", GlobalKind::kOrderedDict},
    {"torch", "Size", GlobalKind::kSize},
    {"torch._utils", "_rebuild_tensor", GlobalKind::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor_v2", GlobalKind::kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor_v3", GlobalKind::kRebuildTensorV3},
    {"torch._utils", "_rebuild_parameter", GlobalKind::kRebuildParameter},
    {"torch._utils", "_rebuild_parameter_with_state",
     GlobalKind::kRebuildParameterWithState},
    {"torch.storage", "UntypedStorage", GlobalKind::kUntypedStorage},
    {"torch", "UntypedStorage", GlobalKind::kUntypedStorage},
    {"torch", "BoolStorage", GlobalKind::kStorage, DType::kBool},
    {"torch", "ByteStorage", GlobalKind::kStorage, DType::kU8},
    {"torch", "CharStorage", GlobalKind::kStorage, DType::kI8},
    {"torch", "ShortStorage", GlobalKind::kStorage, DType::kI16},
    {"torch", "IntStorage", GlobalKind::kStorage, DType::kI32},
    {"torch", "LongStorage", GlobalKind::kStorage, DType::kI64},
    {"torch", "HalfStorage", GlobalKind::kStorage, DType::kF16},
    {"torch", "BFloat16Storage", GlobalKind::kStorage, DType::kBF16},
    {"torch", "FloatStorage", GlobalKind::kStorage, DType::kF32},
    {"torch", "DoubleStorage", GlobalKind::kStorage, DType::kF64},
    {"torch", "ComplexFloatStorage", GlobalKind::kStorage, DType::kC64},
    {"torch", "bool", GlobalKind::kDType, DType::kBool},
    {"torch", "uint8", GlobalKind::kDType, DType::kU8},
    {"torch", "int8", GlobalKind::kDType, DType::kI8},
    {"torch", "uint16", GlobalKind::kDType, DType::kU16},
    {"torch", "int16", GlobalKind::kDType, DType::kI16},
    {"torch", "uint32", GlobalKind::kDType, DType::kU32},
    {"torch", "int32", GlobalKind::kDType, DType::kI32},
    {"torch", "uint64", GlobalKind::kDType, DType::kU64},
    {"torch", "int64", GlobalKind::kDType, DType::kI64},
    {"torch", "float16", GlobalKind::kDType, DType::kF16},
    {"torch", "bfloat16", GlobalKind::kDType, DType::kBF16},
    {"torch", "float32", GlobalKind::kDType, DType::kF32},
    {"torch", "float64", GlobalKind::kDType, DType::kF64},
    {"torch", "complex64", GlobalKind::kDType, DType::kC64},
    {"torch", "float8_e4m3fn", GlobalKind::kDType, DType::kF8E4M3},
    {"torch", "float8_e5m2", GlobalKind::kDType, DType::kF8E5M2},
    {"torch", "float8_e8m0fnu", GlobalKind::kDType, DType::kF8E8M0},
    {"torch", "float8_e4m3fnuz", GlobalKind::kDType, DType::kF8E4M3FNUZ},
    {"torch", "float8_e5m2fnuz", GlobalKind::kDType, DType::kF8E5M2FNUZ},
};

const GlobalInfo& InfoOf(const PickleValue& global) {
  return kGlobals[global.number];
}

bool IsGlobal(const PickleValue& value, GlobalKind kind) {
  return value.kind == Kind::kGlobal && InfoOf(value).kind == kind;
}

bool IsStorageClass(const GlobalInfo& info) {
  return info.kind == GlobalKind::kStorage ||
         info.kind == GlobalKind::kUntypedStorage;
}

bool Matches(const GlobalInfo& info, absl::string_view module,
             absl::string_view name) {
  if (name != info.name) return false;
  if (module == info.module) return true;
  return module == "torch.cuda" && IsStorageClass(info);
}

absl::Status CallError(absl::string_view function, absl::string_view problem) {
  return TorchFileError(absl::StrCat("call of ", function, " ", problem));
}

absl::Status TensorError(absl::string_view problem) {
  return CallError("_rebuild_tensor", problem);
}

// The items of a tuple of integers.
absl::StatusOr<std::vector<int64_t>> IntegerTuple(const PickleHeap& heap,
                                                  PickleRef ref) {
  const PickleValue& tuple = heap.Get(ref);
  if (tuple.kind != Kind::kTuple || tuple.items.size() > kMaxRank) {
    return TensorError(
        absl::StrCat("needs a tuple of at most ", kMaxRank, " numbers"));
  }
  std::vector<int64_t> numbers;
  for (PickleRef item : tuple.items) {
    if (heap.Get(item).kind != Kind::kInt) {
      return TensorError(absl::StrCat("has ",
                                      PickleKindName(heap.Get(item).kind),
                                      " among its sizes, expected an int"));
    }
    numbers.push_back(heap.Get(item).number);
  }
  return numbers;
}

// Flags such as "conj" would change what the elements mean.
absl::Status CheckNoFlags(const PickleHeap& heap, const PickleValue& arguments,
                          size_t index) {
  if (index >= arguments.items.size()) return absl::OkStatus();
  const PickleValue& flags = heap.Get(arguments.items[index]);
  const bool is_dict =
      flags.kind == Kind::kDict || flags.kind == Kind::kOrdered;
  if (flags.kind == Kind::kNone || (is_dict && flags.items.empty())) {
    return absl::OkStatus();
  }
  return TensorError("has flags (conjugated or negated), not supported");
}

absl::StatusOr<PickleRef> CallParameter(const PickleHeap& heap,
                                        const PickleValue& arguments,
                                        size_t num_arguments) {
  if (arguments.items.size() != num_arguments ||
      heap.Get(arguments.items[0]).kind != Kind::kTensor) {
    return CallError("_rebuild_parameter", "needs a tensor and its flags");
  }
  return arguments.items[0];
}

absl::StatusOr<PickleRef> CallSize(const PickleHeap& heap,
                                   const PickleValue& arguments) {
  if (arguments.items.size() != 1 ||
      heap.Get(arguments.items[0]).kind != Kind::kTuple) {
    return CallError("torch.Size", "needs one tuple");
  }
  return arguments.items[0];
}

absl::StatusOr<PickleRef> CallOrderedDict(PickleHeap& heap,
                                          const PickleValue& arguments) {
  if (!arguments.items.empty()) {
    return CallError("OrderedDict", "has arguments, expected none");
  }
  return heap.Add({Kind::kOrdered});
}

absl::Status CheckName(const PickleValue& key) {
  if (key.kind != Kind::kString) {
    return TorchFileError(absl::StrCat("the state dict has ",
                                       PickleKindName(key.kind),
                                       " as a key, expected a string"));
  }
  if (key.text.empty() || !IsValidUtf8(key.text) ||
      key.text.find('\0') != absl::string_view::npos) {
    return TorchFileError(absl::StrCat("tensor name ", Quoted(key.text),
                                       " is empty or not valid text"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PickleValue> TorchPickleHost::FindGlobal(
    absl::string_view module, absl::string_view name) {
  for (size_t i = 0; i < std::size(kGlobals); ++i) {
    if (Matches(kGlobals[i], module, name)) {
      return PickleValue{Kind::kGlobal, static_cast<int64_t>(i)};
    }
  }
  return PickleRefusedError(absl::StrCat(
      "refused global ", Quoted(absl::StrCat(module, ".", name)),
      ": only what builds tensors is allowed, and nothing is ever run"));
}

absl::StatusOr<PickleRef> TorchPickleHost::Call(PickleHeap& heap,
                                                PickleRef global,
                                                PickleRef arguments) {
  const PickleValue& values = heap.Get(arguments);
  const GlobalInfo& info = InfoOf(heap.Get(global));
  switch (info.kind) {
    case GlobalKind::kOrderedDict:
      return CallOrderedDict(heap, values);
    case GlobalKind::kSize:
      return CallSize(heap, values);
    case GlobalKind::kRebuildTensor:
    case GlobalKind::kRebuildTensorV2:
      return RebuildTensor(heap, values, /*has_dtype=*/false);
    case GlobalKind::kRebuildTensorV3:
      return RebuildTensor(heap, values, /*has_dtype=*/true);
    case GlobalKind::kRebuildParameter:
      return CallParameter(heap, values, 3);
    case GlobalKind::kRebuildParameterWithState:
      return CallParameter(heap, values, 4);
    case GlobalKind::kStorage:
    case GlobalKind::kUntypedStorage:
    case GlobalKind::kDType:
      break;
  }
  return PickleRefusedError(absl::StrCat("refused call of ", info.module, ".",
                                         info.name, ": it is no function"));
}

// Arguments: storage, offset, size, strides, requires_grad, hooks, then for
// v3 the dtype, then optionally flags. torch/_utils.py, torch 2.13.
absl::StatusOr<PickleRef> TorchPickleHost::RebuildTensor(
    PickleHeap& heap, const PickleValue& arguments, bool has_dtype) {
  const std::vector<PickleRef>& items = arguments.items;
  if (items.size() < (has_dtype ? 7 : 4) ||
      items.size() > (has_dtype ? 8 : 7)) {
    return TensorError(absl::StrCat("has ", items.size(), " arguments"));
  }
  const PickleValue& storage = heap.Get(items[0]);
  const PickleValue& offset = heap.Get(items[1]);
  if (storage.kind != Kind::kStorage || offset.kind != Kind::kInt) {
    return TensorError("needs a storage and an offset");
  }
  TorchTensor tensor;
  tensor.storage = static_cast<size_t>(storage.number);
  tensor.dtype = storages_[tensor.storage].dtype;
  tensor.offset = offset.number;
  if (has_dtype) {
    const PickleValue& dtype = heap.Get(items[6]);
    if (!IsGlobal(dtype, GlobalKind::kDType))
      return TensorError("has no dtype");
    tensor.dtype = InfoOf(dtype).dtype;
  }
  if (tensor.dtype == DType::kUnspecified) {
    return TensorError("has an untyped storage and no dtype");
  }
  PEFT_RETURN_IF_ERROR(CheckNoFlags(heap, arguments, has_dtype ? 7 : 6));
  PEFT_ASSIGN_OR_RETURN(tensor.shape, IntegerTuple(heap, items[2]));
  PEFT_ASSIGN_OR_RETURN(tensor.strides, IntegerTuple(heap, items[3]));
  if (tensor.shape.size() != tensor.strides.size()) {
    return TensorError("has sizes and strides of different lengths");
  }
  tensors_.push_back(std::move(tensor));
  return heap.Add({Kind::kTensor, static_cast<int64_t>(tensors_.size() - 1)});
}

// The id of a storage: ("storage", class, key, location, number of elements),
// in the legacy format also a view that nothing has written since torch 0.4.
absl::StatusOr<PickleRef> TorchPickleHost::LoadPersistent(PickleHeap& heap,
                                                          PickleRef id) {
  const PickleValue& tuple = heap.Get(id);
  const auto error = [](absl::string_view problem) {
    return TorchFileError(absl::StrCat("persistent id ", problem));
  };
  if (tuple.kind != Kind::kTuple || tuple.items.size() < 5 ||
      tuple.items.size() > 6) {
    return error("is not the tuple of a storage");
  }
  const PickleValue& tag = heap.Get(tuple.items[0]);
  const PickleValue& type = heap.Get(tuple.items[1]);
  const PickleValue& key = heap.Get(tuple.items[2]);
  const PickleValue& location = heap.Get(tuple.items[3]);
  const PickleValue& count = heap.Get(tuple.items[4]);
  if (tag.kind != Kind::kString || tag.text != "storage") {
    return error("is not that of a storage");
  }
  if (type.kind != Kind::kGlobal || !IsStorageClass(InfoOf(type))) {
    return error("has no storage class");
  }
  // The location ("cpu", "cuda:0") is where the storage was, and of no use.
  if (key.kind != Kind::kString || location.kind != Kind::kString ||
      count.kind != Kind::kInt || count.number < 0) {
    return error("has no key, location or size");
  }
  if (tuple.items.size() == 6 && heap.Get(tuple.items[5]).kind != Kind::kNone) {
    return error("has a view of a storage, not supported; save it again");
  }
  PEFT_ASSIGN_OR_RETURN(
      const size_t index,
      AddStorage({std::string(key.text), InfoOf(type).dtype, count.number}));
  return heap.Add({Kind::kStorage, static_cast<int64_t>(index)});
}

absl::StatusOr<size_t> TorchPickleHost::AddStorage(TorchStorage storage) {
  const auto [found, is_new] =
      storage_by_key_.emplace(storage.key, storages_.size());
  if (is_new) {
    storages_.push_back(std::move(storage));
    return found->second;
  }
  const TorchStorage& other = storages_[found->second];
  if (other.dtype != storage.dtype ||
      other.num_elements != storage.num_elements) {
    return TorchFileError(absl::StrCat("storage ", Quoted(storage.key),
                                       " is described in two ways"));
  }
  return found->second;
}

absl::StatusOr<TorchStateDict> TorchPickleHost::TakeStateDict(
    const PickleHeap& heap, PickleRef root) {
  const PickleValue& dict = heap.Get(root);
  if (dict.kind != Kind::kDict && dict.kind != Kind::kOrdered) {
    return TorchFileError(absl::StrCat("holds ", PickleKindName(dict.kind),
                                       ", expected a dict of tensors"));
  }
  TorchStateDict result;
  std::unordered_set<absl::string_view> names;
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& key = heap.Get(dict.items[i]);
    const PickleValue& value = heap.Get(dict.items[i + 1]);
    PEFT_RETURN_IF_ERROR(CheckName(key));
    if (value.kind != Kind::kTensor) {
      return TorchFileError(absl::StrCat("entry ", Quoted(key.text), " is ",
                                         PickleKindName(value.kind),
                                         ", expected a tensor"));
    }
    if (!names.insert(key.text).second) {
      return TorchFileError(
          absl::StrCat("tensor ", Quoted(key.text), " appears twice"));
    }
    result.tensors.emplace_back(std::string(key.text), tensors_[value.number]);
  }
  result.storages = std::move(storages_);
  return result;
}

}  // namespace peft
