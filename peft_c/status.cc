#include "peft_c/status.h"

#include <exception>
#include <memory>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_c/handle.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {

// What a status handle stands for.
struct StatusObject {
  int32_t code = PEFT_UNKNOWN;
  std::string id;
  std::string message;
  ErrorDetails details;
};

template <>
struct HandleTraits<peft_status_t> {
  using Object = StatusObject;
  static constexpr HandleKind kKind = HandleKind::kStatus;
};

namespace {

constexpr uintptr_t kOutOfMemory = HandleTable::Reserved(HandleKind::kStatus);

peft_status_t* OutOfMemoryStatus() {
  return reinterpret_cast<peft_status_t*>(kOutOfMemory);
}

bool IsOutOfMemory(const peft_status_t* status) {
  return reinterpret_cast<uintptr_t>(status) == kOutOfMemory;
}

// Text for a C program: valid UTF-8 whatever file or exception it came from.
std::string Clean(const std::string& text) {
  return IsValidUtf8(text) ? text : Printable(text, text.size());
}

peft_status_t* NewStatusOrThrow(const absl::Status& status) {
  auto object = std::make_shared<StatusObject>();
  const ErrorDetails details = GetErrorDetails(status);
  object->code = static_cast<int32_t>(status.code());
  object->id = ErrorId(status);
  object->message = Clean(std::string(status.message()));
  object->details = {Clean(details.tensor), Clean(details.expected),
                     Clean(details.found)};
  peft_status_t* handle = nullptr;
  NewHandle(std::move(object), &handle).IgnoreError();
  return handle;
}

absl::Status Unexpected(const char* what) {
  return MakeError(
      absl::StatusCode::kInternal, error_id::kInternal,
      absl::StrCat("an exception inside of the library: ", what,
                   "; this is a defect of the library, please report it"));
}

absl::Status OfCurrentException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& exception) {
    return Unexpected(exception.what());
  } catch (...) {
    return Unexpected("of a type that is no std::exception");
  }
}

// The text that `get` takes from the status; "" for none and for bad handles.
template <typename Get>
const char* StatusText(const peft_status_t* status, const char* out_of_memory,
                       Get get) noexcept {
  if (IsOutOfMemory(status)) return out_of_memory;
  return GuardValue("", [&] {
    const std::shared_ptr<StatusObject> object = Find(status);
    // The handle keeps what the pointer points to.
    return object == nullptr ? "" : get(*object).c_str();
  });
}

}  // namespace

peft_status_t* NewStatus(const absl::Status& status) noexcept {
  if (status.ok()) return nullptr;
  try {
    return NewStatusOrThrow(status);
  } catch (...) {
    return OutOfMemoryStatus();
  }
}

peft_status_t* NewStatusOfException() noexcept {
  try {
    return NewStatusOrThrow(OfCurrentException());
  } catch (...) {
    return OutOfMemoryStatus();
  }
}

}  // namespace peft

using peft::StatusObject;

int32_t peft_status_code(const peft_status_t* status) {
  if (status == nullptr) return PEFT_OK;
  if (peft::IsOutOfMemory(status)) return PEFT_RESOURCE_EXHAUSTED;
  return peft::GuardValue(PEFT_UNKNOWN, [&] {
    const std::shared_ptr<StatusObject> object = peft::Find(status);
    return object == nullptr ? PEFT_UNKNOWN : object->code;
  });
}

const char* peft_status_id(const peft_status_t* status) {
  return peft::StatusText(status, peft::error_id::kOutOfMemory,
                          [](const StatusObject& object) -> const std::string& {
                            return object.id;
                          });
}

const char* peft_status_message(const peft_status_t* status) {
  return peft::StatusText(status, "out of memory: free some and call again",
                          [](const StatusObject& object) -> const std::string& {
                            return object.message;
                          });
}

const char* peft_status_subject(const peft_status_t* status) {
  return peft::StatusText(status, "",
                          [](const StatusObject& object) -> const std::string& {
                            return object.details.tensor;
                          });
}

const char* peft_status_expected(const peft_status_t* status) {
  return peft::StatusText(status, "",
                          [](const StatusObject& object) -> const std::string& {
                            return object.details.expected;
                          });
}

const char* peft_status_found(const peft_status_t* status) {
  return peft::StatusText(status, "",
                          [](const StatusObject& object) -> const std::string& {
                            return object.details.found;
                          });
}

void peft_status_free(peft_status_t* status) {
  if (peft::IsOutOfMemory(status)) return;
  peft::FreeHandle("peft_status_free", status);
}
