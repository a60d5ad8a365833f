// Handles by their C types, and the guard around every entry point.
//
// An entry point of the C ABI looks like this:
//
//   peft_status_t* peft_noun_verb(peft_noun_t* noun, peft_other_t** out_other)
//   {
//     return peft::Guard([&]() -> absl::Status {
//       PEFT_RETURN_IF_ERROR(peft::ClearOut("out_other", out_other));
//       PEFT_ASSIGN_OR_RETURN(auto object, peft::Lookup("noun", noun));
//       PEFT_ASSIGN_OR_RETURN(auto other, object->Verb());
//       return peft::NewHandle(std::move(other), out_other);
//     });
//   }
#ifndef PEFT_C_HANDLE_H_
#define PEFT_C_HANDLE_H_

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_c/handle_table.h"
#include "peft_c/status.h"
#include "peft_c/used.h"

namespace peft {

// Specialised beside each object: `Object`, the type behind the handles of
// type `Handle`, and `kKind`.
template <typename Handle>
struct HandleTraits;

template <typename Handle>
using ObjectOf = typename HandleTraits<Handle>::Object;

// INVALID_ARGUMENT (HANDLE) for an argument that is not a live handle.
absl::Status BadHandle(absl::string_view argument, uintptr_t handle,
                       HandleKind expected);

// Logs that `function` was given something that it cannot free.
void LogBadFree(absl::string_view function, uintptr_t handle,
                HandleKind expected) noexcept;

// The object of `handle`, or null.
template <typename Handle>
std::shared_ptr<ObjectOf<Handle>> Find(const Handle* handle) {
  return std::static_pointer_cast<ObjectOf<Handle>>(HandleTable::Global().Find(
      reinterpret_cast<uintptr_t>(handle), HandleTraits<Handle>::kKind));
}

// The object of `handle`, or the error that names the argument.
template <typename Handle>
absl::StatusOr<std::shared_ptr<ObjectOf<Handle>>> Lookup(
    absl::string_view argument, const Handle* handle) {
  std::shared_ptr<ObjectOf<Handle>> object = Find(handle);
  if (object != nullptr) return object;
  return BadHandle(argument, reinterpret_cast<uintptr_t>(handle),
                   HandleTraits<Handle>::kKind);
}

// Gives `object` a handle. Call it last: the handle is the caller's then.
template <typename Handle>
absl::Status NewHandle(std::shared_ptr<ObjectOf<Handle>> object,
                       Handle** out_handle) {
  using Mutable = std::remove_const_t<ObjectOf<Handle>>;
  *out_handle = reinterpret_cast<Handle*>(HandleTable::Global().Insert(
      HandleTraits<Handle>::kKind,
      std::const_pointer_cast<Mutable>(std::move(object))));
  return absl::OkStatus();
}

// The body of peft_..._free.
template <typename Handle>
void FreeHandle(absl::string_view function, Handle* handle) noexcept {
  if (handle == nullptr) return;
  MarkUsed();
  const auto value = reinterpret_cast<uintptr_t>(handle);
  constexpr HandleKind kKind = HandleTraits<Handle>::kKind;
  if (HandleTable::Global().Remove(value, kKind) == nullptr) {
    LogBadFree(function, value, kKind);
  }
}

// A handle that is freed at the end unless it was released: for an entry point
// that must not fail any more once its work is done, and for what a callback
// gets.
template <typename Handle>
class PendingHandle {
 public:
  // Gives `object`, which must not be null, a handle.
  explicit PendingHandle(std::shared_ptr<ObjectOf<Handle>> object) {
    NewHandle(std::move(object), &handle_).IgnoreError();
  }
  PendingHandle(const PendingHandle&) = delete;
  PendingHandle& operator=(const PendingHandle&) = delete;
  ~PendingHandle() { FreeHandle("PendingHandle", handle_); }

  // The handle, which is still this object's; null once it was released.
  Handle* get() const { return handle_; }
  // The handle, which is the caller's from now on.
  Handle* Release() { return std::exchange(handle_, nullptr); }

 private:
  Handle* handle_ = nullptr;
};

// Runs the body of an entry point, which gives an absl::Status. No exception
// gets past it.
template <typename Body>
peft_status_t* Guard(Body&& body) noexcept {
  MarkUsed();
  try {
    return NewStatus(body());
  } catch (...) {
    return NewStatusOfException();
  }
}

// As Guard for functions that cannot say why they fail: `fallback` instead.
template <typename Value, typename Body>
Value GuardValue(Value fallback, Body&& body) noexcept {
  MarkUsed();
  try {
    return body();
  } catch (...) {
    return fallback;
  }
}

}  // namespace peft

#endif  // PEFT_C_HANDLE_H_
