#include "kernels/cuda/testing/fake_stream.h"

#include <utility>

namespace peft {
namespace kernels {
namespace cuda {

void FakeStream::Add(FakeWork work) {
  if (capture_ != nullptr) {
    capture_->work.push_back(std::move(work));
  } else {
    queue_.push_back(std::move(work));
  }
}

void FakeStream::RunUntil(uint64_t position) {
  while (done_ < position && !queue_.empty()) {
    const FakeWork work = std::move(queue_.front());
    queue_.pop_front();
    work();
    ++done_;
  }
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
