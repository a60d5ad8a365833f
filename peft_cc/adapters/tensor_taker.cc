#include "peft_cc/adapters/tensor_taker.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/tensor_scan.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// The name in the state dict, and the key of the index.
std::string ModelName(absl::string_view module, absl::string_view part) {
  return absl::StrCat(module, ".", part);
}

absl::Status ShapeError(const TensorKey& key, const Tensor& tensor,
                        absl::Span<const int64_t> shape,
                        absl::string_view reason) {
  const std::string expected = ShapeToString(shape);
  const std::string found = ShapeToString(tensor.shape());
  return MakeError(absl::StatusCode::kInvalidArgument,
                   error_id::kTensorShapeMismatch,
                   absl::StrCat("tensor ", Quoted(key.file_name), " is ", found,
                                ", expected ", expected, " (", reason, ")"),
                   {key.file_name, expected, found});
}

absl::Status DTypeError(const TensorKey& key, DType dtype) {
  constexpr char kExpected[] = "F32, F16, BF16 or F64";
  const std::string found(DTypeName(dtype));
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTensorDType,
                   absl::StrCat("tensor ", Quoted(key.file_name), " has dtype ",
                                found, ", expected ", kExpected,
                                "; save the adapter in one of these"),
                   {key.file_name, kExpected, found});
}

}  // namespace

TensorTaker::TensorTaker(TensorMap tensors, const KeyMap* keys,
                         LoadReport* report)
    : keys_(keys), report_(report) {
  items_.reserve(keys->keys.size());
  index_.reserve(keys->keys.size());
  for (const TensorKey& key : keys->keys) {
    index_.emplace(ModelName(key.module, key.part),
                   static_cast<int>(items_.size()));
    items_.push_back({&key, std::move(tensors[key.file_name])});
  }
}

int TensorTaker::Find(absl::string_view module, absl::string_view part) const {
  const auto it = index_.find(ModelName(module, part));
  if (it == index_.end() || items_[it->second].is_used) return -1;
  return it->second;
}

const Tensor* TensorTaker::Peek(absl::string_view module,
                                absl::string_view part) const {
  const int index = Find(module, part);
  return index < 0 ? nullptr : &items_[index].tensor;
}

absl::StatusOr<Tensor> TensorTaker::CheckedTensor(
    const Item& item, absl::Span<const int64_t> shape,
    absl::string_view reason) {
  const DType dtype = item.tensor.dtype();
  if (!IsComputeDType(dtype) && dtype != DType::kF64) {
    return DTypeError(*item.key, dtype);
  }
  if (item.tensor.shape() != shape) {
    return ShapeError(*item.key, item.tensor, shape, reason);
  }
  if (dtype != DType::kF64) return item.tensor;
  report_->lines.push_back({ReportKind::kNote, item.key->file_name,
                            "is F64 and was converted to F32"});
  return item.tensor.Cast(DType::kF32);
}

void TensorTaker::Account(Item& item, const Tensor& tensor) {
  item.is_used = true;
  report_->lines.push_back(
      {ReportKind::kMatched, item.key->file_name, item.key->module});
  report_->num_parameters += tensor.num_elements();
  report_->size_bytes += tensor.size_bytes();
  taken_.emplace_back(item.key, tensor);
  state_dict_[ModelName(item.key->module, item.key->part)] = tensor;
}

absl::StatusOr<std::optional<Tensor>> TensorTaker::Take(
    absl::string_view module, absl::string_view part,
    absl::Span<const int64_t> shape, absl::string_view reason,
    IfMissing if_missing) {
  const int index = Find(module, part);
  if (index < 0) {
    missing_.push_back({keys_->FileName(module, part), if_missing});
    return std::nullopt;
  }
  Item& item = items_[index];
  PEFT_ASSIGN_OR_RETURN(Tensor tensor, CheckedTensor(item, shape, reason));
  Account(item, tensor);
  item.tensor = Tensor();  // the state dict and the program have it now
  return std::optional<Tensor>(std::move(tensor));
}

void TensorTaker::Settle(absl::string_view module, absl::string_view part,
                         Tensor replacement) {
  Item& item = items_[Find(module, part)];
  item.is_used = true;
  item.tensor = Tensor();
  report_->lines.push_back(
      {ReportKind::kMatched, item.key->file_name, item.key->module});
  state_dict_[ModelName(module, part)] = std::move(replacement);
}

absl::Status TensorTaker::CopyRemaining() {
  for (Item& item : items_) {
    if (item.is_used) continue;
    PEFT_ASSIGN_OR_RETURN(item.tensor, CopyTensor(item.tensor));
  }
  return absl::OkStatus();
}

void TensorTaker::ReportNonFinite(kernels::ThreadPool& pool) {
  const int64_t count = static_cast<int64_t>(taken_.size());
  std::vector<char> non_finite(taken_.size());
  pool.ParallelFor(count, [&](int64_t i) {
    non_finite[i] = HasNonFinite(taken_[i].second);
  });
  for (int64_t i = 0; i < count; ++i) {
    if (!non_finite[i]) continue;
    report_->lines.push_back({ReportKind::kNote, taken_[i].first->file_name,
                              "has values that are NaN or infinite"});
  }
}

std::vector<const TensorKey*> TensorTaker::Unused() const {
  std::vector<const TensorKey*> unused;
  for (const Item& item : items_) {
    if (!item.is_used) unused.push_back(item.key);
  }
  return unused;
}

}  // namespace peft
