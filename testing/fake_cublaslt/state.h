// What the parts of the fake share: the contents of its descriptors, and how a
// call is refused.
#ifndef TESTING_FAKE_CUBLASLT_STATE_H_
#define TESTING_FAKE_CUBLASLT_STATE_H_

#include <cstdint>
#include <string>

#include "kernels/cuda/lt/abi.h"
#include "testing/fake_cublaslt/fake_cublaslt.h"

namespace peft {
namespace testing {
namespace lt {

using namespace kernels::cuda;  // NOLINT: the fake is made of its names.

// Each lies in the words of the library's descriptor. A descriptor that was not
// initialised has another magic number.
constexpr uint32_t kMagic = 0x4c54464b;

struct Layout {
  uint32_t magic;
  LtDataType type;
  LtOrder order;
  int32_t batch_count;
  // Of groups: where in device memory each has its own.
  uint64_t rows;
  uint64_t cols;
  int64_t ld;
  int64_t batch_stride;
  LtBatchMode mode = LtBatchMode::kStrided;
  LtIntegerWidth sizes_width = LtIntegerWidth::k32;
  LtIntegerWidth ld_width = LtIntegerWidth::k32;
};

struct Desc {
  uint32_t magic;
  LtCompute compute;
  LtDataType scale_type;
  LtPointerMode pointer_mode;
  LtOperation trans_a;
  LtOperation trans_b;
  LtOperation trans_c;
  LtEpilogue epilogue;
  int32_t bias_type;  // -1: that of D
  const void* bias;
  int64_t bias_batch_stride;
};

struct Preference {
  uint32_t magic;
  uint32_t search_mode;
  uint32_t reduction_mask;
  uint32_t alignment[4];  // of A, B, C, D
  uint64_t workspace_bytes;
  uint64_t grouped_average[3] = {};
};

// By LtAlgoAttribute. The wide algorithms load 16 bytes at once.
enum AlgoId : int32_t { kPlain = 0, kWide = 1, kSplitK = 2, kNumAlgos = 3 };
struct Algo {
  uint32_t magic;
  uint32_t version;  // of the library
  uint32_t config[9];
};

template <typename Contents, typename Descriptor>
Contents* As(Descriptor* descriptor) {
  static_assert(sizeof(Contents) <= sizeof(Descriptor), "does not fit");
  return reinterpret_cast<Contents*>(descriptor);
}
template <typename Contents, typename Descriptor>
const Contents* As(const Descriptor* descriptor) {
  static_assert(sizeof(Contents) <= sizeof(Descriptor), "does not fit");
  return reinterpret_cast<const Contents*>(descriptor);
}

const FakeCublasLtSettings& Settings();

// Why the last call was refused on this thread, or "".
const std::string& Reason();
// Notes `reason` for peft_fake_cublaslt_reason and returns `status`.
LtStatus Refuse(LtStatus status, const std::string& reason);
// The opposite.
LtStatus Accept();

bool IsHandle(LtHandleType handle);

// The descriptors of one product.
struct Problem {
  const Desc* desc;
  const Layout* a;
  const Layout* b;
  const Layout* c;
  const Layout* d;

  // Sizes of D, and what is summed over.
  int64_t m() const { return static_cast<int64_t>(d->rows); }
  int64_t n() const { return static_cast<int64_t>(d->cols); }
  int64_t k() const {
    return static_cast<int64_t>(desc->trans_a == LtOperation::kNone ? a->cols
                                                                    : a->rows);
  }
};

// Whether a matrix of the product is one of groups.
bool IsGrouped(const Problem& problem);

int64_t SizeOf(LtDataType type);
inline bool HasBias(const Desc& desc) {
  return (static_cast<uint32_t>(desc.epilogue) &
          static_cast<uint32_t>(LtEpilogue::kBias)) != 0;
}
// Bytes from the first to the last element of all matrices of a batch.
int64_t ExtentOf(const Layout& layout);

// Whether the descriptors go together, and are in the fake's repertoire.
LtStatus CheckProblem(const Problem& problem);

// Whether the algorithm can compute the problem; its workspace then.
LtStatus CheckAlgo(const Problem& problem, const Algo& algo,
                   int64_t* workspace_bytes);

// Where the host finds device memory; null where it is none.
void* Resolve(const void* address, int64_t bytes);

// The memory that an algorithm reads and writes.
struct Operands {
  const void* alpha;
  const void* a;
  const void* b;
  const void* beta;
  const void* c;
  void* d;
  void* workspace;
  int64_t workspace_bytes;
  StreamHandle stream;
};

// A range of memory that a product reads or writes.
struct Range {
  const char* name;
  const char* begin;
  int64_t bytes;

  bool Overlaps(const Range& other) const {
    return begin < other.begin + other.bytes && other.begin < begin + bytes;
  }
};
// Whether it is device memory at a multiple of `alignment`.
LtStatus CheckRange(const Range& range, int64_t alignment);
LtStatus CheckWorkspace(const Operands& operands, int64_t needed);
// alpha and beta: those in device memory are memory like all else.
LtStatus CheckScales(const Problem& problem, const Operands& operands);

// Whether they may be used for it.
LtStatus CheckOperands(const Problem& problem, const Algo& algo,
                       const Operands& operands);

// Lets other streams have the workspaces that were used.
void ForgetWorkspaces();

// The same two of groups, whose matrices are looked at when they are
// multiplied: the matrices of `operands` are arrays of addresses in device
// memory.
LtStatus CheckGroupedProblem(const Problem& problem);
LtStatus CheckGroupedOperands(const Problem& problem, const Operands& operands);
int64_t GroupedWorkspaceBytes(const Problem& problem);
void MultiplyGroups(const Problem& problem, const Operands& operands);

// Takes what has gone wrong in a product that runs.
void Defect(const char* text);

// Computes, with operands of the device. alpha and beta are read as the pointer
// mode says.
void Multiply(const Problem& problem, const Algo& algo,
              const Operands& operands);

}  // namespace lt
}  // namespace testing
}  // namespace peft

#endif  // TESTING_FAKE_CUBLASLT_STATE_H_
