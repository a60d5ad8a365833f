// The fake driver's streams, events and graphs.

#include <utility>

#include "kernels/cuda/testing/fake_cuda_state.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

Result CreateStream(StreamHandle* handle, unsigned flags) {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  if (flags > kStreamNonBlocking) return kInvalidValue;
  auto stream = std::make_shared<FakeStream>();
  *handle = reinterpret_cast<StreamHandle>(stream.get());
  call->streams[*handle] = std::move(stream);
  return kSuccess;
}

Result DestroyStream(StreamHandle handle) {
  const FakeCall call;
  const auto found = call->streams.find(handle);
  if (found == call->streams.end()) return kInvalidHandle;
  found->second->RunAll();
  call->streams.erase(found);
  return kSuccess;
}

Result SynchronizeStream(StreamHandle handle) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->capture() != nullptr) return kStreamCaptureUnsupported;
  stream->RunAll();
  return kSuccess;
}

// Each question gives the stream the time for one piece of work.
Result QueryStream(StreamHandle handle) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->capture() != nullptr) return kStreamCaptureUnsupported;
  if (stream->done() == stream->position()) return kSuccess;
  stream->RunUntil(stream->done() + 1);
  return kNotReady;
}

Result WaitEvent(StreamHandle handle, EventHandle event_handle,
                 unsigned flags) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  const FakeEvent* const event = call->FindEvent(event_handle);
  if (stream == nullptr || event == nullptr) return kInvalidHandle;
  if (flags != 0) return kInvalidValue;
  if (stream->capture() != nullptr) return kStreamCaptureUnsupported;
  if (event->stream == nullptr) return kSuccess;
  // What was recorded when the wait was asked for, as CUDA has it.
  stream->Add([other = event->stream, position = event->position] {
    other->RunUntil(position);
  });
  return kSuccess;
}

Result CreateEvent(EventHandle* handle, unsigned flags) {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  if (flags != kEventDefault && flags != kEventDisableTiming) {
    return kInvalidValue;
  }
  auto event = std::make_unique<FakeEvent>();
  event->times = flags == kEventDefault;
  *handle = reinterpret_cast<EventHandle>(event.get());
  call->events[*handle] = std::move(event);
  return kSuccess;
}

Result DestroyEvent(EventHandle handle) {
  return FakeCall()->events.erase(handle) == 1 ? kSuccess : kInvalidHandle;
}

Result RecordEvent(EventHandle event_handle, StreamHandle handle) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  FakeEvent* const event = call->FindEvent(event_handle);
  if (stream == nullptr || event == nullptr) return kInvalidHandle;
  if (stream->capture() != nullptr) return kStreamCaptureUnsupported;
  stream->Add([event_handle] {
    FakeCuda::State& state = *fake_cuda_state;
    FakeEvent* const passed = state.FindEvent(event_handle);
    if (passed != nullptr) passed->milliseconds = state.clock;
  });
  event->stream = stream;
  event->position = stream->position();
  return kSuccess;
}

Result QueryEvent(EventHandle handle) {
  const FakeCall call;
  const FakeEvent* const event = call->FindEvent(handle);
  if (event == nullptr) return kInvalidHandle;
  if (event->complete()) return kSuccess;
  event->stream->RunUntil(event->stream->done() + 1);
  return kNotReady;
}

Result SynchronizeEvent(EventHandle handle) {
  const FakeCall call;
  const FakeEvent* const event = call->FindEvent(handle);
  if (event == nullptr) return kInvalidHandle;
  if (!event->complete()) event->stream->RunUntil(event->position);
  return kSuccess;
}

Result ElapsedTime(float* milliseconds, EventHandle start, EventHandle end) {
  const FakeCall call;
  const FakeEvent* const from = call->FindEvent(start);
  const FakeEvent* const to = call->FindEvent(end);
  if (from == nullptr || to == nullptr) return kInvalidHandle;
  if (!from->times || !to->times) return kInvalidHandle;
  if (!from->complete() || !to->complete()) return kNotReady;
  *milliseconds = static_cast<float>(to->milliseconds - from->milliseconds);
  return kSuccess;
}

Result BeginCapture(StreamHandle handle, int mode) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (handle == nullptr) return kStreamCaptureUnsupported;
  if (mode != kCaptureThreadLocal) return kInvalidValue;
  if (stream->capture() != nullptr) return kInvalidValue;
  stream->set_capture(std::make_shared<FakeGraph>());
  return kSuccess;
}

Result EndCapture(StreamHandle handle, GraphHandle* graph) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->capture() == nullptr) return kInvalidValue;
  *graph = reinterpret_cast<GraphHandle>(stream->capture().get());
  call->graphs[*graph] = stream->capture();
  stream->set_capture(nullptr);
  return kSuccess;
}

Result IsCapturing(StreamHandle handle, int* status) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (stream == nullptr) return kInvalidHandle;
  *status = stream->capture() == nullptr ? 0 : 1;
  return kSuccess;
}

Result InstantiateGraph(GraphExecHandle* exec, GraphHandle handle,
                        uint64_t flags) {
  const FakeCall call;
  const auto found = call->graphs.find(handle);
  if (found == call->graphs.end()) return kInvalidHandle;
  if (flags != 0) return kInvalidValue;
  auto copy = std::make_shared<FakeGraph>(*found->second);
  *exec = reinterpret_cast<GraphExecHandle>(copy.get());
  call->execs[*exec] = std::move(copy);
  return kSuccess;
}

Result LaunchGraph(GraphExecHandle exec, StreamHandle handle) {
  const FakeCall call;
  const auto found = call->execs.find(exec);
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (found == call->execs.end() || stream == nullptr) return kInvalidHandle;
  for (const FakeWork& work : found->second->work) stream->Add(work);
  return kSuccess;
}

Result DestroyExec(GraphExecHandle exec) {
  return FakeCall()->execs.erase(exec) == 1 ? kSuccess : kInvalidHandle;
}

Result DestroyGraph(GraphHandle graph) {
  return FakeCall()->graphs.erase(graph) == 1 ? kSuccess : kInvalidHandle;
}

}  // namespace

void FillStreamFunctions(DriverTable& table) {
  table.cuStreamCreate = CreateStream;
  table.cuStreamDestroy_v2 = DestroyStream;
  table.cuStreamSynchronize = SynchronizeStream;
  table.cuStreamQuery = QueryStream;
  table.cuStreamWaitEvent = WaitEvent;
  table.cuEventCreate = CreateEvent;
  table.cuEventDestroy_v2 = DestroyEvent;
  table.cuEventRecord = RecordEvent;
  table.cuEventQuery = QueryEvent;
  table.cuEventSynchronize = SynchronizeEvent;
  table.cuEventElapsedTime = ElapsedTime;
  table.cuStreamBeginCapture_v2 = BeginCapture;
  table.cuStreamEndCapture = EndCapture;
  table.cuStreamIsCapturing = IsCapturing;
  table.cuGraphInstantiateWithFlags = InstantiateGraph;
  table.cuGraphLaunch = LaunchGraph;
  table.cuGraphExecDestroy = DestroyExec;
  table.cuGraphDestroy = DestroyGraph;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
