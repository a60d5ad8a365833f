// The memory of a description's buffers.
#ifndef PEFT_CC_MODELS_ACTIVATION_BUFFERS_H_
#define PEFT_CC_MODELS_ACTIVATION_BUFFERS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/view.h"
#include "peft_cc/models/description.h"
#include "peft_cc/models/float_buffer.h"

namespace peft {

// One block for all buffers, but for those that hold what a model gives back:
// these have memory of their own, which Point names. Thread-compatible.
class ActivationBuffers {
 public:
  // `description` must outlive the buffers.
  explicit ActivationBuffers(const Description& description);

  // Makes room for `rows` rows of every buffer; what was there is lost if it
  // grows. RESOURCE_EXHAUSTED (OUT_OF_MEMORY) for `purpose` leaves all as it
  // was.
  absl::Status Reserve(int64_t rows, absl::string_view purpose);

  // The first `rows` rows of `buffer`.
  kernels::Rows View(int buffer, int64_t rows) const;
  // Where its first row is.
  float* data(int buffer) const { return data_[buffer]; }
  // Puts `buffer` elsewhere, until the next Reserve that grows.
  void Point(int buffer, float* memory) { data_[buffer] = memory; }

 private:
  bool HasPlace(int buffer) const;

  const Description& description_;
  std::vector<float*> data_;  // by buffer
  int64_t rows_ = 0;
  FloatBuffer block_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_ACTIVATION_BUFFERS_H_
