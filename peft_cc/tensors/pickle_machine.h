// The state of a pickle that is being read. Private to pickle.cc, which has
// what handles values, and pickle_opcodes.cc, which has the opcodes.
#ifndef PEFT_CC_TENSORS_PICKLE_MACHINE_H_
#define PEFT_CC_TENSORS_PICKLE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/tensors/byte_reader.h"
#include "peft_cc/tensors/pickle.h"

namespace peft {

// Runs one pickle, see RunPickle. Thread-compatible.
class PickleMachine {
 public:
  // Borrows all three.
  PickleMachine(ByteReader& reader, PickleHost& host, PickleHeap& heap)
      : reader_(reader), host_(host), heap_(heap) {}

  // Reads to STOP and returns the one value that is left. Once only.
  absl::StatusOr<PickleRef> Run();

 private:
  using Kind = PickleValue::Kind;
  using Handler = absl::Status (PickleMachine::*)();

  struct Opcode {
    uint8_t code;
    const char* name;
    Handler handler;  // null: refused
  };

  static const Opcode kOpcodes[];
  static const Opcode* FindOpcode(uint8_t code);

  // -- Opcodes, by their names in pickletools ------------------------------
  absl::Status Proto();
  absl::Status Frame();
  absl::Status Stop();
  absl::Status Mark();
  absl::Status None() { return Push({Kind::kNone}); }
  absl::Status NewTrue() { return Push({Kind::kBool, 1}); }
  absl::Status NewFalse() { return Push({Kind::kBool, 0}); }
  absl::Status BinInt() { return PushInteger<int32_t>(); }
  absl::Status BinInt1() { return PushInteger<uint8_t>(); }
  absl::Status BinInt2() { return PushInteger<uint16_t>(); }
  absl::Status Long1();
  absl::Status BinFloat();
  absl::Status ShortBinString() { return PushString<uint8_t>(); }
  absl::Status BinUnicode() { return PushString<uint32_t>(); }
  absl::Status BinUnicode8() { return PushString<uint64_t>(); }
  absl::Status EmptyTuple() { return Push({Kind::kTuple}); }
  absl::Status Tuple1() { return PushTuple(1); }
  absl::Status Tuple2() { return PushTuple(2); }
  absl::Status Tuple3() { return PushTuple(3); }
  absl::Status Tuple();
  absl::Status EmptyList() { return Push({Kind::kList}); }
  absl::Status Append();
  absl::Status Appends();
  absl::Status EmptyDict() { return Push({Kind::kDict}); }
  absl::Status SetItem();
  absl::Status SetItems();
  absl::Status BinPut() { return PutMemo<uint8_t>(); }
  absl::Status LongBinPut() { return PutMemo<uint32_t>(); }
  absl::Status Memoize();
  absl::Status BinGet() { return GetMemo<uint8_t>(); }
  absl::Status LongBinGet() { return GetMemo<uint32_t>(); }
  absl::Status Global();
  absl::Status StackGlobal();
  absl::Status Reduce();
  absl::Status Build();
  absl::Status BinPersId();

  // -- What they are made of ----------------------------------------------
  absl::Status Error(absl::string_view problem) const;
  absl::Status CutShort() const { return Error("ends in the middle"); }

  template <typename T>
  absl::Status PushInteger();
  template <typename Size>
  absl::Status PushString();
  template <typename Index>
  absl::Status PutMemo();
  template <typename Index>
  absl::Status GetMemo();

  // Values above the last mark, which are all that an opcode may take.
  size_t NumAvailable() const {
    return stack_.size() - (marks_.empty() ? 0 : marks_.back());
  }
  absl::Status Need(size_t count) const;
  absl::Status Push(PickleValue value);
  absl::Status PushTuple(size_t count);
  PickleRef Pop();
  std::vector<PickleRef> PopMany(size_t count);
  absl::StatusOr<std::vector<PickleRef>> PopToMark();
  absl::Status AppendToList(const std::vector<PickleRef>& items);
  absl::Status AddToDict(const std::vector<PickleRef>& items);
  absl::Status SetMemo(uint32_t index);
  absl::Status PushGlobal(absl::string_view module, absl::string_view name);
  bool ReadLine(absl::string_view* out);

  ByteReader& reader_;
  PickleHost& host_;
  PickleHeap& heap_;
  uint64_t opcode_position_ = 0;
  bool is_done_ = false;
  std::vector<PickleRef> stack_;
  std::vector<size_t> marks_;  // sizes of the stack where MARK stood
  std::unordered_map<uint32_t, PickleRef> memo_;
};

}  // namespace peft

#endif  // PEFT_CC_TENSORS_PICKLE_MACHINE_H_
