// A bounded interpreter for a part of pickle: what is needed to describe a
// dict of tensors, protocols 2 to 5. It builds values in a heap of its own and
// never runs anything; names of classes and functions go to a host that knows
// the few it allows. Format: CPython's Lib/pickletools.py.
#ifndef PEFT_CC_TENSORS_PICKLE_H_
#define PEFT_CC_TENSORS_PICKLE_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peft_cc/tensors/byte_reader.h"

namespace peft {

// Refers to a value in a PickleHeap.
using PickleRef = uint32_t;

// One value of any kind that the machine knows.
struct PickleValue {
  // What the value is, and which of the fields below belong to it.
  enum class Kind : uint8_t {
    kNone,
    kBool,     // number
    kInt,      // number
    kBigInt,   // text: two's complement, little-endian, more than 8 bytes
    kFloat,    // no value: nothing needs one
    kString,   // text
    kTuple,    // items
    kList,     // items
    kDict,     // items: key, value, key, value ...
    kOrdered,  // the same, an OrderedDict
    kGlobal,   // number: the host's
    kStorage,  // number: the host's
    kTensor,   // number: the host's
  };

  Kind kind = Kind::kNone;
  int64_t number = 0;
  absl::string_view text = {};  // in the bytes that are being read
  std::vector<PickleRef> items = {};
};

// "a string", "an OrderedDict" ...
absl::string_view PickleKindName(PickleValue::Kind kind);

// All values of a pickle. They refer to each other by number, so that cycles
// and deep nesting cost nothing at the end. References to values stay valid.
class PickleHeap {
 public:
  // Stores a value for as long as the heap lives.
  PickleRef Add(PickleValue value) {
    values_.push_back(std::move(value));
    return static_cast<PickleRef>(values_.size() - 1);
  }
  // The value of a reference that Add has returned.
  PickleValue& Get(PickleRef ref) { return values_[ref]; }
  const PickleValue& Get(PickleRef ref) const { return values_[ref]; }
  // Values added so far.
  size_t size() const { return values_.size(); }

 private:
  std::deque<PickleValue> values_;
};

// Decides what names and persistent ids mean.
class PickleHost {
 public:
  virtual ~PickleHost() = default;

  // The value of the global `module`.`name`; an error refuses it.
  virtual absl::StatusOr<PickleValue> FindGlobal(absl::string_view module,
                                                 absl::string_view name) = 0;

  // The result of calling a global with `arguments`, a tuple.
  virtual absl::StatusOr<PickleRef> Call(PickleHeap& heap, PickleRef global,
                                         PickleRef arguments) = 0;

  // The object that a persistent id stands for.
  virtual absl::StatusOr<PickleRef> LoadPersistent(PickleHeap& heap,
                                                   PickleRef id) = 0;
};

// An error of a torch file: INVALID_ARGUMENT (TORCH_FILE).
absl::Status TorchFileError(absl::string_view message);

// As above for what is refused rather than broken (PICKLE_REFUSED).
absl::Status PickleRefusedError(absl::string_view message);

// Reads one pickle from the position of `reader`, which ends behind it, and
// returns its value. Fails with INVALID_ARGUMENT: PICKLE_REFUSED for opcodes
// outside the set, TORCH_FILE for what is broken or passes a limit, or the
// host's errors. Messages say at which byte of the reader's data.
absl::StatusOr<PickleRef> RunPickle(ByteReader& reader, PickleHost& host,
                                    PickleHeap& heap);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_PICKLE_H_
