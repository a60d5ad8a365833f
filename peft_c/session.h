// Sessions at the C ABI.
#ifndef PEFT_C_SESSION_H_
#define PEFT_C_SESSION_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/models/model.h"
#include "peft_cc/models/session.h"

namespace peft {

// What a session handle stands for.
struct SessionObject {
  std::shared_ptr<Model> model;  // outlives the session below
  std::unique_ptr<Session> session;
  // What the last forward gave back, and the sizes that views of it point to.
  struct Output {
    const float* data = nullptr;  // null: not computed
    int32_t rank = 0;
    int64_t sizes[3] = {};
  };
  Output logits;
  Output last_hidden_state;
  Output pooler_output;

  // For calls that overwrite them, or may fail.
  void ForgetOutputs() {
    logits = last_hidden_state = pooler_output = Output();
  }
  std::atomic<bool> is_busy{false};
};

template <>
struct HandleTraits<peft_session_t> {
  using Object = SessionObject;
  static constexpr HandleKind kKind = HandleKind::kSession;
};

// A session for the length of one call. Also keeps it alive when it is freed
// meanwhile.
class SessionUse {
 public:
  // Fails with INVALID_ARGUMENT (HANDLE), or FAILED_PRECONDITION
  // (SESSION_BUSY) when another call has not ended.
  static absl::StatusOr<SessionUse> Begin(const peft_session_t* handle);

  SessionUse(SessionUse&&) = default;
  ~SessionUse() {
    if (object_ != nullptr) object_->is_busy.store(false);
  }

  SessionObject& object() const { return *object_; }
  Session* operator->() const { return object_->session.get(); }

 private:
  explicit SessionUse(std::shared_ptr<SessionObject> object)
      : object_(std::move(object)) {}

  std::shared_ptr<SessionObject> object_;
};

// The engine's input for `input`, whose arrays it points to. The engine checks
// the numbers.
absl::StatusOr<ForwardInput> InputOf(const peft_forward_input_t* input);

}  // namespace peft

#endif  // PEFT_C_SESSION_H_
