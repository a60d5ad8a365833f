// The writing half of safetensors.h. Layout and order are those of the
// reference writer (the Rust crate below Python's safetensors.torch), so that
// equal tensors give equal bytes.
#include <algorithm>
#include <cassert>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/safetensors_header.h"

namespace peft {
namespace {

// The header is padded to a multiple of this, which aligns the data.
constexpr size_t kHeaderAlignment = 8;

// The reference's order of dtypes, by alignment first. Tensors are written
// from the last of these to the first, so that all of them are aligned.
constexpr DType kDTypeOrder[] = {
    DType::kBool,   DType::kF4,         DType::kF6E2M3,     DType::kF6E3M2,
    DType::kU8,     DType::kI8,         DType::kF8E5M2,     DType::kF8E4M3,
    DType::kF8E8M0, DType::kF8E4M3FNUZ, DType::kF8E5M2FNUZ, DType::kI16,
    DType::kU16,    DType::kF16,        DType::kBF16,       DType::kI32,
    DType::kU32,    DType::kF32,        DType::kC64,        DType::kF64,
    DType::kI64,    DType::kU64,
};

constexpr int kNumDTypes = std::size(kDTypeOrder);

// The position in kDTypeOrder, kNumDTypes for what is not there.
int DTypeRank(DType dtype) {
  return static_cast<int>(
      std::find(std::begin(kDTypeOrder), std::end(kDTypeOrder), dtype) -
      std::begin(kDTypeOrder));
}

using Item = const TensorMap::value_type*;

// The tensors in the order of the file; equal dtypes keep their name order.
std::vector<Item> FileOrder(const TensorMap& tensors) {
  std::vector<Item> items;
  for (const auto& item : tensors) items.push_back(&item);
  std::stable_sort(items.begin(), items.end(), [](Item a, Item b) {
    return DTypeRank(a->second.dtype()) > DTypeRank(b->second.dtype());
  });
  return items;
}

std::string JsonString(absl::string_view text) {
  return Json(std::string(text))
      .dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string MetadataJson(const std::map<std::string, std::string>& metadata) {
  const auto format = [](std::string* out, const auto& item) {
    absl::StrAppend(out, JsonString(item.first), ":", JsonString(item.second));
  };
  return absl::StrCat("\"", kSafetensorsMetadataKey, "\":{",
                      absl::StrJoin(metadata, ",", format), "}");
}

std::string EntryJson(const std::string& name, const Tensor& tensor,
                      uint64_t begin) {
  return absl::StrCat(
      JsonString(name), ":{\"dtype\":\"", DTypeName(tensor.dtype()),
      "\",\"shape\":[", absl::StrJoin(tensor.shape(), ","),
      "],\"data_offsets\":[", begin, ",", begin + tensor.size_bytes(), "]}");
}

absl::Status WriteError(absl::string_view problem, const std::string& name) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kSafetensors,
      absl::StrCat("cannot write tensor ", Quoted(name), ": ", problem),
      {name});
}

// What the reader would refuse is not written.
absl::Status CheckTensor(const std::string& name, const Tensor& tensor) {
  if (!IsSafetensorsName(name)) {
    return WriteError("the name is empty, reserved or not valid text", name);
  }
  if (DTypeRank(tensor.dtype()) == kNumDTypes ||
      !CheckedSizeBytes(tensor.dtype(), tensor.shape()).has_value()) {
    return WriteError(
        absl::StrCat("no such dtype, or shape ", ShapeToString(tensor.shape()),
                     " does not fill whole bytes"),
        name);
  }
  return absl::OkStatus();
}

absl::Status CheckMetadata(const std::map<std::string, std::string>& metadata) {
  for (const auto& [key, value] : metadata) {
    if (IsValidUtf8(key) && IsValidUtf8(value)) continue;
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kSafetensors,
                     absl::StrCat("cannot write metadata ", Quoted(key),
                                  ": not valid UTF-8"));
  }
  return absl::OkStatus();
}

std::string HeaderJson(const std::vector<Item>& items,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> parts;
  if (!metadata.empty()) parts.push_back(MetadataJson(metadata));
  uint64_t position = 0;
  for (Item item : items) {
    parts.push_back(EntryJson(item->first, item->second, position));
    position += item->second.size_bytes();
  }
  std::string json = absl::StrCat("{", absl::StrJoin(parts, ","), "}");
  const size_t excess = json.size() % kHeaderAlignment;
  if (excess != 0) json.append(kHeaderAlignment - excess, ' ');
  return json;
}

// The header's size in front of it.
std::string WithSize(const std::string& header) {
  std::string result;
  for (int shift = 0; shift < 64; shift += 8) {
    result += static_cast<char>((uint64_t{header.size()} >> shift) & 0xff);
  }
  return result + header;
}

absl::Span<const uint8_t> AsBytes(const void* data, size_t size) {
  return {static_cast<const uint8_t*>(data), size};
}

}  // namespace

bool IsSafetensorsName(absl::string_view name) {
  return !name.empty() && name != kSafetensorsMetadataKey &&
         name.find('\0') == absl::string_view::npos && IsValidUtf8(name);
}

absl::Status WriteSafetensors(
    const std::string& path, const TensorMap& tensors,
    const std::map<std::string, std::string>& metadata) {
  return WriteSafetensorsPiecewise(
      path, tensors, metadata,
      [&](const std::string& name) { return tensors.at(name); });
}

absl::Status WriteSafetensorsPiecewise(
    const std::string& path, const TensorMap& layout,
    const std::map<std::string, std::string>& metadata,
    absl::FunctionRef<absl::StatusOr<Tensor>(const std::string& name)>
        tensor_of) {
  PEFT_RETURN_IF_ERROR(CheckMetadata(metadata));
  for (const auto& [name, tensor] : layout) {
    PEFT_RETURN_IF_ERROR(CheckTensor(name, tensor));
  }
  const std::vector<Item> items = FileOrder(layout);
  const std::string header = WithSize(HeaderJson(items, metadata));
  if (header.size() > kMaxSafetensorsHeader) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kSafetensors,
                     absl::StrCat("cannot write ", Quoted(path), ": header of ",
                                  header.size(), " bytes, expected at most ",
                                  kMaxSafetensorsHeader));
  }
  return WriteFileAtomically(path, [&](FileSink sink) -> absl::Status {
    PEFT_RETURN_IF_ERROR(sink(AsBytes(header.data(), header.size())));
    for (Item item : items) {
      PEFT_ASSIGN_OR_RETURN(const Tensor tensor, tensor_of(item->first));
      assert(tensor.dtype() == item->second.dtype() &&
             tensor.shape() == item->second.shape());
      PEFT_RETURN_IF_ERROR(sink(AsBytes(tensor.data(), tensor.size_bytes())));
    }
    return absl::OkStatus();
  });
}

}  // namespace peft
