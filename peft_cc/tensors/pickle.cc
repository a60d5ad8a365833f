#include "peft_cc/tensors/pickle.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/pickle_machine.h"

namespace peft {
namespace {

using Kind = PickleValue::Kind;

// A tensor takes about 15 values; this is enough for 250,000 of them, and
// bounds the memory that a small file can ask for.
constexpr size_t kMaxValues = 4u << 20;

}  // namespace

absl::StatusOr<PickleRef> PickleMachine::Run() {
  uint8_t code = 0;
  ByteReader start = reader_;
  if (!start.Read(&code) || code != 0x80) {
    return Error("does not start with a protocol of 2 to 5");
  }
  while (!is_done_) {
    opcode_position_ = reader_.position();
    if (!reader_.Read(&code)) return CutShort();
    const Opcode* opcode = FindOpcode(code);
    if (opcode == nullptr || opcode->handler == nullptr) {
      return PickleRefusedError(absl::StrCat(
          "refused pickle opcode 0x", absl::Hex(code, absl::kZeroPad2), " (",
          opcode == nullptr ? "unknown" : opcode->name, ") at byte ",
          opcode_position_, ": tensors do not need it"));
    }
    PEFT_RETURN_IF_ERROR((this->*opcode->handler)());
    if (heap_.size() > kMaxValues) {
      return Error(absl::StrCat("has more than ", kMaxValues, " values"));
    }
  }
  return stack_.back();
}

absl::Status PickleMachine::Error(absl::string_view problem) const {
  return TorchFileError(
      absl::StrCat("pickle ", problem, " (at byte ", opcode_position_, ")"));
}

absl::Status PickleMachine::Need(size_t count) const {
  if (NumAvailable() >= count) return absl::OkStatus();
  return Error("takes more values than there are");
}

absl::Status PickleMachine::Push(PickleValue value) {
  stack_.push_back(heap_.Add(std::move(value)));
  return absl::OkStatus();
}

PickleRef PickleMachine::Pop() {
  const PickleRef ref = stack_.back();
  stack_.pop_back();
  return ref;
}

std::vector<PickleRef> PickleMachine::PopMany(size_t count) {
  std::vector<PickleRef> items(stack_.end() - count, stack_.end());
  stack_.resize(stack_.size() - count);
  return items;
}

absl::StatusOr<std::vector<PickleRef>> PickleMachine::PopToMark() {
  if (marks_.empty()) return Error("has no mark where one is needed");
  std::vector<PickleRef> items = PopMany(NumAvailable());
  marks_.pop_back();
  return items;
}

absl::Status PickleMachine::PushTuple(size_t count) {
  PEFT_RETURN_IF_ERROR(Need(count));
  return Push({Kind::kTuple, 0, {}, PopMany(count)});
}

absl::Status PickleMachine::AppendToList(const std::vector<PickleRef>& items) {
  PEFT_RETURN_IF_ERROR(Need(1));
  PickleValue& list = heap_.Get(stack_.back());
  if (list.kind != Kind::kList) {
    return Error(
        absl::StrCat("appends to ", PickleKindName(list.kind), ", not a list"));
  }
  list.items.insert(list.items.end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status PickleMachine::AddToDict(const std::vector<PickleRef>& items) {
  PEFT_RETURN_IF_ERROR(Need(1));
  PickleValue& dict = heap_.Get(stack_.back());
  if (dict.kind != Kind::kDict && dict.kind != Kind::kOrdered) {
    return Error(absl::StrCat("sets items of ", PickleKindName(dict.kind),
                              ", not a dict"));
  }
  if (items.size() % 2 != 0) return Error("sets a key without a value");
  dict.items.insert(dict.items.end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status PickleMachine::SetMemo(uint32_t index) {
  PEFT_RETURN_IF_ERROR(Need(1));
  memo_[index] = stack_.back();
  return absl::OkStatus();
}

bool PickleMachine::ReadLine(absl::string_view* out) {
  ByteReader ahead = reader_;
  uint64_t size = 0;
  uint8_t byte = 0;
  while (ahead.Read(&byte) && byte != '\n') ++size;
  if (byte != '\n') return false;
  absl::Span<const uint8_t> line;
  reader_.ReadBytes(size, &line);
  reader_ = ahead;
  *out = {reinterpret_cast<const char*>(line.data()), line.size()};
  return true;
}

absl::Status PickleMachine::PushGlobal(absl::string_view module,
                                       absl::string_view name) {
  PEFT_ASSIGN_OR_RETURN(PickleValue value, host_.FindGlobal(module, name));
  return Push(std::move(value));
}

absl::string_view PickleKindName(PickleValue::Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "a bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "an int";
    case Kind::kFloat:
      return "a float";
    case Kind::kString:
      return "a string";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dict";
    case Kind::kOrdered:
      return "an OrderedDict";
    case Kind::kGlobal:
      return "a global";
    case Kind::kStorage:
      return "a storage";
    case Kind::kTensor:
      return "a tensor";
  }
  return "a value";
}

absl::Status TorchFileError(absl::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTorchFile,
                   message);
}

absl::Status PickleRefusedError(absl::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kPickleRefused,
                   message);
}

absl::StatusOr<PickleRef> RunPickle(ByteReader& reader, PickleHost& host,
                                    PickleHeap& heap) {
  return PickleMachine(reader, host, heap).Run();
}

}  // namespace peft
