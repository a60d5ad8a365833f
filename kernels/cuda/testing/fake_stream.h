// Streams, events and graphs of a fake device. Work runs as late as CUDA allows
// it to: when somebody waits for it. What forgets to wait reads what was there
// before.
#ifndef KERNELS_CUDA_TESTING_FAKE_STREAM_H_
#define KERNELS_CUDA_TESTING_FAKE_STREAM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace peft {
namespace kernels {
namespace cuda {

using FakeWork = std::function<void()>;

// What a capture has recorded.
struct FakeGraph {
  std::vector<FakeWork> work;
};

// A queue. Thread-compatible, as all streams of a device together are.
class FakeStream {
 public:
  // Adds work to the queue, or to the graph that is being captured.
  void Add(FakeWork work);
  // How much was ever added to the queue.
  uint64_t position() const { return done_ + queue_.size(); }
  uint64_t done() const { return done_; }

  // Runs the queue until `position` pieces of work are done.
  void RunUntil(uint64_t position);
  void RunAll() { RunUntil(position()); }

  // Null unless it is capturing.
  const std::shared_ptr<FakeGraph>& capture() const { return capture_; }
  void set_capture(std::shared_ptr<FakeGraph> graph) {
    capture_ = std::move(graph);
  }

 private:
  std::deque<FakeWork> queue_;
  uint64_t done_ = 0;
  std::shared_ptr<FakeGraph> capture_;
};

// A place in a stream's queue; complete where it was never recorded.
struct FakeEvent {
  std::shared_ptr<FakeStream> stream;
  uint64_t position = 0;
  bool times = false;
  double milliseconds = 0;  // when it was passed, on the fake's clock

  bool complete() const {
    return stream == nullptr || stream->done() >= position;
  }
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_FAKE_STREAM_H_
