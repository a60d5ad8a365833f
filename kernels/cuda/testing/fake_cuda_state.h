// What the functions of a fake CUDA driver share.
#ifndef KERNELS_CUDA_TESTING_FAKE_CUDA_STATE_H_
#define KERNELS_CUDA_TESTING_FAKE_CUDA_STATE_H_

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/driver.h"
#include "kernels/cuda/testing/fake_cuda.h"
#include "kernels/cuda/testing/fake_memory.h"
#include "kernels/cuda/testing/fake_stream.h"

namespace peft {
namespace kernels {
namespace cuda {

// Shared memory as H100 has it, in bytes.
constexpr int kFakeSharedPerMultiprocessor = 228 << 10;
constexpr int kFakeSharedPerBlock = 227 << 10;
constexpr int kFakeSharedReserved = 1 << 10;

// Handles are the addresses of what the maps own.
struct FakeCuda::State {
  explicit State(const FakeCudaOptions& options_in)
      : options(options_in),
        memory(options_in.memory),
        default_stream(std::make_shared<FakeStream>()) {}

  // Null where the handle is none.
  std::shared_ptr<FakeStream> FindStream(StreamHandle handle) const;
  FakeEvent* FindEvent(EventHandle handle) const;
  // True while any stream captures: of one thread, which this fake takes all
  // threads for.
  bool IsCapturing() const;
  // Runs everything, as cuMemFree and cuCtxSynchronize wait for it.
  void RunAll();
  // "2 streams, 1 event", or "".
  std::string Leaks() const;

  const FakeCudaOptions options;
  // Work runs inside, and may ask for memory or add a defect.
  mutable std::recursive_mutex mutex;
  FakeMemory memory;
  const std::shared_ptr<FakeStream> default_stream;
  std::map<StreamHandle, std::shared_ptr<FakeStream>> streams;
  std::map<EventHandle, std::unique_ptr<FakeEvent>> events;
  std::map<GraphHandle, std::shared_ptr<FakeGraph>> graphs;
  std::map<GraphExecHandle, std::shared_ptr<FakeGraph>> execs;
  std::set<ModuleHandle> modules;
  // What cuFuncSetAttribute has allowed each function.
  std::map<FunctionHandle, int> shared_bytes;
  int next_module = 1;
  int retained = 0;
  int allocations_left = -1;
  double clock = 0;  // milliseconds
  std::vector<std::string> defects;
  std::vector<std::string> launches;
};

// The fake of this process; null while there is none.
extern FakeCuda::State* fake_cuda_state;

// The state, locked while this lives.
class FakeCall {
 public:
  FakeCall() : lock_(fake_cuda_state->mutex) {}
  FakeCuda::State* operator->() const { return fake_cuda_state; }
  FakeCuda::State& operator*() const { return *fake_cuda_state; }
  // True if the thread has a context.
  bool HasContext() const;

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

void FillDeviceFunctions(DriverTable& table);
void FillMemoryFunctions(DriverTable& table);
void FillStreamFunctions(DriverTable& table);
void FillLaunchFunctions(DriverTable& table);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_FAKE_CUDA_STATE_H_
