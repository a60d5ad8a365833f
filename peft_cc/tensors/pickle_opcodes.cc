// The opcodes that pickle.h knows.
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/pickle.h"
#include "peft_cc/tensors/pickle_machine.h"

namespace peft {
namespace {

// Nested marks: three are open inside the size of a tensor in a dict.
constexpr size_t kMaxMarks = 64;

constexpr int kMinProtocol = 2;
constexpr int kMaxProtocol = 5;

}  // namespace

const PickleMachine::Opcode PickleMachine::kOpcodes[] = {
    {0x80, "PROTO", &PickleMachine::Proto},
    {0x95, "FRAME", &PickleMachine::Frame},
    {'.', "STOP", &PickleMachine::Stop},
    {'(', "MARK", &PickleMachine::Mark},
    {'N', "NONE", &PickleMachine::None},
    {0x88, "NEWTRUE", &PickleMachine::NewTrue},
    {0x89, "NEWFALSE", &PickleMachine::NewFalse},
    {'J', "BININT", &PickleMachine::BinInt},
    {'K', "BININT1", &PickleMachine::BinInt1},
    {'M', "BININT2", &PickleMachine::BinInt2},
    {0x8a, "LONG1", &PickleMachine::Long1},
    {'G', "BINFLOAT", &PickleMachine::BinFloat},
    {'U', "SHORT_BINSTRING", &PickleMachine::ShortBinString},
    {'T', "BINSTRING", &PickleMachine::BinUnicode},
    {'X', "BINUNICODE", &PickleMachine::BinUnicode},
    {0x8c, "SHORT_BINUNICODE", &PickleMachine::ShortBinString},
    {0x8d, "BINUNICODE8", &PickleMachine::BinUnicode8},
    {')', "EMPTY_TUPLE", &PickleMachine::EmptyTuple},
    {0x85, "TUPLE1", &PickleMachine::Tuple1},
    {0x86, "TUPLE2", &PickleMachine::Tuple2},
    {0x87, "TUPLE3", &PickleMachine::Tuple3},
    {'t', "TUPLE", &PickleMachine::Tuple},
    {']', "EMPTY_LIST", &PickleMachine::EmptyList},
    {'a', "APPEND", &PickleMachine::Append},
    {'e', "APPENDS", &PickleMachine::Appends},
    {'}', "EMPTY_DICT", &PickleMachine::EmptyDict},
    {'s', "SETITEM", &PickleMachine::SetItem},
    {'u', "SETITEMS", &PickleMachine::SetItems},
    {'q', "BINPUT", &PickleMachine::BinPut},
    {'r', "LONG_BINPUT", &PickleMachine::LongBinPut},
    {0x94, "MEMOIZE", &PickleMachine::Memoize},
    {'h', "BINGET", &PickleMachine::BinGet},
    {'j', "LONG_BINGET", &PickleMachine::LongBinGet},
    {'c', "GLOBAL", &PickleMachine::Global},
    {0x93, "STACK_GLOBAL", &PickleMachine::StackGlobal},
    {'R', "REDUCE", &PickleMachine::Reduce},
    {'b', "BUILD", &PickleMachine::Build},
    {'Q', "BINPERSID", &PickleMachine::BinPersId},
    // Known by name, for the message. What has no line here has no business
    // in any pickle of protocol 2 to 5.
    {'0', "POP", nullptr},
    {'1', "POP_MARK", nullptr},
    {'2', "DUP", nullptr},
    {'F', "FLOAT", nullptr},
    {'I', "INT", nullptr},
    {'L', "LONG", nullptr},
    {0x8b, "LONG4", nullptr},
    {'P', "PERSID", nullptr},
    {'S', "STRING", nullptr},
    {'V', "UNICODE", nullptr},
    {'B', "BINBYTES", nullptr},
    {'C', "SHORT_BINBYTES", nullptr},
    {0x8e, "BINBYTES8", nullptr},
    {0x96, "BYTEARRAY8", nullptr},
    {0x97, "NEXT_BUFFER", nullptr},
    {0x98, "READONLY_BUFFER", nullptr},
    {'d', "DICT", nullptr},
    {'l', "LIST", nullptr},
    {'g', "GET", nullptr},
    {'p', "PUT", nullptr},
    {'i', "INST", nullptr},
    {'o', "OBJ", nullptr},
    {0x81, "NEWOBJ", nullptr},
    {0x92, "NEWOBJ_EX", nullptr},
    {0x82, "EXT1", nullptr},
    {0x83, "EXT2", nullptr},
    {0x84, "EXT4", nullptr},
    {0x8f, "EMPTY_SET", nullptr},
    {0x90, "ADDITEMS", nullptr},
    {0x91, "FROZENSET", nullptr},
};

const PickleMachine::Opcode* PickleMachine::FindOpcode(uint8_t code) {
  static const auto* const table = [] {
    auto* entries = new const Opcode*[256]();
    for (const Opcode& opcode : kOpcodes) entries[opcode.code] = &opcode;
    return entries;
  }();
  return table[code];
}

absl::Status PickleMachine::Proto() {
  uint8_t protocol = 0;
  if (!reader_.Read(&protocol)) return CutShort();
  if (protocol >= kMinProtocol && protocol <= kMaxProtocol) {
    return absl::OkStatus();
  }
  return Error(absl::StrCat("has protocol ", protocol, ", expected 2 to 5"));
}

// Frames only tell a stream how much to read ahead.
absl::Status PickleMachine::Frame() {
  uint64_t size = 0;
  if (!reader_.Read(&size) || size > reader_.remaining()) return CutShort();
  return absl::OkStatus();
}

absl::Status PickleMachine::Stop() {
  if (!marks_.empty() || stack_.size() != 1) {
    return Error(absl::StrCat("ends with ", stack_.size(), " values and ",
                              marks_.size(), " open marks, expected 1 and 0"));
  }
  is_done_ = true;
  return absl::OkStatus();
}

absl::Status PickleMachine::Mark() {
  if (marks_.size() == kMaxMarks) {
    return Error(absl::StrCat("is nested deeper than ", kMaxMarks, " levels"));
  }
  marks_.push_back(stack_.size());
  return absl::OkStatus();
}

template <typename T>
absl::Status PickleMachine::PushInteger() {
  T value = 0;
  if (!reader_.Read(&value)) return CutShort();
  return Push({Kind::kInt, value});
}

absl::Status PickleMachine::Long1() {
  uint8_t size = 0;
  absl::Span<const uint8_t> bytes;
  if (!reader_.Read(&size) || !reader_.ReadBytes(size, &bytes)) {
    return CutShort();
  }
  if (size > sizeof(int64_t)) {
    return Push({Kind::kBigInt,
                 0,
                 {reinterpret_cast<const char*>(bytes.data()), bytes.size()}});
  }
  // The last byte carries the sign.
  uint64_t value = size > 0 && (bytes[size - 1] & 0x80) != 0 ? UINT64_MAX : 0;
  for (int i = size - 1; i >= 0; --i) value = (value << 8) | bytes[i];
  return Push({Kind::kInt, static_cast<int64_t>(value)});
}

absl::Status PickleMachine::BinFloat() {
  uint64_t bits = 0;
  if (!reader_.Read(&bits)) return CutShort();
  return Push({Kind::kFloat});
}

template <typename Size>
absl::Status PickleMachine::PushString() {
  Size size = 0;
  absl::Span<const uint8_t> bytes;
  if (!reader_.Read(&size) || !reader_.ReadBytes(size, &bytes)) {
    return CutShort();
  }
  return Push({Kind::kString,
               0,
               {reinterpret_cast<const char*>(bytes.data()), bytes.size()}});
}

absl::Status PickleMachine::Tuple() {
  PEFT_ASSIGN_OR_RETURN(std::vector<PickleRef> items, PopToMark());
  return Push({Kind::kTuple, 0, {}, std::move(items)});
}

absl::Status PickleMachine::Append() {
  PEFT_RETURN_IF_ERROR(Need(2));
  return AppendToList(PopMany(1));
}

absl::Status PickleMachine::Appends() {
  PEFT_ASSIGN_OR_RETURN(const std::vector<PickleRef> items, PopToMark());
  return AppendToList(items);
}

absl::Status PickleMachine::SetItem() {
  PEFT_RETURN_IF_ERROR(Need(3));
  return AddToDict(PopMany(2));
}

absl::Status PickleMachine::SetItems() {
  PEFT_ASSIGN_OR_RETURN(const std::vector<PickleRef> items, PopToMark());
  return AddToDict(items);
}

template <typename Index>
absl::Status PickleMachine::PutMemo() {
  Index index = 0;
  if (!reader_.Read(&index)) return CutShort();
  return SetMemo(index);
}

absl::Status PickleMachine::Memoize() {
  return SetMemo(static_cast<uint32_t>(memo_.size()));
}

template <typename Index>
absl::Status PickleMachine::GetMemo() {
  Index index = 0;
  if (!reader_.Read(&index)) return CutShort();
  const auto found = memo_.find(index);
  if (found == memo_.end()) {
    return Error(absl::StrCat("gets memo ", index, ", which was never put"));
  }
  stack_.push_back(found->second);
  return absl::OkStatus();
}

absl::Status PickleMachine::Global() {
  absl::string_view module;
  absl::string_view name;
  if (!ReadLine(&module) || !ReadLine(&name)) return CutShort();
  return PushGlobal(module, name);
}

absl::Status PickleMachine::StackGlobal() {
  PEFT_RETURN_IF_ERROR(Need(2));
  const PickleValue& name = heap_.Get(Pop());
  const PickleValue& module = heap_.Get(Pop());
  if (module.kind != Kind::kString || name.kind != Kind::kString) {
    return Error("names a global by something that is no string");
  }
  return PushGlobal(module.text, name.text);
}

absl::Status PickleMachine::Reduce() {
  PEFT_RETURN_IF_ERROR(Need(2));
  const PickleRef arguments = Pop();
  const PickleRef global = Pop();
  if (heap_.Get(global).kind != Kind::kGlobal ||
      heap_.Get(arguments).kind != Kind::kTuple) {
    return Error(absl::StrCat("calls ", PickleKindName(heap_.Get(global).kind),
                              " with ",
                              PickleKindName(heap_.Get(arguments).kind),
                              ", expected a global with a tuple"));
  }
  PEFT_ASSIGN_OR_RETURN(const PickleRef result,
                        host_.Call(heap_, global, arguments));
  stack_.push_back(result);
  return absl::OkStatus();
}

// State dicts are OrderedDicts with an attribute `_metadata`: dropped.
absl::Status PickleMachine::Build() {
  PEFT_RETURN_IF_ERROR(Need(2));
  Pop();
  const Kind kind = heap_.Get(stack_.back()).kind;
  if (kind == Kind::kOrdered) return absl::OkStatus();
  return PickleRefusedError(absl::StrCat(
      "refused pickle opcode BUILD on ", PickleKindName(kind), " at byte ",
      opcode_position_, ": only an OrderedDict may have attributes"));
}

absl::Status PickleMachine::BinPersId() {
  PEFT_RETURN_IF_ERROR(Need(1));
  const PickleRef id = Pop();
  PEFT_ASSIGN_OR_RETURN(const PickleRef result,
                        host_.LoadPersistent(heap_, id));
  stack_.push_back(result);
  return absl::OkStatus();
}

}  // namespace peft
