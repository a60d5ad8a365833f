// peft.hpp: the C ABI of peft_c.h for C++17 and later, in one header.
//
//   #include "peft_c/peft.hpp"
//
//   peft::Result<peft::Model> model = peft::Model::Open("my-model");
//   if (!model) { std::cerr << model.status().message(); return 1; }
//   peft::Status status = model->LoadAdapter("german", "my-adapter");
//   peft::Result<peft::Session> session = peft::Session::Create(*model);
//   peft::Result<peft::GenerateResult> result = session->Generate({prompt});
//   for (std::int64_t token : result->Tokens(0)) ...
//
// What a call does, how it fails and on which threads it may run stands in
// peft_c.h, under the name that each comment here gives. This header adds:
//
// Errors: what can fail returns a Status, or a Result of what it makes. Nothing
//   here throws but std::bad_alloc, and it compiles with -fno-exceptions. A
//   program that prefers exceptions writes OrThrow(...) around a call.
// Handles: classes that can be moved but not copied, and free what they hold.
//   One that is empty (made by default, or moved from) is an error of the call
//   that it is given to, as in C. `get()` is the handle for calls of peft_c.h.
// Options: structs whose fields have the defaults of the C structs.
// Texts: a Text parameter takes a std::string or what a `const char*` points
//   to; nullptr is C's NULL. A std::string with a NUL inside is refused.
// Callbacks: std::function objects. They may throw: what they threw ends the
//   call as their refusal does, and goes no further.
// Borrowed: spans, views and texts in what calls return stay valid as long as
//   peft_c.h says, which is until the object that gave them is gone, mostly.
#ifndef PEFT_C_PEFT_HPP_
#define PEFT_C_PEFT_HPP_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "peft_c/peft_c.h"

namespace peft {
// So that programs made of parts with different versions of this header, and
// this header beside the library's own code, do not mix their inline functions.
inline namespace cpp1 {

// ---------------------------------------------------------------- vocabulary

// A pointer and a number of elements that somebody else owns.
template <typename T>
class Span {
 public:
  constexpr Span() noexcept = default;
  constexpr Span(T* data, std::size_t size) noexcept
      : data_(data), size_(size) {}
  // Whatever has data() and size(): vectors, arrays, std::span.
  template <typename C, typename = std::enable_if_t<std::is_convertible_v<
                            decltype(std::declval<C&>().data()), T*>>>
  constexpr Span(C&& container) noexcept  // NOLINT: meant to be implicit
      : data_(container.data()), size_(container.size()) {}
  template <std::size_t N>
  constexpr Span(T (&array)[N]) noexcept  // NOLINT: meant to be implicit
      : data_(array), size_(N) {}
  // For arguments: the elements live until the end of the full expression.
  template <typename U = T, typename = std::enable_if_t<std::is_const_v<U>>>
  constexpr Span(std::initializer_list<std::remove_const_t<U>> list) noexcept
      : Span(list.begin(), list.size()) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T& operator[](std::size_t i) const noexcept { return data_[i]; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

// A text as C takes it, for parameters: borrowed, ending in NUL, or nullptr.
class Text {
 public:
  constexpr Text(const char* text) noexcept : text_(text) {}  // NOLINT
  constexpr Text(std::nullptr_t) noexcept {}                  // NOLINT
  // C would see the part before a NUL only: a text that is not UTF-8 stands for
  // one with a NUL inside, so that the library refuses it ("UTF8").
  Text(const std::string& text) noexcept  // NOLINT: meant to be implicit
      : text_(text.find('\0') == std::string::npos ? text.c_str() : "\xff") {}

  constexpr const char* c_str() const noexcept { return text_; }

 private:
  const char* text_ = nullptr;
};

// Names, for parameters: {"german", "french"} or a vector of strings. Borrows
// the texts.
class Names {
 public:
  Names() = default;
  Names(std::initializer_list<Text> names) {
    for (const Text& name : names) names_.push_back(name.c_str());
  }
  Names(const std::vector<std::string>& names) {  // NOLINT: implicit
    for (const std::string& name : names) names_.push_back(Text(name).c_str());
  }

  const char* const* data() const noexcept { return names_.data(); }
  std::size_t size() const noexcept { return names_.size(); }

 private:
  std::vector<const char*> names_;
};

// The canonical codes.
enum class StatusCode : std::int32_t {
  kOk = PEFT_OK,
  kCancelled = PEFT_CANCELLED,
  kUnknown = PEFT_UNKNOWN,
  kInvalidArgument = PEFT_INVALID_ARGUMENT,
  kDeadlineExceeded = PEFT_DEADLINE_EXCEEDED,
  kNotFound = PEFT_NOT_FOUND,
  kAlreadyExists = PEFT_ALREADY_EXISTS,
  kPermissionDenied = PEFT_PERMISSION_DENIED,
  kResourceExhausted = PEFT_RESOURCE_EXHAUSTED,
  kFailedPrecondition = PEFT_FAILED_PRECONDITION,
  kUnimplemented = PEFT_UNIMPLEMENTED,
  kInternal = PEFT_INTERNAL,
  kUnavailable = PEFT_UNAVAILABLE,
  kDataLoss = PEFT_DATA_LOSS,
  kUnauthenticated = PEFT_UNAUTHENTICATED,
};

namespace detail {

// Owns a handle of the C ABI.
template <typename T, void (*Free)(T*)>
class Handle {
 public:
  Handle() noexcept = default;
  // Takes `handle` over.
  explicit Handle(T* handle) noexcept : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(other.release()) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Handle() { reset(); }

  // The handle, still owned here; null when empty.
  T* get() const noexcept { return handle_; }
  // The handle, owned by the caller from now on.
  T* release() noexcept { return std::exchange(handle_, nullptr); }
  // Frees what is held and takes `handle` over.
  void reset(T* handle = nullptr) noexcept {
    T* const old = std::exchange(handle_, handle);
    if (old != nullptr) Free(old);
  }
  explicit operator bool() const noexcept { return handle_ != nullptr; }

 private:
  T* handle_ = nullptr;
};

}  // namespace detail

// Success, or why a call failed. peft_status_t.
class [[nodiscard]] Status
    : private detail::Handle<peft_status_t, peft_status_free> {
 public:
  // Success.
  Status() noexcept = default;
  // Takes over what a call of peft_c.h returned.
  explicit Status(peft_status_t* owned) noexcept : Handle(owned) {}
  // INVALID_ARGUMENT ("ARGUMENT") with this message, which must live as long
  // as the process: for what cannot be said to the library.
  static Status InvalidArgument(const char* message) noexcept {
    Status status;
    status.message_ = message;
    return status;
  }

  using Handle::get;

  bool ok() const noexcept { return get() == nullptr && message_ == nullptr; }
  // True for success.
  explicit operator bool() const noexcept { return ok(); }
  // peft_status_code.
  StatusCode code() const noexcept {
    if (message_ != nullptr) return StatusCode::kInvalidArgument;
    return static_cast<StatusCode>(peft_status_code(get()));
  }
  // The stable id, listed in docs/errors.md. peft_status_id.
  std::string_view id() const noexcept {
    return message_ != nullptr ? "ARGUMENT" : peft_status_id(get());
  }
  // peft_status_message.
  std::string_view message() const noexcept {
    return message_ != nullptr ? message_ : peft_status_message(get());
  }
  // peft_status_subject.
  std::string_view subject() const noexcept {
    return message_ != nullptr ? "" : peft_status_subject(get());
  }
  // peft_status_expected.
  std::string_view expected() const noexcept {
    return message_ != nullptr ? "" : peft_status_expected(get());
  }
  // peft_status_found.
  std::string_view found() const noexcept {
    return message_ != nullptr ? "" : peft_status_found(get());
  }

 private:
  // Of a failure that was found here, else null.
  const char* message_ = nullptr;
};

// A T, or why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                   // NOLINT
  Result(Status status) noexcept : status_(std::move(status)) {}  // NOLINT

  bool ok() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  const Status& status() const& noexcept { return status_; }
  Status status() && noexcept { return std::move(status_); }

  // The value. Where there is none the process ends, with the message on
  // stderr: ask ok() first.
  T& value() & { return *Checked(this); }
  const T& value() const& { return *Checked(this); }
  T value() && { return std::move(*Checked(this)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  template <typename Self>
  static auto Checked(Self* self) {
    if (!self->ok()) {
      std::fprintf(stderr, "peft::Result without a value: %s\n",
                   std::string(self->status_.message()).c_str());
      std::abort();
    }
    return &*self->value_;
  }

  Status status_;
  std::optional<T> value_;
};

#if defined(__cpp_exceptions)
// A failure as an exception; only OrThrow throws it.
class Error : public std::runtime_error {
 public:
  explicit Error(const Status& status)
      : std::runtime_error(std::string(status.message())),
        code_(status.code()),
        id_(status.id()) {}
  StatusCode code() const noexcept { return code_; }
  const std::string& id() const noexcept { return id_; }

 private:
  StatusCode code_;
  std::string id_;
};

// Throws an Error unless the call succeeded.
inline void OrThrow(const Status& status) {
  if (!status.ok()) throw Error(status);
}

// Returns the value, or throws an Error.
template <typename T>
T OrThrow(Result<T> result) {
  if (!result.ok()) throw Error(result.status());
  return std::move(result).value();
}
#endif

namespace detail {

// A Result of what `call` writes to its out parameter, a C*, made a T.
template <typename T, typename C, typename Call>
Result<T> Make(Call&& call) {
  C* out = nullptr;
  Status status(call(&out));
  if (!status.ok()) return status;
  return T(out);
}

// The text in `string`, which is freed.
inline std::string Take(peft_string_t* string) {
  const Handle<peft_string_t, peft_string_free> owned(string);
  return std::string(peft_string_data(string), peft_string_size(string));
}

// The names in `list`, which is freed.
inline std::vector<std::string> Take(peft_string_list_t* list) {
  const Handle<peft_string_list_t, peft_string_list_free> owned(list);
  std::vector<std::string> names;
  const std::size_t size = peft_string_list_size(list);
  for (std::size_t i = 0; i < size; ++i) {
    names.emplace_back(peft_string_list_get(list, i));
  }
  return names;
}

// A Result of the text, or of the names, that `call` writes.
template <typename Call>
Result<std::string> MakeString(Call&& call) {
  peft_string_t* out = nullptr;
  Status status(call(&out));
  if (!status.ok()) return status;
  return Take(out);
}
template <typename Call>
Result<std::vector<std::string>> MakeStrings(Call&& call) {
  peft_string_list_t* out = nullptr;
  Status status(call(&out));
  if (!status.ok()) return status;
  return Take(out);
}

inline const char* OrNull(const std::optional<std::string>& text) noexcept {
  return text ? Text(*text).c_str() : nullptr;
}
inline std::string OrEmpty(const char* text) {
  return text != nullptr ? text : "";
}
template <typename T>
const T* OrNull(const std::vector<T>& values) noexcept {
  return values.empty() ? nullptr : values.data();
}

}  // namespace detail

// ------------------------------------------------------- version and logging

// The API number of the library that is loaded; at least PEFT_API_VERSION.
// peft_api_version.
inline std::int32_t ApiVersion() noexcept { return peft_api_version(); }

// peft_build_info_t. The texts live as long as the process.
struct BuildInfo {
  std::int32_t api_version = 0;
  std::string_view version;
  std::string_view compiler;
  std::string_view cpu_kernels;
  std::string_view methods;
  std::string_view model_types;
};

// peft_get_build_info.
inline BuildInfo GetBuildInfo() {
  peft_build_info_t info = PEFT_BUILD_INFO_INIT;
  peft_get_build_info(&info);
  return {info.api_version, info.version, info.compiler,
          info.cpu_kernels, info.methods, info.model_types};
}

enum class LogLevel : std::int32_t {
  kInfo = PEFT_LOG_INFO,
  kWarning = PEFT_LOG_WARNING,
  kError = PEFT_LOG_ERROR,
  // Of no line: for SetLogLevel.
  kNone = PEFT_LOG_NONE,
};

// Drops all lines below `level`. peft_set_log_level.
inline Status SetLogLevel(LogLevel level) {
  return Status(peft_set_log_level(static_cast<std::int32_t>(level)));
}

// As peft_log_fn; must not call the library.
using Logger = std::function<void(LogLevel, std::string_view line)>;

// Sends log lines to `logger`; an empty one drops them. Returns when no line is
// on its way to the logger before. peft_set_logger.
inline void SetLogger(Logger logger) {
  // Never destroyed: other threads may log while the process ends.
  static std::mutex& mutex = *new std::mutex;
  static Logger* current = nullptr;
  const auto log = [](void* user_data, std::int32_t level, const char* line) {
    (*static_cast<Logger*>(user_data))(static_cast<LogLevel>(level), line);
  };
  const std::lock_guard<std::mutex> lock(mutex);
  Logger* const next = logger ? new Logger(std::move(logger)) : nullptr;
  peft_set_logger(next != nullptr ? peft_log_fn(log) : nullptr, next);
  delete std::exchange(current, next);
}

// ------------------------------------------------- the program's functions

// Where the library's memory comes from. peft_allocator_t.
struct Allocator {
  // Returns so many bytes at a multiple of the alignment, or nullptr.
  // peft_allocate_fn.
  std::function<void*(std::size_t size, std::size_t alignment)> allocate;
  // Takes them back. peft_deallocate_fn.
  std::function<void(void* data, std::size_t size, std::size_t alignment)>
      deallocate;
};

// Takes all memory of the library from `allocator`, to the end of the process.
// Must be the first call of the library. peft_set_allocator.
inline Status SetAllocator(Allocator allocator) {
  // The library keeps it for good.
  auto* const kept = new Allocator(std::move(allocator));
  peft_allocator_t c;
  peft_allocator_init(&c, sizeof(c));
  c.user_data = kept;
  if (kept->allocate) {
    c.allocate = [](void* user_data, std::size_t size, std::size_t alignment) {
      return static_cast<Allocator*>(user_data)->allocate(size, alignment);
    };
  }
  if (kept->deallocate) {
    c.deallocate = [](void* user_data, void* data, std::size_t size,
                      std::size_t alignment) {
      static_cast<Allocator*>(user_data)->deallocate(data, size, alignment);
    };
  }
  Status status(peft_set_allocator(&c));
  if (!status.ok()) delete kept;
  return status;
}

// Does one piece of work; any thread may call it. peft_piece_fn.
class Piece {
 public:
  Piece(peft_piece_fn piece, void* data) noexcept
      : piece_(piece), data_(data) {}
  void operator()(std::int64_t index) const { piece_(data_, index); }

 private:
  peft_piece_fn piece_;
  void* data_;
};

// The program's own threads, for a model's work. peft_thread_pool_t.
struct ThreadPool {
  // Calls piece(i) for all i below num_pieces, on any threads, and returns true
  // when all have returned; false where it could not. peft_parallel_for_fn.
  std::function<bool(std::int64_t num_pieces, Piece piece)> parallel_for;
  // How many threads work on one call, the one that calls included.
  std::int32_t num_threads = 1;
};

// Where the bytes of a file are.
enum class FileKind : std::int32_t {
  kMemory = PEFT_FILE_MEMORY,
  kFd = PEFT_FILE_FD,
  kRead = PEFT_FILE_READ,
};

// Writes up to `size` bytes of the file, from `offset` on, to `buffer`; returns
// their number, at least 1, or 0 where that failed. peft_read_fn.
using ReadCallback = std::function<std::int64_t(
    std::int64_t offset, void* buffer, std::int64_t size)>;

// A file that is not in a folder. peft_file_t.
struct File {
  // As the folder would have it: "adapter_config.json".
  std::string name;
  FileKind kind = FileKind::kMemory;
  std::int32_t fd = -1;
  std::int64_t offset = 0;
  std::int64_t size = 0;
  const void* data = nullptr;
  // false: tensors stay in the memory of `data`, until all that was made of it
  // is gone.
  bool copy_data = true;
  ReadCallback read;

  // The bytes of a vector, a string or a span, which are borrowed.
  template <typename C>
  static File Memory(std::string name, const C& bytes) {
    static_assert(sizeof(*bytes.data()) == 1, "bytes are wanted");
    File file;
    file.name = std::move(name);
    file.size = static_cast<std::int64_t>(bytes.size());
    file.data = bytes.data();
    return file;
  }
  // So many bytes of an open file, from `offset` on.
  static File Fd(std::string name, std::int32_t fd, std::int64_t offset,
                 std::int64_t size) {
    File file;
    file.name = std::move(name);
    file.kind = FileKind::kFd;
    file.fd = fd;
    file.offset = offset;
    file.size = size;
    return file;
  }
  // So many bytes, which `read` gives.
  static File Reader(std::string name, std::int64_t size, ReadCallback read) {
    File file;
    file.name = std::move(name);
    file.kind = FileKind::kRead;
    file.size = size;
    file.read = std::move(read);
    return file;
  }
};

namespace detail {

// Where C takes what it gives back to a callback. Callbacks are not changed.
template <typename Callback>
void* UserData(const Callback& callback) noexcept {
  return callback ? const_cast<Callback*>(&callback) : nullptr;
}

// Functions of C call the std::function at `user_data`. What that throws is
// caught by the library.
inline std::int32_t CallParallelFor(void* user_data, std::int64_t num_pieces,
                                    peft_piece_fn piece, void* piece_data) {
  const auto& pool = *static_cast<const ThreadPool*>(user_data);
  return pool.parallel_for(num_pieces, Piece(piece, piece_data)) ? 0 : 1;
}

inline std::int64_t CallRead(void* user_data, std::int64_t offset, void* buffer,
                             std::int64_t size) {
  return (*static_cast<const ReadCallback*>(user_data))(offset, buffer, size);
}

// Borrows `pool`, which the model keeps.
inline peft_thread_pool_t ToC(const ThreadPool& pool) noexcept {
  peft_thread_pool_t c;
  peft_thread_pool_init(&c, sizeof(c));
  c.user_data = const_cast<ThreadPool*>(&pool);
  c.parallel_for = pool.parallel_for ? &CallParallelFor : nullptr;
  c.num_threads = pool.num_threads;
  return c;
}

// Borrows `file`.
inline peft_file_t ToC(const File& file) noexcept {
  peft_file_t c;
  peft_file_init(&c, sizeof(c));
  c.name = Text(file.name).c_str();
  c.kind = static_cast<std::int32_t>(file.kind);
  c.fd = file.fd;
  c.offset = file.offset;
  c.size = file.size;
  c.data = file.data;
  c.copy_data = file.copy_data;
  c.read = file.read ? &CallRead : nullptr;
  c.user_data = UserData(file.read);
  return c;
}

inline std::vector<peft_file_t> ToC(Span<const File> files) {
  std::vector<peft_file_t> c;
  for (const File& file : files) c.push_back(ToC(file));
  return c;
}

}  // namespace detail

// ------------------------------------------------------------------- tensors

enum class DType : std::int32_t {
  kBool = PEFT_DTYPE_BOOL,
  kU8 = PEFT_DTYPE_U8,
  kI8 = PEFT_DTYPE_I8,
  kU16 = PEFT_DTYPE_U16,
  kI16 = PEFT_DTYPE_I16,
  kU32 = PEFT_DTYPE_U32,
  kI32 = PEFT_DTYPE_I32,
  kU64 = PEFT_DTYPE_U64,
  kI64 = PEFT_DTYPE_I64,
  kF16 = PEFT_DTYPE_F16,
  kBF16 = PEFT_DTYPE_BF16,
  kF32 = PEFT_DTYPE_F32,
  kF64 = PEFT_DTYPE_F64,
  kF8E4M3 = PEFT_DTYPE_F8_E4M3,
  kF8E5M2 = PEFT_DTYPE_F8_E5M2,
  kC64 = PEFT_DTYPE_C64,
  kF8E8M0 = PEFT_DTYPE_F8_E8M0,
  kF8E4M3FNUZ = PEFT_DTYPE_F8_E4M3FNUZ,
  kF8E5M2FNUZ = PEFT_DTYPE_F8_E5M2FNUZ,
  kF4 = PEFT_DTYPE_F4,
  kF6E2M3 = PEFT_DTYPE_F6_E2M3,
  kF6E3M2 = PEFT_DTYPE_F6_E3M2,
};

enum class DeviceType : std::int32_t {
  kCpu = PEFT_DEVICE_CPU,
  kCuda = PEFT_DEVICE_CUDA,
};

// The element type of a C++ type; no other types have one.
template <typename T>
inline constexpr DType kDTypeOf = [] {
  static_assert(std::is_arithmetic_v<T>, "no element type for this type");
  if constexpr (std::is_same_v<T, bool>) {
    return DType::kBool;
  } else if constexpr (std::is_floating_point_v<T>) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "not a tensor's type");
    return sizeof(T) == 4 ? DType::kF32 : DType::kF64;
  } else {
    constexpr bool kSigned = std::is_signed_v<T>;
    return sizeof(T) == 1   ? (kSigned ? DType::kI8 : DType::kU8)
           : sizeof(T) == 2 ? (kSigned ? DType::kI16 : DType::kU16)
           : sizeof(T) == 4 ? (kSigned ? DType::kI32 : DType::kU32)
                            : (kSigned ? DType::kI64 : DType::kU64);
  }
}();

// Describes elements in memory that somebody else owns. peft_tensor_view_t.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  DeviceType device_type = DeviceType::kCpu;
  std::int32_t device_index = 0;
  // The number of elements along each axis; none for a scalar.
  std::vector<std::int64_t> sizes;
  // From one element to the next along each axis; none: contiguous.
  std::vector<std::int64_t> strides;
  // How many elements are at `data`, where that is known: sizes that need more
  // are then refused.
  std::optional<std::size_t> num_elements;

  // The values of a vector, an array or a span, in the order of a contiguous
  // tensor of these sizes. They must outlive the view.
  template <typename C>
  static TensorView Of(const C& values, std::vector<std::int64_t> sizes) {
    TensorView view;
    view.data = values.data();
    view.dtype = kDTypeOf<
        std::remove_cv_t<std::remove_pointer_t<decltype(values.data())>>>;
    view.sizes = std::move(sizes);
    view.num_elements = values.size();
    return view;
  }

  // Elements at `data` in the memory of a CUDA device, contiguous.
  static TensorView OnCuda(const void* data, DType dtype,
                           std::vector<std::int64_t> sizes,
                           std::int32_t device_index = 0) {
    TensorView view;
    view.data = data;
    view.dtype = dtype;
    view.device_type = DeviceType::kCuda;
    view.device_index = device_index;
    view.sizes = std::move(sizes);
    return view;
  }

  // The elements in order, where they are T's in the memory of the process,
  // contiguous and aligned.
  template <typename T>
  std::optional<Span<const T>> As() const {
    const std::optional<std::size_t> count = Readable<T>();
    if (!count) return {};
    if (reinterpret_cast<std::uintptr_t>(data) % alignof(T) != 0) return {};
    return Span<const T>(static_cast<const T*>(data), *count);
  }

  // A copy of the elements in order, where they are T's in the memory of the
  // process and contiguous.
  template <typename T>
  std::optional<std::vector<T>> Copy() const {
    static_assert(!std::is_same_v<T, bool>, "std::vector<bool> has no data()");
    const std::optional<std::size_t> count = Readable<T>();
    if (!count) return {};
    std::vector<T> values(*count);
    if (*count != 0) std::memcpy(values.data(), data, *count * sizeof(T));
    return values;
  }

  // Whether the elements lie in order without gaps, the last axis fastest.
  bool IsContiguous() const noexcept {
    if (strides.empty()) return true;
    if (strides.size() != sizes.size()) return false;
    std::int64_t step = 1;
    for (std::size_t i = sizes.size(); i-- > 0;) {
      if (sizes[i] != 1 && strides[i] != step) return false;
      step *= sizes[i];
    }
    return true;
  }

  // How many elements lie from the first to behind the last; nothing where that
  // is no number: sizes or strides below 0, or too many elements.
  std::optional<std::size_t> Extent() const {
    if (!strides.empty() && strides.size() != sizes.size()) return {};
    std::size_t extent = 1;
    bool is_empty = false;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] < 0 || (!strides.empty() && strides[i] < 0)) return {};
      is_empty = is_empty || sizes[i] == 0;
      const auto size = static_cast<std::size_t>(sizes[i]);
      // Contiguous: extent * size. Strided: extent + (size - 1) * stride.
      const std::size_t factor =
          strides.empty() ? extent : static_cast<std::size_t>(strides[i]);
      const std::size_t steps = size == 0 ? 0 : size - 1;
      const std::size_t limit =
          std::numeric_limits<std::size_t>::max() - extent;
      if (factor != 0 && steps > limit / factor) return {};
      extent += steps * factor;
    }
    return is_empty ? 0 : extent;
  }

 private:
  // The number of contiguous T's that the process can read at `data`.
  template <typename T>
  std::optional<std::size_t> Readable() const {
    const bool is_host = device_type == DeviceType::kCpu;
    if (!is_host || dtype != kDTypeOf<T> || !IsContiguous()) return {};
    return Extent();
  }
};

namespace detail {

// Fails where the sizes of `view` need more elements than it has.
inline Status Check(const TensorView& view) {
  if (!view.strides.empty() && view.strides.size() != view.sizes.size()) {
    return Status::InvalidArgument(
        "A tensor has another number of strides than of sizes: give one for "
        "each axis, or none.");
  }
  if (!view.num_elements) return Status();
  const std::optional<std::size_t> extent = view.Extent();
  if (extent && *extent <= *view.num_elements) return Status();
  return Status::InvalidArgument(
      "The sizes of a tensor do not fit the number of its elements: give "
      "sizes whose product is the number of values.");
}

// Borrows `view`.
inline peft_tensor_view_t ToC(const TensorView& view) noexcept {
  peft_tensor_view_t c;
  peft_tensor_view_init(&c, sizeof(c));
  c.data = view.data;
  c.dtype = static_cast<std::int32_t>(view.dtype);
  c.device_type = static_cast<std::int32_t>(view.device_type);
  c.device_index = view.device_index;
  c.rank = static_cast<std::int32_t>(view.sizes.size());
  c.sizes = view.sizes.data();
  c.strides = OrNull(view.strides);
  return c;
}

inline TensorView FromC(const peft_tensor_view_t& c) {
  TensorView view;
  view.data = c.data;
  view.dtype = static_cast<DType>(c.dtype);
  view.device_type = static_cast<DeviceType>(c.device_type);
  view.device_index = c.device_index;
  const auto rank = static_cast<std::size_t>(c.rank);
  view.sizes.assign(c.sizes, c.sizes + rank);
  if (c.strides != nullptr) view.strides.assign(c.strides, c.strides + rank);
  return view;
}

// A Result of the view that `call` writes to a peft_tensor_view_t.
template <typename Call>
Result<TensorView> MakeView(Call&& call) {
  peft_tensor_view_t c = PEFT_TENSOR_VIEW_INIT;
  Status status(call(&c));
  if (!status.ok()) return status;
  return FromC(c);
}

}  // namespace detail

// A tensor that keeps its memory alive. Immutable. peft_tensor_t.
class Tensor : public detail::Handle<peft_tensor_t, peft_tensor_free> {
 public:
  using Handle::Handle;

  // Borrowed, until the tensor is gone. peft_tensor_get_view.
  Result<TensorView> View() const {
    return detail::MakeView([this](peft_tensor_view_t* out) {
      return peft_tensor_get_view(get(), out);
    });
  }
  // A DLPack tensor that its consumer ends with its deleter.
  // peft_tensor_to_dlpack.
  Result<DLManagedTensor*> ToDLPack() const {
    DLManagedTensor* out = nullptr;
    Status status(peft_tensor_to_dlpack(get(), &out));
    if (!status.ok()) return status;
    return out;
  }
};

// Tensors by name. peft_state_dict_t.
class StateDict
    : public detail::Handle<peft_state_dict_t, peft_state_dict_free> {
 public:
  using Handle::Handle;

  // An empty one. peft_state_dict_create.
  static Result<StateDict> Create() {
    return detail::Make<StateDict, peft_state_dict_t>(peft_state_dict_create);
  }
  // peft_state_dict_read.
  static Result<StateDict> Read(Text path) {
    return detail::Make<StateDict, peft_state_dict_t>(
        [&](peft_state_dict_t** out) {
          return peft_state_dict_read(path.c_str(), out);
        });
  }

  // peft_state_dict_write.
  Status Write(Text path) const {
    return Status(peft_state_dict_write(get(), path.c_str()));
  }
  // Copies the elements. peft_state_dict_set.
  Status Set(Text name, const TensorView& view) {
    Status status = detail::Check(view);
    if (!status.ok()) return status;
    const peft_tensor_view_t c = detail::ToC(view);
    return Status(peft_state_dict_set(get(), name.c_str(), &c));
  }
  // peft_state_dict_size.
  std::size_t Size() const noexcept { return peft_state_dict_size(get()); }
  // Null beyond the last. peft_state_dict_name.
  const char* Name(std::size_t index) const noexcept {
    return peft_state_dict_name(get(), index);
  }
  // peft_state_dict_get.
  Result<Tensor> Get(Text name) const {
    return detail::Make<Tensor, peft_tensor_t>([&](peft_tensor_t** out) {
      return peft_state_dict_get(get(), name.c_str(), out);
    });
  }
};

// -------------------------------------------------------------------- the Hub

// How far a download is. peft_download_fn.
struct DownloadProgress {
  std::int64_t bytes = 0;
  std::int64_t total_bytes = 0;
  std::int64_t files = 0;
  std::int64_t total_files = 0;
};

// Returns true to go on, false to cancel. peft_download_fn.
using DownloadCallback = std::function<bool(const DownloadProgress&)>;

// A header field of a request or an answer; the texts end in NUL.
struct HttpField {
  const char* name = "";
  const char* value = "";
};

// What to send; borrowed until the transport returns. peft_http_request_t.
struct HttpRequest {
  std::string_view method;
  std::string_view url;
  std::vector<HttpField> fields;
  std::int32_t timeout_ms = 0;
};

// What a transport returns.
enum class TransportResult : std::int32_t {
  kOk = PEFT_TRANSPORT_OK,
  kConnect = PEFT_TRANSPORT_CONNECT,
  kTimeout = PEFT_TRANSPORT_TIMEOUT,
  kTls = PEFT_TRANSPORT_TLS,
};

// Where the answer to one request goes. peft_exchange_t.
class Exchange {
 public:
  explicit Exchange(peft_exchange_t* exchange) noexcept : exchange_(exchange) {}

  // Hands over the head of the answer. False: end the exchange and return.
  // peft_exchange_respond.
  bool Respond(std::int32_t http_status, Span<const HttpField> fields) {
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const HttpField& field : fields) {
      names.push_back(field.name);
      values.push_back(field.value);
    }
    return peft_exchange_respond(exchange_, http_status, names.data(),
                                 values.data(), names.size()) == 0;
  }
  // Hands over the next bytes of the body. False: end the exchange and return.
  // peft_exchange_write.
  bool Write(const void* data, std::size_t size) noexcept {
    return peft_exchange_write(exchange_, data, size) == 0;
  }
  // True: end the exchange and return. peft_exchange_is_cancelled.
  bool IsCancelled() const noexcept {
    return peft_exchange_is_cancelled(exchange_) != 0;
  }

 private:
  peft_exchange_t* exchange_;
};

// Makes the library's requests; called on several threads at once.
// peft_transport_fn.
using Transport = std::function<TransportResult(const HttpRequest&, Exchange&)>;

namespace detail {

inline std::int32_t CallDownload(void* user_data, std::int64_t bytes,
                                 std::int64_t total_bytes, std::int64_t files,
                                 std::int64_t total_files) {
  const auto& callback = *static_cast<const DownloadCallback*>(user_data);
  return callback({bytes, total_bytes, files, total_files}) ? 0 : 1;
}

inline std::int32_t CallTransport(void* user_data, const peft_http_request_t* c,
                                  peft_exchange_t* c_exchange) {
  HttpRequest request{c->method, c->url, {}, c->timeout_ms};
  for (std::size_t i = 0; i < c->num_fields; ++i) {
    request.fields.push_back({c->field_names[i], c->field_values[i]});
  }
  Exchange exchange(c_exchange);
  const auto& transport = *static_cast<const Transport*>(user_data);
  return static_cast<std::int32_t>(transport(request, exchange));
}

// The fields of the Hub, which a model's and an adapter's options share.
template <typename C, typename Options>
void HubToC(const Options& options, const Names& proxies, C* c) noexcept {
  c->subfolder = OrNull(options.subfolder);
  c->revision = OrNull(options.revision);
  c->token = OrNull(options.token);
  c->cache_dir = OrNull(options.cache_dir);
  c->proxies = proxies.data();
  c->num_proxies = proxies.size();
  c->local_files_only = options.local_files_only;
  c->force_download = options.force_download;
  c->endpoint = OrNull(options.endpoint);
  c->on_download = options.on_download ? &CallDownload : nullptr;
  c->user_data = UserData(options.on_download);
  c->transport = options.transport ? &CallTransport : nullptr;
  c->transport_user_data = UserData(options.transport);
}

}  // namespace detail

// --------------------------------------------------------------------- models

// How base weights are read.
enum class ReadMode : std::int32_t {
  kMap = PEFT_READ_MODE_MAP,
  kRead = PEFT_READ_MODE_READ,
};

// What the weights of linear layers are made to while a model is opened.
enum class WeightFormat : std::int32_t {
  kAsStored = PEFT_WEIGHT_FORMAT_AS_STORED,
  kQ8 = PEFT_WEIGHT_FORMAT_Q8,
  kQ4 = PEFT_WEIGHT_FORMAT_Q4,
};

// What a model is for.
enum class Task : std::int32_t {
  kBase = PEFT_TASK_BASE,
  kCausalLm = PEFT_TASK_CAUSAL_LM,
  kMaskedLm = PEFT_TASK_MASKED_LM,
  kSequenceClassification = PEFT_TASK_SEQUENCE_CLASSIFICATION,
  kTokenClassification = PEFT_TASK_TOKEN_CLASSIFICATION,
  kQuestionAnswering = PEFT_TASK_QUESTION_ANSWERING,
};

// peft_model_options_t. Texts that are not set are C's NULL.
struct ModelOptions {
  ReadMode read_mode = ReadMode::kMap;
  // 0: one per core.
  std::int32_t num_threads = 0;
  // Ranges [begin, end) of layers, one after another.
  std::vector<std::array<std::int64_t, 2>> layer_replication;
  std::vector<std::string> for_adapters;
  std::optional<std::string> subfolder;
  std::optional<std::string> revision;
  std::optional<std::string> token;
  std::optional<std::string> cache_dir;
  std::vector<std::string> proxies;
  bool local_files_only = false;
  bool force_download = false;
  std::optional<std::string> endpoint;
  DownloadCallback on_download;
  std::optional<std::string> adapter_revision;
  std::optional<std::string> adapter_subfolder;
  Transport transport;
  // Must outlive the model and all calls on it; nullptr: the library's threads.
  const ThreadPool* thread_pool = nullptr;
  // The files of the model's folder, wherever they are.
  std::vector<File> files;
  WeightFormat weight_format = WeightFormat::kAsStored;
  // Also the head, and the embedding that it is tied to.
  bool quantize_head = false;
  // Those that the model's own threads run on; none: all.
  std::vector<std::int32_t> processors;
  // The head that the model gets; not set: what its folder says.
  std::optional<Task> task;
  // Of a model that classifies; 0: what its folder or for_adapters say, or 2.
  std::int64_t num_labels = 0;
  // Of a decoder that classifies sequences; not set: config.json's.
  std::optional<std::int64_t> pad_token_id;
};

// peft_load_options_t. Texts that are not set are C's NULL.
struct LoadOptions {
  std::optional<std::string> subfolder;
  bool lenient = false;
  std::optional<std::string> revision;
  std::optional<std::string> token;
  std::optional<std::string> cache_dir;
  std::vector<std::string> proxies;
  bool local_files_only = false;
  bool force_download = false;
  bool is_trainable = false;
  bool allow_unconverted_init = false;
  // 0: any.
  std::uint64_t expected_generation = 0;
  std::optional<std::string> endpoint;
  DownloadCallback on_download;
  Transport transport;
  bool map_file = false;
  // The files of the adapter's folder, wherever they are; the path is then
  // nullptr.
  std::vector<File> files;
};

namespace detail {

// Options as C takes them, borrowed from the C++ ones.
class CModelOptions {
 public:
  explicit CModelOptions(const ModelOptions& options)
      : for_adapters_(options.for_adapters),
        proxies_(options.proxies),
        files_(ToC(Span<const File>(options.files))) {
    peft_model_options_init(&c_, sizeof(c_));
    c_.read_mode = static_cast<std::int32_t>(options.read_mode);
    c_.num_threads = options.num_threads;
    if (!options.layer_replication.empty()) {
      c_.layer_replication = options.layer_replication.data()->data();
    }
    c_.num_layer_ranges = options.layer_replication.size();
    c_.for_adapters = for_adapters_.data();
    c_.num_for_adapters = for_adapters_.size();
    HubToC(options, proxies_, &c_);
    c_.adapter_revision = OrNull(options.adapter_revision);
    c_.adapter_subfolder = OrNull(options.adapter_subfolder);
    if (options.thread_pool != nullptr) {
      thread_pool_ = ToC(*options.thread_pool);
      c_.thread_pool = &thread_pool_;
    }
    c_.files = OrNull(files_);
    c_.num_files = files_.size();
    c_.weight_format = static_cast<std::int32_t>(options.weight_format);
    c_.quantize_head = options.quantize_head;
    c_.processors = options.processors.data();
    c_.num_processors = options.processors.size();
    if (options.task) c_.task = static_cast<std::int32_t>(*options.task);
    c_.num_labels = options.num_labels;
    c_.pad_token_id = options.pad_token_id ? &*options.pad_token_id : nullptr;
  }
  // The C struct may point into this object.
  CModelOptions(const CModelOptions&) = delete;
  CModelOptions& operator=(const CModelOptions&) = delete;
  const peft_model_options_t* get() const noexcept { return &c_; }

 private:
  Names for_adapters_;
  Names proxies_;
  std::vector<peft_file_t> files_;
  peft_thread_pool_t thread_pool_;
  peft_model_options_t c_;
};

class CLoadOptions {
 public:
  explicit CLoadOptions(const LoadOptions& options)
      : proxies_(options.proxies),
        files_(ToC(Span<const File>(options.files))) {
    peft_load_options_init(&c_, sizeof(c_));
    HubToC(options, proxies_, &c_);
    c_.lenient = options.lenient;
    c_.is_trainable = options.is_trainable;
    c_.allow_unconverted_init = options.allow_unconverted_init;
    c_.expected_generation = options.expected_generation;
    c_.map_file = options.map_file;
    c_.files = OrNull(files_);
    c_.num_files = files_.size();
  }
  const peft_load_options_t* get() const noexcept { return &c_; }

 private:
  Names proxies_;
  std::vector<peft_file_t> files_;
  peft_load_options_t c_;
};

}  // namespace detail

// Returns the folder that Model::Open would open, fetched where it is of the
// Hub. peft_fetch_model.
inline Result<std::string> FetchModel(Text path,
                                      const ModelOptions& options = {}) {
  const detail::CModelOptions c(options);
  return detail::MakeString([&](peft_string_t** out) {
    return peft_fetch_model(path.c_str(), c.get(), out);
  });
}

// Returns the folder that Model::LoadAdapter would load, fetched where it is of
// the Hub. peft_fetch_adapter.
inline Result<std::string> FetchAdapter(Text path,
                                        const LoadOptions& options = {}) {
  const detail::CLoadOptions c(options);
  return detail::MakeString([&](peft_string_t** out) {
    return peft_fetch_adapter(path.c_str(), c.get(), out);
  });
}

// peft_model_info_t; the texts are copies.
struct ModelInfo {
  std::string model_type;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t max_position_embeddings = 0;
  std::int64_t num_parameters = 0;
  std::int64_t size_bytes = 0;
  std::int64_t num_sites = 0;
  std::int64_t num_adapters = 0;
  std::int64_t adapter_bytes = 0;
  std::string architecture;
  // 0 of a host model.
  Task task = Task();
  std::int64_t num_labels = 0;
  std::int64_t num_token_types = 0;
};

// --------------------------------------------- what tells of loads and probes

// Kinds of lines of a load report.
enum class ReportKind : std::int32_t {
  kMatched = PEFT_REPORT_MATCHED,
  kMissing = PEFT_REPORT_MISSING,
  kUnexpected = PEFT_REPORT_UNEXPECTED,
  kMismatched = PEFT_REPORT_MISMATCHED,
  kIgnoredKey = PEFT_REPORT_IGNORED_KEY,
  kNote = PEFT_REPORT_NOTE,
};

// peft_report_line_t; the texts are borrowed, until the report is gone.
struct ReportLine {
  ReportKind kind = ReportKind::kNote;
  std::string_view name;
  std::string_view detail;
};

// What loading an adapter found. Immutable. peft_load_report_t.
class LoadReport
    : public detail::Handle<peft_load_report_t, peft_load_report_free> {
 public:
  using Handle::Handle;

  // Of all lines. peft_load_report_count.
  std::size_t Count() const noexcept {
    return peft_load_report_count(get(), 0);
  }
  std::size_t Count(ReportKind kind) const noexcept {
    return peft_load_report_count(get(), static_cast<std::int32_t>(kind));
  }
  // Line `index` of all. peft_load_report_get_line.
  Result<ReportLine> Line(std::size_t index) const {
    peft_report_line_t c = PEFT_REPORT_LINE_INIT;
    Status status(peft_load_report_get_line(get(), index, &c));
    if (!status.ok()) return status;
    return ReportLine{static_cast<ReportKind>(c.kind), c.name, c.detail};
  }
  // peft_load_report_num_sites.
  std::int64_t NumSites() const noexcept {
    return peft_load_report_num_sites(get());
  }
  // peft_load_report_num_parameters.
  std::int64_t NumParameters() const noexcept {
    return peft_load_report_num_parameters(get());
  }
};

// peft_probe_options_t.
struct ProbeOptions {
  std::uint64_t seed = 0;
  std::int64_t rows = 16;
};

// peft_probe_line_t; the name is borrowed, until the report is gone.
struct ProbeLine {
  std::string_view name;
  double base_norm = 0;
  double delta_norm = 0;
  double ratio = 0;
};

// peft_probe_summary_t.
struct ProbeSummary {
  std::int64_t num_sites = 0;
  std::int64_t num_unchanged = 0;
  double ratio = 0;
  double max_ratio = 0;
};

// What an adapter does to random input. Immutable. peft_probe_report_t.
class ProbeReport
    : public detail::Handle<peft_probe_report_t, peft_probe_report_free> {
 public:
  using Handle::Handle;

  // peft_probe_report_count.
  std::size_t Count() const noexcept { return peft_probe_report_count(get()); }
  // peft_probe_report_get_line.
  Result<ProbeLine> Line(std::size_t index) const {
    peft_probe_line_t c = PEFT_PROBE_LINE_INIT;
    Status status(peft_probe_report_get_line(get(), index, &c));
    if (!status.ok()) return status;
    return ProbeLine{c.name, c.base_norm, c.delta_norm, c.ratio};
  }
  // peft_probe_report_get_summary.
  Result<ProbeSummary> Summary() const {
    peft_probe_summary_t c = PEFT_PROBE_SUMMARY_INIT;
    Status status(peft_probe_report_get_summary(get(), &c));
    if (!status.ok()) return status;
    return ProbeSummary{c.num_sites, c.num_unchanged, c.ratio, c.max_ratio};
  }
};

// -------------------------------------------------------- options of adapters

// peft_add_adapter_options_t.
struct AddAdapterOptions {
  std::uint64_t seed = 0;
};

// peft_set_adapter_options_t.
struct SetAdapterOptions {
  // One per name; none: all 1.
  std::vector<float> scales;
};

// peft_save_options_t.
struct SaveOptions {
  bool overwrite = false;
  std::string path_initial_model_for_weight_conversion;
};

// peft_adapter_info_t; peft_type lives as long as the process.
struct AdapterInfo {
  std::string_view peft_type;
  std::uint64_t generation = 0;
  std::int64_t rank = 0;
  std::int64_t num_parameters = 0;
  std::int64_t size_bytes = 0;
  std::int64_t num_sites = 0;
  float scale = 0;
  bool is_active = false;
  bool is_pinned = false;
  bool is_trainable = false;
};

// peft_adapter_estimate_t.
struct AdapterEstimate {
  std::int64_t size_bytes = 0;
  std::int64_t file_bytes = 0;
  std::int64_t num_parameters = 0;
  std::int64_t num_tensors = 0;
};

// What an adapter would take, from the index of its tensors alone.
// peft_estimate_adapter.
inline Result<AdapterEstimate> EstimateAdapter(Text path,
                                               Text subfolder = nullptr) {
  peft_adapter_estimate_t c = PEFT_ADAPTER_ESTIMATE_INIT;
  Status status(peft_estimate_adapter(path.c_str(), subfolder.c_str(), &c));
  if (!status.ok()) return status;
  return AdapterEstimate{c.size_bytes, c.file_bytes, c.num_parameters,
                         c.num_tensors};
}

// The same of an adapter whose folder is these files. peft_estimate_files.
inline Result<AdapterEstimate> EstimateFiles(Span<const File> files) {
  const std::vector<peft_file_t> c_files = detail::ToC(files);
  peft_adapter_estimate_t c = PEFT_ADAPTER_ESTIMATE_INIT;
  Status status(peft_estimate_files(c_files.data(), c_files.size(), &c));
  if (!status.ok()) return status;
  return AdapterEstimate{c.size_bytes, c.file_bytes, c.num_parameters,
                         c.num_tensors};
}

// peft_merge_options_t.
struct MergeOptions {
  // One per name; none: as peft_merge_options_t says.
  std::vector<float> scales;
  bool safe_merge = false;
};

// Returns true to go on, false to cancel. peft_progress_fn.
using ProgressCallback =
    std::function<bool(std::int64_t done, std::int64_t total)>;

// peft_merge_and_unload_options_t.
struct MergeAndUnloadOptions {
  // None: those that are merged now and those that are active.
  std::vector<std::string> names;
  // One per name; none: as peft_merge_options_t says.
  std::vector<float> scales;
  bool safe_merge = false;
  ProgressCallback on_progress;
};

// How adapters become one.
enum class CombinationType : std::int32_t {
  kSvd = PEFT_COMBINE_SVD,
  kLinear = PEFT_COMBINE_LINEAR,
  kCat = PEFT_COMBINE_CAT,
  kTies = PEFT_COMBINE_TIES,
  kTiesSvd = PEFT_COMBINE_TIES_SVD,
  kDareLinear = PEFT_COMBINE_DARE_LINEAR,
  kDareLinearSvd = PEFT_COMBINE_DARE_LINEAR_SVD,
  kDareTies = PEFT_COMBINE_DARE_TIES,
  kDareTiesSvd = PEFT_COMBINE_DARE_TIES_SVD,
  kMagnitudePrune = PEFT_COMBINE_MAGNITUDE_PRUNE,
  kMagnitudePruneSvd = PEFT_COMBINE_MAGNITUDE_PRUNE_SVD,
};

// How signs are voted on.
enum class MajoritySign : std::int32_t {
  kTotal = PEFT_MAJORITY_SIGN_TOTAL,
  kFrequency = PEFT_MAJORITY_SIGN_FREQUENCY,
};

// peft_combine_options_t.
struct CombineOptions {
  CombinationType combination_type = CombinationType::kSvd;
  MajoritySign majority_sign_method = MajoritySign::kTotal;
  std::int64_t svd_rank = 0;
  float svd_clamp = 0;
  float density = 0;
  std::uint64_t seed = 0;
  bool svd_full_matrices = true;
  std::optional<std::string> svd_driver;
};

namespace detail {

inline Status OneScaleEach(std::size_t num_names, std::size_t num_scales) {
  if (num_scales == 0 || num_scales == num_names) return Status();
  return Status::InvalidArgument(
      "The number of scales differs from that of the names: give one for each "
      "name, or none.");
}

inline peft_merge_options_t ToC(const MergeOptions& options) noexcept {
  peft_merge_options_t c;
  peft_merge_options_init(&c, sizeof(c));
  c.scales = OrNull(options.scales);
  c.safe_merge = options.safe_merge;
  return c;
}

inline std::int32_t CallProgress(void* user_data, std::int64_t done,
                                 std::int64_t total) {
  return (*static_cast<const ProgressCallback*>(user_data))(done, total) ? 0
                                                                         : 1;
}

// Borrows `options` and `names`.
inline peft_merge_and_unload_options_t ToC(const MergeAndUnloadOptions& options,
                                           const Names& names) noexcept {
  peft_merge_and_unload_options_t c;
  peft_merge_and_unload_options_init(&c, sizeof(c));
  c.names = names.data();
  c.num_names = names.size();
  c.scales = OrNull(options.scales);
  c.safe_merge = options.safe_merge;
  c.on_progress = options.on_progress ? &CallProgress : nullptr;
  c.user_data = UserData(options.on_progress);
  return c;
}

inline peft_combine_options_t ToC(const CombineOptions& options) noexcept {
  peft_combine_options_t c;
  peft_combine_options_init(&c, sizeof(c));
  c.combination_type = static_cast<std::int32_t>(options.combination_type);
  c.majority_sign_method =
      static_cast<std::int32_t>(options.majority_sign_method);
  c.svd_rank = options.svd_rank;
  c.svd_clamp = options.svd_clamp;
  c.density = options.density;
  c.seed = options.seed;
  c.svd_full_matrices = options.svd_full_matrices;
  c.svd_driver = OrNull(options.svd_driver);
  return c;
}

}  // namespace detail

// Adapters with scales that act together on a row. Immutable.
// peft_activation_t.
class Activation
    : public detail::Handle<peft_activation_t, peft_activation_free> {
 public:
  using Handle::Handle;
};

// --------------------------------------------------------------- host models

// What a layer of a host model computes.
enum class LayerKind : std::int32_t {
  kOther = PEFT_LAYER_OTHER,
  kLinear = PEFT_LAYER_LINEAR,
  kConv1dHf = PEFT_LAYER_CONV1D_HF,
  kEmbedding = PEFT_LAYER_EMBEDDING,
  kLayerNorm = PEFT_LAYER_LAYER_NORM,
  kRmsNorm = PEFT_LAYER_RMS_NORM,
  kConv = PEFT_LAYER_CONV,
  kMultiheadAttention = PEFT_LAYER_MULTIHEAD_ATTENTION,
  kParameter = PEFT_LAYER_PARAMETER,
};

// A layer of a host model. peft_layer_t.
struct Layer {
  std::string name;
  LayerKind kind = LayerKind::kOther;
  bool is_output_embedding = false;
  // Its data may be nullptr: the program keeps the weight to itself.
  std::optional<TensorView> weight;
  std::optional<TensorView> bias;
  // false: the memory of weight and bias is used as it is, until the model and
  // all calls on it are gone. Rows of a weight may lie apart, and so may the
  // columns of a matrix that is stored by these; all else is contiguous.
  bool copy_weights = true;
  bool is_transposed = false;
  std::array<std::int64_t, 3> stride = {1, 1, 1};
  std::array<std::int64_t, 3> padding = {0, 0, 0};
  std::array<std::int64_t, 3> padding_end = {-1, -1, -1};
  std::array<std::int64_t, 3> dilation = {1, 1, 1};
  std::int64_t groups = 1;
  double epsilon = 1e-5;
  // With copy_weights false: merging writes into weight and bias themselves.
  bool writable_weights = false;
};

// peft_run_layer_options_t.
struct RunLayerOptions {
  // -1: the layer has none.
  std::int64_t expert = -1;
  // One name for each row of x, or none.
  std::vector<std::string> adapter_names;
  // One for all rows or one for each; nullptr is the base model.
  std::vector<const Activation*> activations;
  // Of a runner on a CUDA device: the CUstream or cudaStream_t that the work is
  // put on; nullptr is the default stream.
  void* stream = nullptr;
};

// How layers run on a CUDA device. peft_cuda_options_t.
struct CudaOptions {
  std::int32_t device_index = 0;
  // Of x, y and weights: kF32, kF16 or kBF16.
  DType dtype = DType::kBF16;
  // Adapters are kept in it on the device: one of the same three.
  DType adapter_dtype = DType::kBF16;
  // Results depend on shapes alone.
  bool deterministic = false;
  // Adapters that act together, at most, and the largest sum of their ranks.
  std::int32_t max_adapters = 2;
  std::int32_t max_rank = 64;
  // Different activations that rows of calls may name before one makes room.
  std::int32_t max_activations = 8;
  // Of device memory, for adapters.
  std::int64_t adapter_bytes = std::int64_t{256} << 20;
  // Files to open in place of the system's.
  std::optional<std::string> driver_path;
  std::optional<std::string> cublaslt_path;
  // The machine code of the kernels, for a library that was built without. It
  // is run.
  std::optional<std::string> kernels_path;
};

// The kinds of forms; docs/lowered.md has the formulas.
enum class FormKind : std::int32_t {
  kScaleIn = PEFT_FORM_SCALE_IN,
  kWeight = PEFT_FORM_WEIGHT,
  kRows = PEFT_FORM_ROWS,
  kLowRank = PEFT_FORM_LOW_RANK,
  kScaleOut = PEFT_FORM_SCALE_OUT,
  kBias = PEFT_FORM_BIAS,
};

// A form's tensors.
enum class FormTensor : std::int32_t {
  kA = PEFT_FORM_TENSOR_A,
  kB = PEFT_FORM_TENSOR_B,
  kRankScale = PEFT_FORM_TENSOR_RANK_SCALE,
  kGate = PEFT_FORM_TENSOR_GATE,
  kFactor = PEFT_FORM_TENSOR_FACTOR,
  kWeight = PEFT_FORM_TENSOR_WEIGHT,
  kIds = PEFT_FORM_TENSOR_IDS,
  kRows = PEFT_FORM_TENSOR_ROWS,
  kBias = PEFT_FORM_TENSOR_BIAS,
};

// peft_form_t.
struct Form {
  FormKind kind = FormKind::kLowRank;
  float scale = 1;
};

// What adapters do at a layer, as forms in the order in which they act.
// Immutable. peft_lowered_t.
class Lowered : public detail::Handle<peft_lowered_t, peft_lowered_free> {
 public:
  using Handle::Handle;

  // peft_lowered_size.
  std::size_t Size() const noexcept { return peft_lowered_size(get()); }
  // peft_lowered_get_form.
  Result<Form> GetForm(std::size_t index) const {
    peft_form_t c = PEFT_FORM_INIT;
    Status status(peft_lowered_get_form(get(), index, &c));
    if (!status.ok()) return status;
    return Form{static_cast<FormKind>(c.kind), c.scale};
  }
  // Borrowed, until this object is gone. peft_lowered_get_tensor.
  Result<TensorView> GetTensor(std::size_t index, FormTensor tensor) const {
    return detail::MakeView([&](peft_tensor_view_t* out) {
      return peft_lowered_get_tensor(get(), index,
                                     static_cast<std::int32_t>(tensor), out);
    });
  }
};

namespace detail {

inline std::vector<const peft_activation_t*> ToC(
    const std::vector<const Activation*>& activations) {
  std::vector<const peft_activation_t*> c;
  for (const Activation* activation : activations) {
    c.push_back(activation != nullptr ? activation->get() : nullptr);
  }
  return c;
}

class CRunLayerOptions {
 public:
  explicit CRunLayerOptions(const RunLayerOptions& options)
      : adapter_names_(options.adapter_names),
        activations_(ToC(options.activations)) {
    peft_run_layer_options_init(&c_, sizeof(c_));
    c_.expert = options.expert;
    c_.adapter_names = adapter_names_.data();
    c_.num_adapter_names = adapter_names_.size();
    c_.activations = OrNull(activations_);
    c_.num_activations = activations_.size();
    c_.stream = options.stream;
  }
  const peft_run_layer_options_t* get() const noexcept { return &c_; }

 private:
  Names adapter_names_;
  std::vector<const peft_activation_t*> activations_;
  peft_run_layer_options_t c_;
};

// Borrows `options`.
inline peft_cuda_options_t ToC(const CudaOptions& options) noexcept {
  peft_cuda_options_t c;
  peft_cuda_options_init(&c, sizeof(c));
  c.device_index = options.device_index;
  c.dtype = static_cast<std::int32_t>(options.dtype);
  c.adapter_dtype = static_cast<std::int32_t>(options.adapter_dtype);
  c.deterministic = options.deterministic;
  c.max_adapters = options.max_adapters;
  c.max_rank = options.max_rank;
  c.max_activations = options.max_activations;
  c.adapter_bytes = options.adapter_bytes;
  c.driver_path = OrNull(options.driver_path);
  c.cublaslt_path = OrNull(options.cublaslt_path);
  c.kernels_path = OrNull(options.kernels_path);
  return c;
}

// Layers as C takes them, borrowed from the C++ ones.
class CLayers {
 public:
  explicit CLayers(Span<const Layer> layers)
      : views_(2 * layers.size()), layers_(layers.size()) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      SetLayer(layers[i], &views_[2 * i], &layers_[i]);
    }
  }
  // Whether all sizes fit.
  static Status Check(Span<const Layer> layers) {
    for (const Layer& layer : layers) {
      for (const std::optional<TensorView>* view :
           {&layer.weight, &layer.bias}) {
        if (!*view) continue;
        Status status = detail::Check(**view);
        if (!status.ok()) return status;
      }
    }
    return Status();
  }
  const peft_layer_t* data() const noexcept { return layers_.data(); }
  std::size_t size() const noexcept { return layers_.size(); }

 private:
  static void SetLayer(const Layer& layer, peft_tensor_view_t* views,
                       peft_layer_t* c) noexcept {
    peft_layer_init(c, sizeof(*c));
    c->name = Text(layer.name).c_str();
    c->kind = static_cast<std::int32_t>(layer.kind);
    c->is_output_embedding = layer.is_output_embedding;
    c->weight = SetView(layer.weight, &views[0]);
    c->bias = SetView(layer.bias, &views[1]);
    c->copy_weights = layer.copy_weights;
    c->is_transposed = layer.is_transposed;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      c->stride[axis] = layer.stride[axis];
      c->padding[axis] = layer.padding[axis];
      c->padding_end[axis] = layer.padding_end[axis];
      c->dilation[axis] = layer.dilation[axis];
    }
    c->groups = layer.groups;
    c->epsilon = layer.epsilon;
    c->writable_weights = layer.writable_weights;
  }
  static const peft_tensor_view_t* SetView(
      const std::optional<TensorView>& view, peft_tensor_view_t* c) noexcept {
    if (!view) return nullptr;
    *c = ToC(*view);
    return c;
  }

  std::vector<peft_tensor_view_t> views_;
  std::vector<peft_layer_t> layers_;
};

}  // namespace detail

// A base model, or a program's own layers, with any number of adapters.
// Thread-safe. peft_model_t.
class Model : public detail::Handle<peft_model_t, peft_model_free> {
 public:
  using Handle::Handle;

  // The model in the folder, or of the Hub id, `path`; nullptr: the one that
  // the adapters of options.for_adapters name. peft_model_open.
  static Result<Model> Open(Text path, const ModelOptions& options = {}) {
    const detail::CModelOptions c(options);
    return detail::Make<Model, peft_model_t>([&](peft_model_t** out) {
      return peft_model_open(path.c_str(), c.get(), out);
    });
  }
  // A model of the program's own layers. peft_model_create.
  static Result<Model> Create(Span<const Layer> layers,
                              const ModelOptions& options = {}) {
    Status status = detail::CLayers::Check(layers);
    if (!status.ok()) return status;
    const detail::CLayers c_layers(layers);
    const detail::CModelOptions c(options);
    return detail::Make<Model, peft_model_t>([&](peft_model_t** out) {
      return peft_model_create(c_layers.data(), c_layers.size(), c.get(), out);
    });
  }

  // peft_model_get_info.
  Result<ModelInfo> Info() const {
    peft_model_info_t c = PEFT_MODEL_INFO_INIT;
    Status status(peft_model_get_info(get(), &c));
    if (!status.ok()) return status;
    return ModelInfo{detail::OrEmpty(c.model_type),
                     c.vocab_size,
                     c.hidden_size,
                     c.num_layers,
                     c.max_position_embeddings,
                     c.num_parameters,
                     c.size_bytes,
                     c.num_sites,
                     c.num_adapters,
                     c.adapter_bytes,
                     detail::OrEmpty(c.architecture),
                     static_cast<Task>(c.task),
                     c.num_labels,
                     c.num_token_types};
  }

  // Loads the folder, or the Hub id, `path` under `name` (nullptr: "default")
  // and makes it the only active adapter. peft_model_load_adapter.
  Status LoadAdapter(Text name, Text path, const LoadOptions& options = {},
                     LoadReport* out_report = nullptr) {
    const detail::CLoadOptions c(options);
    return WithReport(out_report, [&](peft_load_report_t** out) {
      return peft_model_load_adapter(get(), name.c_str(), path.c_str(), c.get(),
                                     out);
    });
  }
  // The same from memory. peft_model_load_adapter_from_memory.
  Status LoadAdapterFromMemory(Text name, Text config_json,
                               const StateDict& state_dict,
                               const LoadOptions& options = {},
                               LoadReport* out_report = nullptr) {
    const detail::CLoadOptions c(options);
    return WithReport(out_report, [&](peft_load_report_t** out) {
      return peft_model_load_adapter_from_memory(
          get(), name.c_str(), config_json.c_str(), state_dict.get(), c.get(),
          out);
    });
  }
  // A fresh adapter. peft_model_add_adapter.
  Status AddAdapter(Text name, Text config_json,
                    const AddAdapterOptions& options = {}) {
    peft_add_adapter_options_t c;
    peft_add_adapter_options_init(&c, sizeof(c));
    c.seed = options.seed;
    return Status(
        peft_model_add_adapter(get(), name.c_str(), config_json.c_str(), &c));
  }
  // Makes exactly these adapters active, in this order. peft_model_set_adapter.
  Status SetAdapter(const Names& names, const SetAdapterOptions& options = {}) {
    Status status = detail::OneScaleEach(names.size(), options.scales.size());
    if (!status.ok()) return status;
    peft_set_adapter_options_t c;
    peft_set_adapter_options_init(&c, sizeof(c));
    c.scales = detail::OrNull(options.scales);
    return Status(
        peft_model_set_adapter(get(), names.data(), names.size(), &c));
  }
  // peft_model_disable_adapters.
  Status DisableAdapters() {
    return Status(peft_model_disable_adapters(get()));
  }
  // peft_model_enable_adapters.
  Status EnableAdapters() { return Status(peft_model_enable_adapters(get())); }
  // peft_model_active_adapters.
  Result<std::vector<std::string>> ActiveAdapters() const {
    return detail::MakeStrings([this](peft_string_list_t** out) {
      return peft_model_active_adapters(get(), out);
    });
  }
  // peft_model_list_adapters.
  Result<std::vector<std::string>> ListAdapters() const {
    return detail::MakeStrings([this](peft_string_list_t** out) {
      return peft_model_list_adapters(get(), out);
    });
  }
  // Of `name`, or of the first active one. peft_model_get_adapter_state_dict.
  Result<StateDict> GetAdapterStateDict(Text name = nullptr) const {
    return detail::Make<StateDict, peft_state_dict_t>(
        [&](peft_state_dict_t** out) {
          return peft_model_get_adapter_state_dict(get(), name.c_str(), out);
        });
  }
  // peft_model_delete_adapter.
  Status DeleteAdapter(const Names& names) {
    return Status(peft_model_delete_adapter(get(), names.data(), names.size()));
  }

  // Writes adapter `name` (nullptr: the first active one) as the folder `path`.
  // peft_model_save_adapter.
  Status SaveAdapter(Text name, Text path,
                     const SaveOptions& options = {}) const {
    peft_save_options_t c;
    peft_save_options_init(&c, sizeof(c));
    c.overwrite = options.overwrite;
    c.path_initial_model_for_weight_conversion =
        options.path_initial_model_for_weight_conversion.c_str();
    return Status(
        peft_model_save_adapter(get(), name.c_str(), path.c_str(), &c));
  }
  // Of `name`, or of the first active one. peft_model_get_adapter_info.
  Result<AdapterInfo> GetAdapterInfo(Text name = nullptr) const {
    peft_adapter_info_t c = PEFT_ADAPTER_INFO_INIT;
    Status status(peft_model_get_adapter_info(get(), name.c_str(), &c));
    if (!status.ok()) return status;
    return AdapterInfo{
        c.peft_type,      c.generation,       c.rank,  c.num_parameters,
        c.size_bytes,     c.num_sites,        c.scale, c.is_active != 0,
        c.is_pinned != 0, c.is_trainable != 0};
  }
  // Of `name`, or of the first active one. peft_model_get_adapter_source.
  Result<std::string> GetAdapterSource(Text name = nullptr) const {
    return detail::MakeString([&](peft_string_t** out) {
      return peft_model_get_adapter_source(get(), name.c_str(), out);
    });
  }
  // Of `name`, or of the first active one. peft_model_get_adapter_config.
  Result<std::string> GetAdapterConfig(Text name = nullptr) const {
    return detail::MakeString([&](peft_string_t** out) {
      return peft_model_get_adapter_config(get(), name.c_str(), out);
    });
  }
  // peft_model_has_adapter.
  Result<bool> HasAdapter(Text name) const {
    std::int32_t has = 0;
    Status status(peft_model_has_adapter(get(), name.c_str(), &has));
    if (!status.ok()) return status;
    return has != 0;
  }
  // peft_model_rename_adapter.
  Status RenameAdapter(Text name, Text new_name) {
    return Status(
        peft_model_rename_adapter(get(), name.c_str(), new_name.c_str()));
  }
  // Puts the adapter at `path` in the place of `name`.
  // peft_model_replace_adapter.
  Status ReplaceAdapter(Text name, Text path, const LoadOptions& options = {},
                        LoadReport* out_report = nullptr) {
    const detail::CLoadOptions c(options);
    return WithReport(out_report, [&](peft_load_report_t** out) {
      return peft_model_replace_adapter(get(), name.c_str(), path.c_str(),
                                        c.get(), out);
    });
  }
  // The same from memory. peft_model_replace_adapter_from_memory.
  Status ReplaceAdapterFromMemory(Text name, Text config_json,
                                  const StateDict& state_dict,
                                  const LoadOptions& options = {},
                                  LoadReport* out_report = nullptr) {
    const detail::CLoadOptions c(options);
    return WithReport(out_report, [&](peft_load_report_t** out) {
      return peft_model_replace_adapter_from_memory(
          get(), name.c_str(), config_json.c_str(), state_dict.get(), c.get(),
          out);
    });
  }
  // peft_model_set_scale.
  Status SetScale(Text name, float scale) {
    return Status(peft_model_set_scale(get(), name.c_str(), scale));
  }
  // 0: no limit. peft_model_set_adapter_limit.
  Status SetAdapterLimit(std::int64_t max_bytes, std::int64_t max_adapters) {
    return Status(peft_model_set_adapter_limit(get(), max_bytes, max_adapters));
  }
  // peft_model_pin_adapter.
  Status PinAdapter(Text name, bool pinned = true) {
    return Status(peft_model_pin_adapter(get(), name.c_str(), pinned));
  }
  // Adapters with as many scales (none: all 1) for calls of their own choice.
  // peft_activation_create.
  Result<Activation> CreateActivation(const Names& names,
                                      Span<const float> scales = {}) const {
    Status status = detail::OneScaleEach(names.size(), scales.size());
    if (!status.ok()) return status;
    return detail::Make<Activation, peft_activation_t>(
        [&](peft_activation_t** out) {
          return peft_activation_create(
              get(), names.data(), scales.empty() ? nullptr : scales.data(),
              names.size(), out);
        });
  }

  // None: those that are active. peft_model_merge_adapter.
  Status MergeAdapter(const Names& names = {},
                      const MergeOptions& options = {}) {
    Status status = detail::OneScaleEach(names.size(), options.scales.size());
    if (!status.ok()) return status;
    const peft_merge_options_t c = detail::ToC(options);
    return Status(
        peft_model_merge_adapter(get(), names.data(), names.size(), &c));
  }
  // peft_model_unmerge_adapter.
  Status UnmergeAdapter() { return Status(peft_model_unmerge_adapter(get())); }
  // peft_model_merged_adapters.
  Result<std::vector<std::string>> MergedAdapters() const {
    return detail::MakeStrings([this](peft_string_list_t** out) {
      return peft_model_merged_adapters(get(), out);
    });
  }
  // Writes the merged model as the folder `path`; this one does not change.
  // peft_model_merge_and_unload.
  Status MergeAndUnload(Text path,
                        const MergeAndUnloadOptions& options = {}) const {
    Status status =
        detail::OneScaleEach(options.names.size(), options.scales.size());
    if (!status.ok()) return status;
    const Names names(options.names);
    const peft_merge_and_unload_options_t c = detail::ToC(options, names);
    return Status(peft_model_merge_and_unload(get(), path.c_str(), &c));
  }
  // Writes the base of a model that was opened with a weight_format as the
  // folder `path`. peft_model_write_quantized.
  Status WriteQuantized(Text path,
                        const ProgressCallback& on_progress = {}) const {
    return Status(peft_model_write_quantized(
        get(), path.c_str(), on_progress ? &detail::CallProgress : nullptr,
        detail::UserData(on_progress)));
  }
  // Deletes all adapters. peft_model_unload.
  Status Unload() { return Status(peft_model_unload(get())); }
  // Makes adapter `new_name` of these, with one weight each.
  // peft_model_add_weighted_adapter.
  Status AddWeightedAdapter(Text new_name, const Names& names,
                            Span<const float> weights,
                            const CombineOptions& options = {}) {
    if (weights.size() != names.size()) {
      return Status::InvalidArgument(
          "The number of weights differs from that of the names: give one for "
          "each name.");
    }
    const peft_combine_options_t c = detail::ToC(options);
    return Status(peft_model_add_weighted_adapter(get(), new_name.c_str(),
                                                  names.data(), weights.data(),
                                                  names.size(), &c));
  }
  // Measures what `name`, or the first active one, does to random input.
  // peft_model_probe_adapter.
  Result<ProbeReport> ProbeAdapter(Text name = nullptr,
                                   const ProbeOptions& options = {}) const {
    peft_probe_options_t c;
    peft_probe_options_init(&c, sizeof(c));
    c.seed = options.seed;
    c.rows = options.rows;
    return detail::Make<ProbeReport, peft_probe_report_t>(
        [&](peft_probe_report_t** out) {
          return peft_model_probe_adapter(get(), name.c_str(), &c, out);
        });
  }

  // What layer `name` computes from `x`, in F32. peft_model_run_layer.
  Result<Tensor> RunLayer(Text name, const TensorView& x,
                          const RunLayerOptions& options = {}) const {
    Status status = detail::Check(x);
    if (!status.ok()) return status;
    const peft_tensor_view_t c_x = detail::ToC(x);
    const detail::CRunLayerOptions c(options);
    return detail::Make<Tensor, peft_tensor_t>([&](peft_tensor_t** out) {
      return peft_model_run_layer(get(), name.c_str(), &c_x, c.get(), out);
    });
  }
  // The number of layer `name`, or of a matrix of a parameter with experts, for
  // LayerRunner and LowerLayer. peft_model_find_layer.
  Result<std::int64_t> FindLayer(Text name, std::int64_t expert = -1) const {
    std::int64_t layer = 0;
    Status status(peft_model_find_layer(get(), name.c_str(), expert, &layer));
    if (!status.ok()) return status;
    return layer;
  }
  // What `activation`, or with nullptr what is active, does at `layer`.
  // peft_model_lower_layer.
  Result<Lowered> LowerLayer(std::int64_t layer,
                             const Activation* activation = nullptr) const {
    return detail::Make<Lowered, peft_lowered_t>([&](peft_lowered_t** out) {
      return peft_model_lower_layer(
          get(), layer, activation != nullptr ? activation->get() : nullptr,
          out);
    });
  }

 private:
  // Calls with a place for a report only where one is wanted.
  template <typename Call>
  static Status WithReport(LoadReport* out_report, Call&& call) {
    if (out_report == nullptr) return Status(call(nullptr));
    peft_load_report_t* report = nullptr;
    Status status(call(&report));
    out_report->reset(report);
    return status;
  }
};

// A JSON object that describes the adapter in the folder, or of the Hub id,
// `path`; with a model also which of its modules match. peft_inspect_adapter.
inline Result<std::string> InspectAdapter(Text path, Text subfolder = nullptr,
                                          const Model* model = nullptr) {
  return detail::MakeString([&](peft_string_t** out) {
    return peft_inspect_adapter(path.c_str(), subfolder.c_str(),
                                model != nullptr ? model->get() : nullptr, out);
  });
}

// The same of an adapter whose folder is these files. peft_inspect_files.
inline Result<std::string> InspectFiles(Span<const File> files,
                                        const Model* model = nullptr) {
  const std::vector<peft_file_t> c_files = detail::ToC(files);
  return detail::MakeString([&](peft_string_t** out) {
    return peft_inspect_files(c_files.data(), c_files.size(),
                              model != nullptr ? model->get() : nullptr, out);
  });
}

// Workspace in which layers of a model run, for a program's own forward: one
// for each thread. One on a CUDA device takes x and y in the memory of that
// device (TensorView::OnCuda), and its calls return before their work is done;
// no CUDA graph of them may run when it is gone.
// peft_layer_runner_t.
class LayerRunner
    : public detail::Handle<peft_layer_runner_t, peft_layer_runner_free> {
 public:
  using Handle::Handle;

  // peft_layer_runner_create.
  static Result<LayerRunner> Create(const Model& model) {
    return detail::Make<LayerRunner, peft_layer_runner_t>(
        [&](peft_layer_runner_t** out) {
          return peft_layer_runner_create(model.get(), out);
        });
  }
  // On a CUDA device, with its primary context. peft_layer_runner_create_cuda.
  static Result<LayerRunner> CreateCuda(const Model& model,
                                        const CudaOptions& options = {}) {
    const peft_cuda_options_t c = detail::ToC(options);
    return detail::Make<LayerRunner, peft_layer_runner_t>(
        [&](peft_layer_runner_t** out) {
          return peft_layer_runner_create_cuda(model.get(), &c, out);
        });
  }

  // Writes what the adapted layer computes from `x` to the elements of `y`,
  // which must be writable. peft_layer_runner_run.
  Status Run(std::int64_t layer, const TensorView& x, const TensorView& y,
             const RunLayerOptions& options = {}) {
    return Call(peft_layer_runner_run, layer, x, y, options);
  }
  // Adds what adapters add to the elements of `y`, which the program computed
  // from `x`. peft_layer_runner_add_delta.
  Status AddDelta(std::int64_t layer, const TensorView& x, const TensorView& y,
                  const RunLayerOptions& options = {}) {
    return Call(peft_layer_runner_add_delta, layer, x, y, options);
  }

  // Says where the layer has its weight on the CUDA device, whose memory must
  // not go before the runner did and its work has ended. Run needs it.
  // peft_layer_runner_set_weight.
  Status SetWeight(std::int64_t layer, const TensorView& weight) {
    Status status = detail::Check(weight);
    if (!status.ok()) return status;
    const peft_tensor_view_t c = detail::ToC(weight);
    return Status(peft_layer_runner_set_weight(get(), layer, &c));
  }
  // Makes what is active on the model now act in all work that is put on
  // `stream` afterwards, in CUDA graphs, too. peft_layer_runner_update.
  Status Update(void* stream = nullptr) {
    return Status(peft_layer_runner_update(get(), stream));
  }

 private:
  template <typename Function>
  Status Call(Function function, std::int64_t layer, const TensorView& x,
              const TensorView& y, const RunLayerOptions& options) {
    for (const TensorView* view : {&x, &y}) {
      Status status = detail::Check(*view);
      if (!status.ok()) return status;
    }
    const peft_tensor_view_t c_x = detail::ToC(x);
    const peft_tensor_view_t c_y = detail::ToC(y);
    const detail::CRunLayerOptions c(options);
    return Status(function(get(), layer, &c_x, c.get(), &c_y));
  }
};

// ------------------------------------------------------------------- sessions

// peft_session_options_t.
struct SessionOptions {
  // 0: as memory allows.
  std::int64_t max_length = 0;
  // Rounds what goes into bf16 layers where that is faster.
  bool round_activations = false;
};

// Token ids, row by row, borrowed. peft_forward_input_t.
struct ForwardInput {
  ForwardInput() = default;
  // `rows` rows of as many ids each.
  ForwardInput(Span<const std::int64_t> row_ids,  // NOLINT: implicit
               std::int64_t rows = 1)
      : ids(row_ids), batch(rows) {}

  Span<const std::int64_t> ids;
  std::int64_t batch = 1;
  // As many as ids, or none.
  Span<const std::int64_t> attention_mask;
  Span<const std::int64_t> position_ids;
  Span<const std::int64_t> token_type_ids;
};

// What a forward can give back; values that add up.
enum class Output : std::int32_t {
  kLogits = PEFT_OUTPUT_LOGITS,
  kLastHiddenState = PEFT_OUTPUT_LAST_HIDDEN_STATE,
  kPoolerOutput = PEFT_OUTPUT_POOLER_OUTPUT,
};
constexpr Output operator|(Output a, Output b) noexcept {
  return static_cast<Output>(static_cast<std::int32_t>(a) |
                             static_cast<std::int32_t>(b));
}

// peft_forward_options_t.
struct ForwardOptions {
  // 0: of all positions.
  std::int64_t logits_to_keep = 0;
  bool allow_activation_change = false;
  // One name for each row, or none.
  std::vector<std::string> adapter_names;
  // One for all rows or one for each; nullptr is the base model.
  std::vector<const Activation*> activations;
  // Output() is 0: what the model's class is for.
  Output outputs = Output();
};

// Called for each new token of each row; returns true to go on, false to
// cancel. peft_token_fn.
using TokenCallback = std::function<bool(std::int64_t row, std::int64_t token)>;

// peft_generate_options_t.
struct GenerateOptions {
  std::int64_t max_new_tokens = 20;
  bool do_sample = false;
  float temperature = 1;
  std::int64_t top_k = 50;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  std::uint64_t seed = 0;
  // None: the model's own.
  std::vector<std::int64_t> eos_token_ids;
  bool ignore_eos = false;
  // A row ends when its new tokens end in one of these.
  std::vector<std::vector<std::int64_t>> stop_sequences;
  TokenCallback on_token;
  // One name for each row, or none.
  std::vector<std::string> adapter_names;
  // One for all rows or one for each; nullptr is the base model.
  std::vector<const Activation*> activations;
};

// Why a row ended.
enum class FinishReason : std::int32_t {
  kLength = PEFT_FINISH_LENGTH,
  kEos = PEFT_FINISH_EOS,
  kStop = PEFT_FINISH_STOP,
};

// What generate made. Immutable. peft_generate_result_t.
class GenerateResult
    : public detail::Handle<peft_generate_result_t, peft_generate_result_free> {
 public:
  using Handle::Handle;

  // peft_generate_result_num_rows.
  std::size_t NumRows() const noexcept {
    return peft_generate_result_num_rows(get());
  }
  // The new tokens; none when there is no such row. Borrowed, until the result
  // is gone. peft_generate_result_tokens.
  Span<const std::int64_t> Tokens(std::size_t row) const noexcept {
    std::size_t size = 0;
    const std::int64_t* const tokens =
        peft_generate_result_tokens(get(), row, &size);
    return {tokens, size};
  }
  // FinishReason() is 0: no such row. peft_generate_result_finish_reason.
  FinishReason Finish(std::size_t row) const noexcept {
    return static_cast<FinishReason>(
        peft_generate_result_finish_reason(get(), row));
  }
};

namespace detail {

inline Result<peft_forward_input_t> ToC(const ForwardInput& input) {
  const std::size_t size = input.ids.size();
  const auto batch = static_cast<std::size_t>(input.batch);
  if (input.batch < 1 || size % batch != 0) {
    return Status::InvalidArgument(
        "The number of ids is no multiple of batch: give each row as many.");
  }
  for (const auto& other :
       {input.attention_mask, input.position_ids, input.token_type_ids}) {
    if (other.empty() || other.size() == size) continue;
    return Status::InvalidArgument(
        "attention_mask, position_ids or token_type_ids has another number of "
        "elements than ids: give as many, or none.");
  }
  peft_forward_input_t c;
  peft_forward_input_init(&c, sizeof(c));
  c.ids = input.ids.data();
  c.batch = input.batch;
  c.length = static_cast<std::int64_t>(size / batch);
  if (!input.attention_mask.empty()) {
    c.attention_mask = input.attention_mask.data();
  }
  if (!input.position_ids.empty()) c.position_ids = input.position_ids.data();
  if (!input.token_type_ids.empty()) {
    c.token_type_ids = input.token_type_ids.data();
  }
  return c;
}

// Options as C takes them, borrowed from the C++ ones.
class CForwardOptions {
 public:
  explicit CForwardOptions(const ForwardOptions& options)
      : adapter_names_(options.adapter_names),
        activations_(ToC(options.activations)) {
    peft_forward_options_init(&c_, sizeof(c_));
    c_.logits_to_keep = options.logits_to_keep;
    c_.allow_activation_change = options.allow_activation_change;
    c_.adapter_names = adapter_names_.data();
    c_.num_adapter_names = adapter_names_.size();
    c_.activations = activations_.data();
    c_.num_activations = activations_.size();
    c_.outputs = static_cast<std::int32_t>(options.outputs);
  }
  const peft_forward_options_t* get() const noexcept { return &c_; }

 private:
  Names adapter_names_;
  std::vector<const peft_activation_t*> activations_;
  peft_forward_options_t c_;
};

inline std::int32_t CallToken(void* user_data, std::int64_t row,
                              std::int64_t token) {
  return (*static_cast<const TokenCallback*>(user_data))(row, token) ? 0 : 1;
}

class CGenerateOptions {
 public:
  explicit CGenerateOptions(const GenerateOptions& options)
      : adapter_names_(options.adapter_names),
        activations_(ToC(options.activations)) {
    for (const std::vector<std::int64_t>& stop : options.stop_sequences) {
      stop_tokens_.insert(stop_tokens_.end(), stop.begin(), stop.end());
      stop_lengths_.push_back(stop.size());
    }
    peft_generate_options_init(&c_, sizeof(c_));
    SetSampling(options);
    c_.eos_token_ids = options.eos_token_ids.data();
    c_.num_eos_token_ids = options.eos_token_ids.size();
    c_.ignore_eos = options.ignore_eos;
    c_.stop_tokens = stop_tokens_.data();
    c_.stop_sequence_lengths = stop_lengths_.data();
    c_.num_stop_sequences = stop_lengths_.size();
    c_.on_token = options.on_token ? &CallToken : nullptr;
    c_.user_data = UserData(options.on_token);
    c_.adapter_names = adapter_names_.data();
    c_.num_adapter_names = adapter_names_.size();
    c_.activations = activations_.data();
    c_.num_activations = activations_.size();
  }
  const peft_generate_options_t* get() const noexcept { return &c_; }

 private:
  void SetSampling(const GenerateOptions& options) noexcept {
    c_.max_new_tokens = options.max_new_tokens;
    c_.do_sample = options.do_sample;
    c_.temperature = options.temperature;
    c_.top_k = options.top_k;
    c_.top_p = options.top_p;
    c_.min_p = options.min_p;
    c_.repetition_penalty = options.repetition_penalty;
    c_.seed = options.seed;
  }

  Names adapter_names_;
  std::vector<const peft_activation_t*> activations_;
  std::vector<std::int64_t> stop_tokens_;
  std::vector<std::size_t> stop_lengths_;
  peft_generate_options_t c_;
};

}  // namespace detail

// A KV cache with its workspace. Thread-compatible. peft_session_t.
class Session : public detail::Handle<peft_session_t, peft_session_free> {
 public:
  using Handle::Handle;

  // An empty session of `model`, which it does not need to outlive.
  // peft_session_create.
  static Result<Session> Create(const Model& model,
                                const SessionOptions& options = {}) {
    peft_session_options_t c;
    peft_session_options_init(&c, sizeof(c));
    c.max_length = options.max_length;
    c.round_activations = options.round_activations;
    return detail::Make<Session, peft_session_t>([&](peft_session_t** out) {
      return peft_session_create(model.get(), &c, out);
    });
  }

  // Empties the cache. peft_session_reset.
  Status Reset() { return Status(peft_session_reset(get())); }
  // peft_session_cache_length.
  std::int64_t CacheLength() const noexcept {
    return peft_session_cache_length(get());
  }
  // Runs the tokens after those in the cache; GetOutput then gives what was
  // computed. peft_session_forward without out_logits.
  Status Forward(const ForwardInput& input,
                 const ForwardOptions& options = {}) {
    Result<peft_forward_input_t> c_input = detail::ToC(input);
    if (!c_input.ok()) return std::move(c_input).status();
    const detail::CForwardOptions c(options);
    return Status(peft_session_forward(get(), &*c_input, c.get(), nullptr));
  }
  // The same; returns the logits, borrowed until the next call on the session.
  // peft_session_forward.
  Result<TensorView> ForwardLogits(const ForwardInput& input,
                                   const ForwardOptions& options = {}) {
    Result<peft_forward_input_t> c_input = detail::ToC(input);
    if (!c_input.ok()) return std::move(c_input).status();
    const detail::CForwardOptions c(options);
    return detail::MakeView([&](peft_tensor_view_t* out) {
      return peft_session_forward(get(), &*c_input, c.get(), out);
    });
  }
  // What the last forward gave back, borrowed until the next call that
  // computes. peft_session_get_output.
  Result<TensorView> GetOutput(Output output) const {
    return detail::MakeView([&](peft_tensor_view_t* out) {
      return peft_session_get_output(get(), static_cast<std::int32_t>(output),
                                     out);
    });
  }
  // Resets the session, then generates. peft_session_generate.
  Result<GenerateResult> Generate(const ForwardInput& input,
                                  const GenerateOptions& options = {}) {
    Result<peft_forward_input_t> c_input = detail::ToC(input);
    if (!c_input.ok()) return std::move(c_input).status();
    const detail::CGenerateOptions c(options);
    return detail::Make<GenerateResult, peft_generate_result_t>(
        [&](peft_generate_result_t** out) {
          return peft_session_generate(get(), &*c_input, c.get(), out);
        });
  }
};

}  // namespace cpp1
}  // namespace peft

#endif  // PEFT_C_PEFT_HPP_
