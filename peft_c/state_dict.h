// State dicts at the C ABI: tensors by name, in name order.
#ifndef PEFT_C_STATE_DICT_H_
#define PEFT_C_STATE_DICT_H_

#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Thread-safe, though the C ABI promises less: a program's mistake must not
// become a crash.
class StateDict {
 public:
  StateDict() = default;
  explicit StateDict(TensorMap tensors) : tensors_(std::move(tensors)) {}

  void Set(const std::string& name, Tensor tensor);
  size_t size() const;
  // The name of tensor `index`, or null. Valid until Set or the end.
  const char* Name(size_t index) const;
  // False when there is no such tensor.
  bool Get(const std::string& name, Tensor* tensor) const;
  // A copy that shares the elements.
  TensorMap tensors() const;

 private:
  mutable std::mutex mutex_;
  TensorMap tensors_;
  // The names by index, pointing into tensors_; empty when not up to date.
  mutable std::vector<const char*> names_;
};

template <>
struct HandleTraits<peft_state_dict_t> {
  using Object = StateDict;
  static constexpr HandleKind kKind = HandleKind::kStateDict;
};

}  // namespace peft

#endif  // PEFT_C_STATE_DICT_H_
