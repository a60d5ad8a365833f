#include "peft_cc/models/activation_buffers.h"

#include "peft_cc/base/error.h"
#include "peft_cc/base/round_up.h"

namespace peft {

ActivationBuffers::ActivationBuffers(const Description& description)
    : description_(description), data_(description.buffers.size(), nullptr) {}

bool ActivationBuffers::HasPlace(int buffer) const {
  return buffer != description_.logits_buffer &&
         buffer != description_.pooler_buffer &&
         description_.buffers[buffer].parent < 0;
}

absl::Status ActivationBuffers::Reserve(int64_t rows,
                                        absl::string_view purpose) {
  if (rows <= rows_) return absl::OkStatus();
  const int num_buffers = static_cast<int>(data_.size());
  int64_t width = 0;
  for (int i = 0; i < num_buffers; ++i) {
    if (HasPlace(i)) width += description_.buffers[i].width;
  }
  const int64_t floats = CheckedProduct({rows, width});
  PEFT_RETURN_IF_ERROR(block_.Reserve(
      floats < 0 ? floats : floats + num_buffers * FloatBuffer::kAlign,
      purpose));
  float* next = block_.data();
  for (int i = 0; i < num_buffers; ++i) {
    const BufferInfo& info = description_.buffers[i];
    // Parents stand before their columns.
    if (info.parent >= 0) data_[i] = data_[info.parent] + info.offset;
    if (!HasPlace(i)) continue;
    data_[i] = next;
    next += RoundUp(rows * info.width, FloatBuffer::kAlign);
  }
  rows_ = rows;
  return absl::OkStatus();
}

kernels::Rows ActivationBuffers::View(int buffer, int64_t rows) const {
  const BufferInfo& info = description_.buffers[buffer];
  const int64_t stride =
      info.parent < 0 ? info.width : description_.buffers[info.parent].width;
  return {data_[buffer], rows, info.width, stride};
}

}  // namespace peft
