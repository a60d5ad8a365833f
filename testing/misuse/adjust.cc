// What the types of the header do not say of its structs.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

#include "testing/misuse/call.h"

namespace peft {
namespace {

// Where a forward would go on for ever, or nearly so.
constexpr int64_t kMostNewTokens = 20;

int64_t DrawSize(Random& random) {
  static constexpr int64_t kSizes[] = {1, 2, 3, 4, 4, 32, 0};
  static constexpr int64_t kOdd[] = {
      -1,
      std::numeric_limits<int64_t>::min(),
      std::numeric_limits<int64_t>::max(),
      int64_t{1} << 61,
      int64_t{1} << 52,
  };
  return random.Percent(96) ? random.Of(kSizes) : random.Of(kOdd);
}

// The product of `sizes`; 0 for one that no memory could have, or where one is
// negative.
int64_t SmallProduct(const int64_t* sizes, int32_t rank) {
  int64_t product = 1;
  for (int32_t i = 0; i < rank; ++i) {
    if (sizes[i] < 0 || sizes[i] > 4096) return 0;
    product *= sizes[i];
    if (product > 1 << 20) return 0;
  }
  return product;
}

// Bytes of an element, at most.
constexpr int64_t kElement = 8;

// Elements of small values in any of the types.
char* DrawElements(Call& call, size_t size) {
  char* const memory = call.Allocate(size);
  for (size_t i = 0; i < size; ++i) {
    const bool is_odd = call.random().Percent(2);
    memory[i] = is_odd ? '\xff' : static_cast<char>(i % 8 == 0);
  }
  return memory;
}

// The axis i moves by 1 element at most: the reach stays within the product.
void DrawStrides(Call& call, int32_t rank, int64_t* strides) {
  static constexpr int64_t kOdd[] = {std::numeric_limits<int64_t>::min(),
                                     std::numeric_limits<int64_t>::max()};
  for (int32_t i = 0; i < rank; ++i) {
    strides[i] = call.random().Percent(95)
                     ? static_cast<int64_t>(call.random().Below(2))
                     : call.random().Of(kOdd);
  }
}

template <typename Value>
const Value* DrawIds(Call& call, const char* name, int64_t count) {
  // None, or more than memory could have: not to be looked at.
  if (count <= 0) return reinterpret_cast<Value*>(call.Allocate(1));
  return call.Numbers<Value>(name, static_cast<size_t>(count));
}

// Without requests an endpoint is any text. There must be no request but by a
// transport that is the run's own.
template <typename Options>
void AdjustHub(Call& call, Options& options) {
  if (options.transport == nullptr) return;
  call.KeepSize();
  options.endpoint = "http://hub.test";
  options.force_download = 0;
}

// -- Files --------------------------------------------------------------------

// What a file that is read by a function holds.
struct Contents {
  const char* data;
  int64_t size;
};

// Up to `size` bytes, as long as there are some.
int64_t ReadSome(const Contents& contents, int64_t offset, void* buffer,
                 int64_t size) {
  if (offset < 0 || offset >= contents.size) return 0;
  const int64_t count = std::min(size, contents.size - offset);
  std::memcpy(buffer, contents.data + offset, count);
  return count;
}

int64_t ReadAll(void* user_data, int64_t offset, void* buffer, int64_t size) {
  return ReadSome(*static_cast<Contents*>(user_data), offset, buffer, size);
}

int64_t ReadSlowly(void* user_data, int64_t offset, void* buffer,
                   int64_t size) {
  return ReadSome(*static_cast<Contents*>(user_data), offset, buffer,
                  std::min<int64_t>(size, 1 + offset % 1000));
}

int64_t ReadTooMuch(void* user_data, int64_t offset, void* buffer,
                    int64_t size) {
  return ReadAll(user_data, offset, buffer, size) + size;
}

int64_t ThrowOnRead(void*, int64_t, void*, int64_t) {
  throw std::runtime_error("read");
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Gives the file of a kind its bytes.
void SetContents(Call& call, const std::string& path, peft_file_t& file) {
  const std::string bytes = ReadFile(path);
  char* const data = call.Allocate(bytes.size());
  std::memcpy(data, bytes.data(), bytes.size());
  file.size = static_cast<int64_t>(bytes.size());
  if (file.kind == PEFT_FILE_MEMORY) file.data = data;
  if (file.kind == PEFT_FILE_FD) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    file.fd = fd;
    call.AtEnd([fd](bool) { close(fd); });
  }
  if (file.kind == PEFT_FILE_READ) {
    static constexpr peft_read_fn kReads[] = {ReadAll, ReadAll, ReadSlowly,
                                              ReadTooMuch, ThrowOnRead};
    file.read = call.random().Of(kReads);
    file.user_data =
        new (call.Allocate(sizeof(Contents))) Contents{data, file.size};
  }
}

}  // namespace

template <>
void Adjust(Call& call, peft_file_t& file) {
  static constexpr const char* kFiles[] = {
      "lora/adapter_config.json", "lora/adapter_model.safetensors",
      "lora/adapter_config.json", "lora/adapter_model.safetensors",
      "llama/config.json",        "llama/model.safetensors"};
  Random& random = call.random();
  if (random.Percent(70)) file.kind = 1 + static_cast<int32_t>(random.Below(3));
  if (random.Percent(80)) file.offset = 0;
  const std::string path = random.Of(kFiles);
  SetContents(call, path, file);
  const std::string name = path.substr(path.find('/') + 1);
  if (random.Percent(90)) {
    char* const text = call.Allocate(name.size() + 1);
    std::memcpy(text, name.c_str(), name.size() + 1);
    file.name = text;
  }
  // No more than there is.
  if (random.Percent(5)) file.size = -1;
  if (random.Percent(5)) file.size /= 2;
  if (random.Percent(3)) file.fd = -1;
  if (file.copy_data != 1) call.KeepMemory();
  call.Note(absl::StrCat("contents of ", path, " kind=", file.kind,
                         " size=", file.size, " "));
}

template <>
void Adjust(Call& call, peft_tensor_view_t& view) {
  Random& random = call.random();
  if (random.Percent(60)) view.dtype = PEFT_DTYPE_F32;
  if (random.Percent(60)) view.rank = static_cast<int32_t>(random.Below(4));
  if (random.Percent(90)) view.device_type = PEFT_DEVICE_CPU;
  if (random.Percent(90)) view.device_index = 0;
  const int32_t rank = std::min(std::max(view.rank, 0), 16);
  auto* const sizes =
      reinterpret_cast<int64_t*>(call.Allocate(rank * sizeof(int64_t)));
  for (int32_t i = 0; i < rank; ++i) {
    sizes[i] =
        rank > 4 ? static_cast<int64_t>(random.Below(3)) : DrawSize(random);
    call.Note(absl::StrCat("sizes[", i, "]=", sizes[i], " "));
  }
  view.sizes = random.Percent(97) ? sizes : nullptr;
  if (random.Percent(15)) {
    auto* const strides =
        reinterpret_cast<int64_t*>(call.Allocate(rank * sizeof(int64_t)));
    DrawStrides(call, rank, strides);
    view.strides = strides;
    call.Note("strides ");
  }
  const int64_t elements = SmallProduct(sizes, rank);
  view.data =
      random.Percent(97)
          ? DrawElements(call, std::max<int64_t>(1, elements) * kElement)
          : nullptr;
}

template <>
void Adjust(Call& call, peft_forward_input_t& input) {
  Random& random = call.random();
  if (random.Percent(90)) {
    input.batch = 1 + static_cast<int64_t>(random.Below(2));
    input.length = 1 + static_cast<int64_t>(random.Below(4));
  } else {
    input.batch = DrawSize(random);
    input.length = DrawSize(random);
    // A large number that memory could have is the program's word.
    if (SmallProduct(&input.batch, 1) == 0 && input.batch > 0 &&
        input.length > 0) {
      input.length = std::numeric_limits<int64_t>::max();
    }
    if (SmallProduct(&input.length, 1) == 0 && input.length > 0 &&
        input.batch > 0) {
      input.batch = std::numeric_limits<int64_t>::max();
    }
  }
  const int64_t sizes[] = {input.batch, input.length};
  const int64_t count = SmallProduct(sizes, 2);
  call.Note(absl::StrCat("batch=", input.batch, " length=", input.length, " "));
  input.ids = DrawIds<int64_t>(call, "ids", count);
  if (random.Percent(10)) {
    input.attention_mask = DrawIds<int64_t>(call, "attention_mask", count);
  }
  if (random.Percent(10)) {
    input.position_ids = DrawIds<int64_t>(call, "position_ids", count);
  }
  if (random.Percent(10)) {
    input.token_type_ids = DrawIds<int64_t>(call, "token_type_ids", count);
  }
}

template <>
void Adjust(Call& call, peft_generate_options_t& options) {
  // There are 64 stop tokens for each sequence: no length may say more but one
  // that is refused.
  const size_t count =
      options.stop_sequence_lengths == nullptr ? 0 : options.num_stop_sequences;
  for (size_t i = 0; i < count && count <= 4096; ++i) {
    auto& length = const_cast<size_t&>(options.stop_sequence_lengths[i]);
    if (length > 64 && length <= 4097) length = 64;
  }
  if (options.max_new_tokens <= kMostNewTokens) return;
  options.max_new_tokens = kMostNewTokens;
  call.Note("(at most 20) ");
}

template <>
void Adjust(Call& call, peft_layer_t& layer) {
  if (layer.copy_weights != 1) call.KeepMemory();
}

template <>
void Adjust(Call& call, peft_model_options_t& options) {
  // As many threads as it says.
  if (options.num_threads > 4) options.num_threads = 4;
  AdjustHub(call, options);
}

template <>
void Adjust(Call& call, peft_load_options_t& options) {
  AdjustHub(call, options);
}

template <>
void AdjustRead(Call& call, const peft_tensor_view_t& view) {
  if (view.rank == 0 && view.data == nullptr) return;
  size_t elements = 1;
  for (int32_t i = 0; i < view.rank; ++i) elements *= view.sizes[i];
  // A byte for each is there in all types but the packed ones.
  const bool is_packed = view.dtype >= PEFT_DTYPE_F4;
  call.Touch(view.data, is_packed ? elements / 2 : elements);
}

}  // namespace peft
