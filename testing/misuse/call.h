// One call: draws its arguments, good or bad, keeps their memory and checks
// what the call wrote. Every argument lies in a block of exactly its size, so
// that the address sanitizer sees what is read or written beyond, and the
// blocks end with the call, so that it sees what is used later.
//
// What a program can get wrong without the library being able to see it is not
// drawn: pointers to nowhere, and counts that are larger than the array but not
// absurd.
#ifndef TESTING_MISUSE_CALL_H_
#define TESTING_MISUSE_CALL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_c/peft_c.h"
#include "testing/misuse/run.h"
#include "testing/misuse/structs.h"

namespace peft {

// The index of a handle's type in HandleInfos; specialised in handle_kinds.h,
// which is made of the header.
template <typename Handle>
struct KindOf;

// What a text is used for.
enum class TextUse { kAny, kName, kPath, kNewPath, kConfig };

// Draws arguments in the order of its calls, then Finish makes the call. Lives
// for one call, on the thread of its run.
class Call {
 public:
  Call(Run& run, const char* function);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  Run& run() { return run_; }
  Random& random() { return run_.random(); }

  // Whether a struct's field is to be something else than its default.
  bool Changes() { return random().Percent(25); }

  // -- Plain arguments --------------------------------------------------------

  template <typename Handle>
  Handle* AHandle(const char* name) {
    return static_cast<Handle*>(DrawHandle(name, KindOf<Handle>::kIndex));
  }

  // `constants`: the good values, as far as they are known.
  template <typename Value>
  Value Number(const char* name, const std::vector<int32_t>& constants = {});

  const char* Text(const char* name, TextUse use);

  // A number of elements, which is remembered under its name.
  size_t Count(const char* name);
  size_t CountOf(const std::string& name) const;

  // -- Arrays: null, or as many elements as `count` says ----------------------

  template <typename Value>
  const Value* Numbers(const char* name, size_t count);
  const char* const* Texts(const char* name, size_t count, TextUse use);
  template <typename Handle>
  const Handle* const* Handles(const char* name, size_t count);
  const void* Bytes(const char* name, size_t size);
  template <typename Struct>
  const Struct* Structs(const char* name, size_t count);

  // -- Structs ----------------------------------------------------------------

  template <typename Struct>
  const Struct* AStruct(const char* name, bool is_optional);

  // Memory for a struct that a function fills with defaults.
  template <typename Struct>
  Struct* InitTarget(const char* name, size_t struct_size);

  // The struct goes as it is: it was written with all that it has.
  void KeepSize() { keep_size_ = true; }

  // The memory of all arguments stays until the end of the run.
  void KeepMemory() { keep_memory_ = true; }

  // -- Callbacks --------------------------------------------------------------

  template <typename Function>
  Function Callback(const char* name);
  void* user_data() { return &run_; }

  // -- Out parameters ---------------------------------------------------------

  template <typename Handle>
  Handle** OutHandle(const char* name);
  template <typename Struct>
  Struct* OutStruct(const char* name);
  template <typename Value>
  Value* OutNumber(const char* name);
  DLManagedTensor** OutDLManagedTensor(const char* name);

  // -- The call itself --------------------------------------------------------

  // The function frees this handle.
  template <typename Handle>
  void Frees(Handle* handle) {
    after_.push_back([this, handle](bool) {
      const size_t kind = KindOf<Handle>::kIndex;
      run_.PoolOf(kind).Freed(kind, handle);
    });
  }

  // Calls `function` and checks what it gives back.
  template <typename Function>
  void Finish(const Function& function);

  // -- For Adjust -------------------------------------------------------------

  // `size` bytes that end with the call. Never null.
  char* Allocate(size_t size);

  // Runs when the call has returned.
  void AtEnd(std::function<void(bool success)> function) {
    after_.push_back(std::move(function));
  }

  void Note(const std::string& text) { line_ += text; }

  // Reads memory that the library lent.
  void Touch(const void* data, size_t size);
  void TouchText(const char* text);

  // What is borrowed from an object that other threads may free, or use, is
  // not read.
  bool may_read() const { return !uses_shared_; }

 private:
  using After = std::function<void(bool success)>;

  void* DrawHandle(const char* name, size_t kind);
  void* DrawBadHandle(size_t kind);
  std::string DrawText(TextUse use);
  double DrawReal();
  int64_t DrawInteger();
  size_t DrawStructSize(size_t size);

  // A struct of `size` bytes that holds `known`, cut or followed by zeroes or
  // by something else.
  char* CopyStruct(const void* known, size_t known_size, size_t size);

  void Invoke(const std::function<void()>& function);
  void End(bool success);

  bool Check(peft_status_t* status) { return run_.Take(status); }
  bool Check(const char* text);
  bool Check(const int64_t* values);
  template <typename Value,
            typename = std::enable_if_t<std::is_arithmetic_v<Value>>>
  bool Check(Value) {
    return true;
  }

  Run& run_;
  const char* const function_;
  std::string line_;
  std::map<std::string, size_t> counts_;
  std::vector<std::unique_ptr<char[]>> memory_;
  std::vector<After> after_;
  bool keep_size_ = false;
  bool keep_memory_ = false;
  bool uses_shared_ = false;
  // What the function wrote to the last OutNumber of type size_t.
  const size_t* out_size_ = nullptr;
};

// A callback's types are few, and what each may do differs: callbacks.cc. A new
// one without its own does not link.
template <>
peft_log_fn Call::Callback(const char* name);
template <>
peft_download_fn Call::Callback(const char* name);
template <>
peft_transport_fn Call::Callback(const char* name);
template <>
peft_token_fn Call::Callback(const char* name);
template <>
peft_allocate_fn Call::Callback(const char* name);
template <>
peft_deallocate_fn Call::Callback(const char* name);
template <>
peft_parallel_for_fn Call::Callback(const char* name);
template <>
peft_read_fn Call::Callback(const char* name);

// -- Implementation -----------------------------------------------------------

template <typename Value>
Value Call::Number(const char* name, const std::vector<int32_t>& constants) {
  Value value;
  if (std::is_floating_point_v<Value>) {
    value = static_cast<Value>(DrawReal());
  } else if (!constants.empty() && !random().Percent(20)) {
    value = static_cast<Value>(random().Of(constants));
  } else {
    value = static_cast<Value>(DrawInteger());
  }
  Note(absl::StrCat(name, "=", value, " "));
  return value;
}

template <typename Value>
const Value* Call::Numbers(const char* name, size_t count) {
  if (count > 0 && random().Percent(5)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  // Absurd counts: the library must not look.
  const size_t real = count > 4096 ? 1 : count;
  auto* values = reinterpret_cast<Value*>(Allocate(real * sizeof(Value)));
  Note(absl::StrCat(name, "={ "));
  for (size_t i = 0; i < real; ++i) {
    values[i] = random().Percent(70) ? static_cast<Value>(random().Below(4))
                                     : Number<Value>("");
  }
  Note("} ");
  return values;
}

template <typename Handle>
const Handle* const* Call::Handles(const char* name, size_t count) {
  if (count > 0 && random().Percent(5)) return nullptr;
  const size_t real = count > 4096 ? 1 : count;
  auto* handles =
      reinterpret_cast<const Handle**>(Allocate(real * sizeof(Handle*)));
  Note(absl::StrCat(name, "={ "));
  for (size_t i = 0; i < real; ++i) handles[i] = AHandle<Handle>("");
  Note("} ");
  return handles;
}

template <typename Struct>
const Struct* Call::AStruct(const char* name, bool is_optional) {
  if (random().Percent(is_optional ? 40 : 5)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  Note(absl::StrCat(name, "={ "));
  Struct known = Defaults<Struct>();
  Fill(*this, known);
  Adjust(*this, known);
  const size_t size =
      keep_size_ ? sizeof(Struct) : DrawStructSize(sizeof(Struct));
  keep_size_ = false;
  Note(absl::StrCat("struct_size=", size, " } "));
  return reinterpret_cast<const Struct*>(
      CopyStruct(&known, sizeof(known), size));
}

template <typename Struct>
const Struct* Call::Structs(const char* name, size_t count) {
  if (count > 4096) return reinterpret_cast<const Struct*>(Allocate(1));
  if (count > 0 && random().Percent(5)) return nullptr;
  const size_t size =
      random().Percent(90) ? sizeof(Struct) : sizeof(Struct) + 8;
  char* const memory = Allocate(count * size);
  std::memset(memory, 0, count * size);
  for (size_t i = 0; i < count; ++i) {
    Note(absl::StrCat(name, "[", i, "]={ "));
    Struct known = Defaults<Struct>();
    Fill(*this, known);
    Adjust(*this, known);
    keep_size_ = false;
    known.struct_size = random().Percent(97) ? size : DrawStructSize(size);
    if (known.struct_size > size) known.struct_size = size;
    Note("} ");
    std::memcpy(memory + i * size, &known, sizeof(known));
  }
  return reinterpret_cast<const Struct*>(memory);
}

template <typename Struct>
Struct* Call::InitTarget(const char* name, size_t struct_size) {
  if (random().Percent(5)) return nullptr;
  Note(name);
  const size_t size = struct_size > 4096 ? 1 : struct_size;
  char* const memory = Allocate(size);
  after_.push_back([this, memory, struct_size](bool) {
    size_t written = 0;
    if (struct_size < sizeof(written) || struct_size > 4096) return;
    std::memcpy(&written, memory, sizeof(written));
    if (written != struct_size) run_.Fail("struct_size was not written");
  });
  return reinterpret_cast<Struct*>(memory);
}

template <typename Handle>
Handle** Call::OutHandle(const char* name) {
  if (random().Percent(6)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  auto** out = reinterpret_cast<Handle**>(Allocate(sizeof(Handle*)));
  after_.push_back([this, out, name](bool success) {
    if (success != (*out != nullptr)) {
      run_.Fail(absl::StrCat(name, success ? " is NULL" : " is not NULL"));
    }
    const size_t kind = KindOf<Handle>::kIndex;
    if (success) run_.PoolOf(kind).Add(kind, *out);
  });
  return out;
}

template <typename Value>
Value* Call::OutNumber(const char* name) {
  if (random().Percent(6)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  auto* out = reinterpret_cast<Value*>(Allocate(sizeof(Value)));
  if constexpr (std::is_same_v<Value, size_t>) out_size_ = out;
  after_.push_back([this, out, name](bool success) {
    if (!success && *out != Value()) {
      run_.Fail(absl::StrCat(name, " is not zero"));
    }
  });
  return out;
}

template <typename Struct>
Struct* Call::OutStruct(const char* name) {
  if (random().Percent(6)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  const size_t size = DrawStructSize(sizeof(Struct));
  Note(absl::StrCat(name, "={ struct_size=", size, " } "));
  const size_t real = std::max(size > 4096 ? 8 : size, sizeof(size));
  char* const memory = Allocate(real);
  std::memcpy(memory, &size, sizeof(size));
  const std::string before(memory, real);
  after_.push_back([this, memory, real, before, name](bool success) {
    const std::string found(memory, real);
    // Not touched, as where its size is wrong.
    if (found == before) return;
    if (std::memcmp(found.data(), before.data(), sizeof(size_t)) != 0) {
      run_.Fail(absl::StrCat(name, ".struct_size has changed"));
    }
    if (!success &&
        found.find_first_not_of('\0', sizeof(size_t)) != std::string::npos) {
      run_.Fail(absl::StrCat(name, " is not zero"));
    }
    if (!success || !may_read()) return;
    Struct known = {};
    std::memcpy(&known, memory, std::min(real, sizeof(known)));
    Read(*this, known);
    AdjustRead(*this, known);
  });
  return reinterpret_cast<Struct*>(memory);
}

template <typename Function>
void Call::Finish(const Function& function) {
  run_.Log(absl::StrCat(function_, "( ", line_, ")"));
  bool success = true;
  if constexpr (std::is_void_v<decltype(function())>) {
    Invoke([&] { function(); });
  } else {
    decltype(function()) result{};
    Invoke([&] { result = function(); });
    success = Check(result);
  }
  End(success);
}

}  // namespace peft

#endif  // TESTING_MISUSE_CALL_H_
