// Hands out the tensors of an adapter's file by module and part, checks each,
// and keeps account of what was used, missed and left.
#ifndef PEFT_CC_ADAPTERS_TENSOR_TAKER_H_
#define PEFT_CC_ADAPTERS_TENSOR_TAKER_H_

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/load_report.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What stands for a tensor that the file lacks.
enum class IfMissing {
  kUntrained,  // nothing: as if it had not been trained
  kBase,       // the base model's own
};

// A tensor that the file lacks, by its name as in the file.
struct MissingTensor {
  std::string name;
  IfMissing instead;
};

// Thread-compatible.
class TensorTaker {
 public:
  // `keys` are those of `tensors`, from MapKeys; it and `report` must outlive
  // the taker.
  TensorTaker(TensorMap tensors, const KeyMap* keys, LoadReport* report);

  // The tensor `part` of `module`; nullopt when the file lacks it, which is
  // remembered as missing. INVALID_ARGUMENT (TENSOR_SHAPE_MISMATCH,
  // TENSOR_DTYPE) for one that does not fit; F64 becomes F32. `reason` ends
  // the message on shapes: where the expected one comes from.
  absl::StatusOr<std::optional<Tensor>> Take(
      absl::string_view module, absl::string_view part,
      absl::Span<const int64_t> shape, absl::FunctionRef<std::string()> reason,
      IfMissing if_missing = IfMissing::kUntrained);
  absl::StatusOr<std::optional<Tensor>> Take(
      absl::string_view module, absl::string_view part,
      absl::Span<const int64_t> shape, absl::string_view reason,
      IfMissing if_missing = IfMissing::kUntrained) {
    return Take(
        module, part, shape, [&] { return std::string(reason); }, if_missing);
  }

  // The tensor if the file has it and nothing has taken it, else null.
  const Tensor* Peek(absl::string_view module, absl::string_view part) const;

  // Takes the tensor of Peek without use: `replacement`, which has its values,
  // stands for it in the state dict.
  void Settle(absl::string_view module, absl::string_view part,
              Tensor replacement);

  // Copies all tensors that are not taken yet into memory of their own, so
  // that the file's can go. RESOURCE_EXHAUSTED when memory is out.
  absl::Status CopyRemaining();

  // Adds a line to the report for each tensor taken that has a NaN or an
  // infinity. Looks at every byte, on `pool`: once, when all is taken.
  void ReportNonFinite(kernels::ThreadPool& pool);

  // In the order in which they were looked for.
  const std::vector<MissingTensor>& missing() const { return missing_; }
  std::vector<const TensorKey*> Unused() const;
  bool any_taken() const { return !taken_.empty(); }

  // What was taken, under the names of get_adapter_state_dict.
  TensorMap ReleaseStateDict();

 private:
  struct Item {
    const TensorKey* key;
    Tensor tensor;  // once it is used, what the state dict has
    bool is_used = false;
  };

  // Index into items_ of the tensor if it is there and unused, else -1.
  int Find(absl::string_view module, absl::string_view part) const;
  absl::StatusOr<Tensor> CheckedTensor(const Item& item,
                                       absl::Span<const int64_t> shape,
                                       absl::FunctionRef<std::string()> reason);
  void Account(int index, Tensor tensor);

  const KeyMap* keys_;
  LoadReport* report_;
  std::vector<Item> items_;                           // in the order of *keys_
  std::unordered_map<absl::string_view, int> index_;  // by model_name
  std::vector<MissingTensor> missing_;
  std::vector<int> taken_;  // indices of items, in the order of Take
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TENSOR_TAKER_H_
