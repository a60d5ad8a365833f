// Builds safetensors, pickles, zip archives and torch files byte by byte, so
// that tests can break each part.
#ifndef PEFT_CC_TENSORS_TEST_FILES_H_
#define PEFT_CC_TENSORS_TEST_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "peft_cc/base/file.h"

namespace peft {

// `value` as `size` little-endian bytes.
std::string LittleEndian(uint64_t value, int size);

// `count` floats 1, 2, 3 ... as bytes.
std::string FloatBytes(int count);

// A copy of `content` on the heap, of exactly its size: an address sanitizer
// sees each read beyond its end.
Bytes ToBytes(absl::string_view content);

// The size, the header as it is, and the data.
std::string SafetensorsBytes(absl::string_view header, absl::string_view data);

// Writes opcodes one after another; functions return the builder.
class PickleBuilder {
 public:
  // Starts with PROTO.
  explicit PickleBuilder(int protocol = 2);

  PickleBuilder& Raw(absl::string_view bytes);
  PickleBuilder& Mark() { return Raw("("); }
  PickleBuilder& Dict() { return Raw("}"); }
  PickleBuilder& Int(int64_t value);
  PickleBuilder& String(absl::string_view text);
  PickleBuilder& Global(absl::string_view module, absl::string_view name);
  // MARK, the integers, TUPLE.
  PickleBuilder& IntTuple(const std::vector<int64_t>& values);
  PickleBuilder& OrderedDict();
  // A storage by its persistent id; `type` such as "FloatStorage".
  PickleBuilder& Storage(absl::string_view type, absl::string_view key,
                         int64_t count);
  // _rebuild_tensor_v2 of that storage.
  PickleBuilder& Tensor(absl::string_view type, absl::string_view key,
                        int64_t count, int64_t offset,
                        const std::vector<int64_t>& shape,
                        const std::vector<int64_t>& strides);
  // Ends with STOP.
  std::string Stop() { return Raw(".").bytes_; }

 private:
  std::string bytes_;
};

// A dict with one F32 tensor "w" of shape [2, 3] in storage "0".
std::string OneTensorPickle();

// An entry of an archive. The fields after data are for breaking it.
struct ZipItem {
  std::string name;
  std::string data;
  uint16_t flags = 0;
  uint16_t method = 0;
  bool has_wide_descriptor = false;
  // What the local header says, where it shall differ from the directory.
  std::string local_name = "";
  int64_t local_size = -1;
};

struct ZipOptions {
  bool zip64 = false;
  uint16_t disk = 0;
  int extra_entries = 0;  // added to the count in the end record
  std::string comment = "";
  std::string before_end = "";  // bytes between directory and end record
};

std::string ZipBytes(const std::vector<ZipItem>& items,
                     const ZipOptions& options = {});

// The archive that torch.save writes for `pickle` and one storage "0".
std::string TorchZipBytes(absl::string_view pickle, absl::string_view storage);

// OneTensorPickle with its storage.
std::string OneTensorTorchZip();

// The legacy file of `pickle`, with storage "0" of `count` elements.
std::string TorchLegacyBytes(absl::string_view pickle, int64_t count,
                             absl::string_view storage);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_TEST_FILES_H_
