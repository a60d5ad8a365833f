#include "peft_cc/adapters/tensor_taker.h"

#include <cassert>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/tensor_scan.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status ShapeError(const TensorKey& key, const Tensor& tensor,
                        absl::Span<const int64_t> shape,
                        const std::string& reason) {
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
  auto tensor = tensors.begin();
  for (const TensorKey& key : keys->keys) {
    assert(tensor->first == key.file_name);
    index_.emplace(key.model_name, static_cast<int>(items_.size()));
    items_.push_back({&key, std::move((tensor++)->second)});
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
    absl::FunctionRef<std::string()> reason) {
  const DType dtype = item.tensor.dtype();
  if (!IsComputeDType(dtype) && dtype != DType::kF64) {
    return DTypeError(*item.key, dtype);
  }
  if (item.tensor.shape() != shape) {
    return ShapeError(*item.key, item.tensor, shape, reason());
  }
  if (dtype != DType::kF64) return item.tensor;
  report_->lines.push_back({ReportKind::kNote, item.key->file_name,
                            "is F64 and was converted to F32"});
  return item.tensor.Cast(DType::kF32);
}

void TensorTaker::Account(int index, Tensor tensor) {
  Item& item = items_[index];
  item.is_used = true;
  report_->lines.push_back(
      {ReportKind::kMatched, item.key->file_name, item.key->module});
  report_->num_parameters += tensor.num_elements();
  report_->size_bytes += tensor.size_bytes();
  item.tensor = std::move(tensor);
  taken_.push_back(index);
}

absl::StatusOr<std::optional<Tensor>> TensorTaker::Take(
    absl::string_view module, absl::string_view part,
    absl::Span<const int64_t> shape, absl::FunctionRef<std::string()> reason,
    IfMissing if_missing) {
  const int index = Find(module, part);
  if (index < 0) {
    missing_.push_back({keys_->FileName(module, part), if_missing});
    return std::nullopt;
  }
  PEFT_ASSIGN_OR_RETURN(Tensor tensor,
                        CheckedTensor(items_[index], shape, reason));
  Account(index, tensor);
  return std::optional<Tensor>(std::move(tensor));
}

void TensorTaker::Settle(absl::string_view module, absl::string_view part,
                         Tensor replacement) {
  Item& item = items_[Find(module, part)];
  item.is_used = true;
  item.tensor = std::move(replacement);
  report_->lines.push_back(
      {ReportKind::kMatched, item.key->file_name, item.key->module});
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
    non_finite[i] = HasNonFinite(items_[taken_[i]].tensor);
  });
  for (int64_t i = 0; i < count; ++i) {
    if (!non_finite[i]) continue;
    report_->lines.push_back({ReportKind::kNote,
                              items_[taken_[i]].key->file_name,
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

TensorMap TensorTaker::ReleaseStateDict() {
  TensorMap state_dict;
  for (Item& item : items_) {
    if (!item.is_used) continue;
    // Names of the model sort as those of the file do, but for odd files.
    state_dict.emplace_hint(state_dict.end(), item.key->model_name,
                            std::move(item.tensor));
  }
  return state_dict;
}

}  // namespace peft
