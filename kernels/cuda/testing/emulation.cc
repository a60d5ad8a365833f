#include "kernels/cuda/testing/emulation.h"

#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int kWarpSize = 32;
constexpr size_t kStackBytes = 64 << 10;
constexpr int kMaxBarriers = 16;
constexpr size_t kCopyBytes = 16;

// Where threads wait for each other. Counts how often it has opened.
struct Barrier {
  int arrived = 0;
  uint64_t opened = 0;
};

struct Warp {
  Barrier barrier;
  // What each thread has brought to a product; two, so that a thread that is
  // ahead does not overwrite what another still reads.
  TileRegisters registers[2][kWarpSize];
  int numbers[2][kWarpSize];
};

// A copy to shared memory that is on its way, and which of its thread's groups
// it belongs to.
struct Copy {
  void* to = nullptr;
  const void* from = nullptr;
  bool inside = false;
  int group = 0;
};

struct Block {
  int index[3] = {};
  Barrier barrier;
  Barrier barriers[kMaxBarriers];
  std::vector<Warp> warps;
  std::vector<uint64_t> shared;
  std::vector<uint64_t> shared_bytes;
};

struct Fibre {
  ucontext_t context = {};
  std::unique_ptr<char[]> stack;
  Block* block = nullptr;
  int thread = 0;
  // How many it has taken part in.
  int products = 0;
  int exchanges = 0;
  std::vector<Copy> copies;
  int groups = 0;  // of copies, that are complete
  bool done = false;
};

// One launch: the fibres of a block, or of all blocks of a cooperative one.
class Launch {
 public:
  Launch(const EmulatedLaunch& launch, void (*body)(const void*),
         const void* argument)
      : launch_(launch), body_(body), argument_(argument) {}

  std::string Run();

  Fibre& current() { return fibres_[current_]; }
  const EmulatedLaunch& launch() const { return launch_; }
  void Arrive(int threads, Barrier& barrier);
  void WaitFor(int threads, Barrier& barrier);
  void Yield();
  void Progress() { stuck_ = 0; }
  void Fail(const std::string& reason) {
    if (error_.empty()) error_ = reason;
  }

 private:
  static void Enter();
  void AddBlock(int64_t number);
  void RunFibres();
  // The next one to run after the current; -1 when all are done.
  int Next() const;
  void SwitchTo(int next);

  const EmulatedLaunch launch_;
  void (*const body_)(const void*);
  const void* const argument_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Fibre> fibres_;
  int current_ = 0;
  // Switches since anything has happened but waiting.
  size_t stuck_ = 0;
  std::string error_;
  ucontext_t outside_ = {};
};

thread_local Launch* running = nullptr;

Warp& CurrentWarp() {
  Fibre& fibre = running->current();
  return fibre.block->warps[fibre.thread / kWarpSize];
}

int CurrentLane() { return running->current().thread % kWarpSize; }

// What all lanes of the warp have brought.
const int (&Exchange(int value))[kWarpSize] {
  Warp& warp = CurrentWarp();
  int(&all)[kWarpSize] = warp.numbers[running->current().exchanges++ % 2];
  all[CurrentLane()] = value;
  running->WaitFor(kWarpSize, warp.barrier);
  return all;
}

std::string Launch::Run() {
  const int64_t blocks =
      int64_t{launch_.grid[0]} * launch_.grid[1] * launch_.grid[2];
  for (int64_t i = 0; i < blocks && error_.empty(); ++i) {
    AddBlock(launch_.backwards ? blocks - 1 - i : i);
    if (launch_.cooperative && i + 1 < blocks) continue;
    RunFibres();
    fibres_.clear();
    blocks_.clear();
  }
  return error_;
}

void Launch::AddBlock(int64_t number) {
  auto block = std::make_unique<Block>();
  for (int i = 0; i < 3; ++i) {
    block->index[i] = static_cast<int>(number % launch_.grid[i]);
    number /= launch_.grid[i];
  }
  block->shared_bytes.assign((launch_.shared_bytes + 7) / 8, ~uint64_t{0});
  const int threads = static_cast<int>(launch_.threads);
  block->warps.resize((threads + kWarpSize - 1) / kWarpSize);
  for (int i = 0; i < threads; ++i) {
    Fibre fibre;
    fibre.stack.reset(new char[kStackBytes]);
    fibre.block = block.get();
    fibre.thread = launch_.backwards ? threads - 1 - i : i;
    fibres_.push_back(std::move(fibre));
  }
  blocks_.push_back(std::move(block));
}

void Launch::Enter() {
  running->body_(running->argument_);
  running->current().done = true;
  running->Progress();
  const int next = running->Next();
  if (next < 0) {
    setcontext(&running->outside_);
  } else {
    running->current_ = next;
    setcontext(&running->current().context);
  }
}

void Launch::RunFibres() {
  for (Fibre& fibre : fibres_) {
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack.get();
    fibre.context.uc_stack.ss_size = kStackBytes;
    fibre.context.uc_link = nullptr;
    makecontext(&fibre.context, Enter, 0);
  }
  current_ = 0;
  stuck_ = 0;
  swapcontext(&outside_, &fibres_[0].context);
}

int Launch::Next() const {
  const int size = static_cast<int>(fibres_.size());
  for (int i = 1; i <= size; ++i) {
    const int next = (current_ + i) % size;
    if (!fibres_[next].done) return next;
  }
  return -1;
}

void Launch::Yield() {
  // Twice round, and nobody has done anything.
  if (++stuck_ > 2 * fibres_.size()) {
    Fail("threads wait for others that never come");
  }
  if (!error_.empty()) {
    // The fibres are left where they are: kernels own nothing.
    swapcontext(&current().context, &outside_);
  }
  Fibre& from = current();
  current_ = Next();
  if (&current() != &from) swapcontext(&from.context, &current().context);
}

void Launch::Arrive(int threads, Barrier& barrier) {
  Progress();
  if (++barrier.arrived < threads) return;
  barrier.arrived = 0;
  ++barrier.opened;
}

void Launch::WaitFor(int threads, Barrier& barrier) {
  const uint64_t opened = barrier.opened;
  Arrive(threads, barrier);
  while (barrier.opened == opened) Yield();
}

}  // namespace

std::string RunThreads(const EmulatedLaunch& launch,
                       void (*body)(const void* argument),
                       const void* argument) {
  Launch run(launch, body, argument);
  running = &run;
  std::string error = run.Run();
  running = nullptr;
  return error;
}

int ThreadIndex() { return running->current().thread; }

int BlockIndex(int dimension) {
  return running->current().block->index[dimension];
}

int GridSize(int dimension) {
  return static_cast<int>(running->launch().grid[dimension]);
}

void SyncThreads() {
  running->WaitFor(static_cast<int>(running->launch().threads),
                   running->current().block->barrier);
}

void SyncAt(int barrier, int threads) {
  running->WaitFor(threads, running->current().block->barriers[barrier]);
}

void ArriveAt(int barrier, int threads) {
  running->Arrive(threads, running->current().block->barriers[barrier]);
}

void SyncWarp() { running->WaitFor(kWarpSize, CurrentWarp().barrier); }

bool AllInWarp(bool value) {
  const int(&all)[kWarpSize] = Exchange(value ? 1 : 0);
  return std::count(all, all + kWarpSize, 1) == kWarpSize;
}

int FromLane(int value, int lane) { return Exchange(value)[lane]; }

int SumOfLanesBefore(int value) {
  const int(&all)[kWarpSize] = Exchange(value);
  int sum = 0;
  for (int i = 0; i < CurrentLane(); ++i) sum += all[i];
  return sum;
}

void CopyAsync(void* to, const void* from, bool inside) {
  if (!IsAligned<kCopyBytes>(static_cast<const char*>(to)) ||
      !IsAligned<kCopyBytes>(static_cast<const char*>(from))) {
    Fail("a copy of 16 bytes that are not aligned");
  }
  Fibre& fibre = running->current();
  // Nobody may count on what is there before the copy was waited for.
  std::memset(to, 0xff, kCopyBytes);
  fibre.copies.push_back({to, from, inside, fibre.groups});
}

void CommitCopies() { ++running->current().groups; }

void WaitForCopies(int pending) {
  Fibre& fibre = running->current();
  const int complete = fibre.groups - pending;
  const auto rest = std::stable_partition(
      fibre.copies.begin(), fibre.copies.end(),
      [complete](const Copy& copy) { return copy.group < complete; });
  std::for_each(fibre.copies.begin(), rest, [](const Copy& copy) {
    if (copy.inside) {
      std::memcpy(copy.to, copy.from, kCopyBytes);
    } else {
      std::memset(copy.to, 0, kCopyBytes);
    }
  });
  fibre.copies.erase(fibre.copies.begin(), rest);
}

void* SharedMemory(size_t bytes) {
  std::vector<uint64_t>& shared = running->current().block->shared;
  const size_t words = (bytes + 7) / 8;
  if (shared.empty()) shared.assign(words, ~uint64_t{0});
  if (shared.size() != words) Fail("threads differ in their shared memory");
  return shared.data();
}

char* SharedBytes() {
  return reinterpret_cast<char*>(running->current().block->shared_bytes.data());
}

void Pause() { running->Yield(); }

void Fail(const std::string& reason) { running->Fail(reason); }

uint32_t AddRelease(uint32_t* address, uint32_t value) {
  running->Progress();
  return std::exchange(*address, *address + value);
}

uint32_t AddRelaxed(uint32_t* address, uint32_t value) {
  return AddRelease(address, value);
}

uint32_t LoadAcquire(const uint32_t* address) { return *address; }

void StoreRelaxed(uint32_t* address, uint32_t value) {
  running->Progress();
  *address = value;
}

// Where the PTX manual has the elements, for m16n8k16 with 16-bit types: of A,
// thread t holds in register i the elements of row t / 4 + i % 2 * 8, from
// column t % 4 * 2 + i / 2 * 8 on; of B in register i those of column t / 4,
// from row t % 4 * 2 + i * 8 on.
void MultiplyTileOf(const TileRegisters& registers, float (*load)(uint16_t),
                    float (&c)[4]) {
  Warp& warp = CurrentWarp();
  TileRegisters(&all)[kWarpSize] =
      warp.registers[running->current().products++ % 2];
  const int lane = CurrentLane();
  all[lane] = registers;
  running->WaitFor(kWarpSize, warp.barrier);
  const auto element = [&](uint32_t word, int k) {
    return load(static_cast<uint16_t>(word >> k % 2 * 16));
  };
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8;
    const int column = lane % 4 * 2 + i % 2;
    for (int k = 0; k < 16; ++k) {
      const TileRegisters& of_a = all[row % 8 * 4 + k % 8 / 2];
      const TileRegisters& of_b = all[column * 4 + k % 8 / 2];
      c[i] +=
          element(of_a.a[row / 8 + k / 8 * 2], k) * element(of_b.b[k / 8], k);
    }
  }
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
