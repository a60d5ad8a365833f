#include "peft_cc/tensors/safetensors_header.h"

#include <limits>
#include <string>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/safetensors_canonical.h"

namespace peft {
namespace {

// Where in the header the next value stands.
enum class Place {
  kTop,            // the header itself
  kEntry,          // the value of a tensor's name
  kMetadata,       // the value of "__metadata__"
  kMetadataValue,  // a value in it
  kDType,
  kShape,
  kShapeItem,
  kOffsets,
  kOffsetsItem,
  kEnd,
};

const char* Expected(Place place) {
  switch (place) {
    case Place::kTop:
    case Place::kEntry:
    case Place::kMetadata:
      return "an object";
    case Place::kMetadataValue:
    case Place::kDType:
      return "a string";
    case Place::kShape:
    case Place::kOffsets:
      return "an array";
    case Place::kShapeItem:
    case Place::kOffsetsItem:
      return "an integer of 0 or more";
    case Place::kEnd:
      break;
  }
  return "nothing";
}

// Bits of the fields that an entry has had.
constexpr int kHasDType = 1;
constexpr int kHasShape = 2;
constexpr int kHasOffsets = 4;
constexpr int kHasAll = kHasDType | kHasShape | kHasOffsets;

class HeaderHandler : public JsonHandler {
 public:
  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(int64_t value) override {
    return Unexpected(absl::StrCat("the number ", value));
  }
  bool number_float(double, const std::string& text) override {
    return Unexpected(absl::StrCat("the number ", text));
  }

  bool number_unsigned(uint64_t value) override {
    if (place_ == Place::kShapeItem) return AddDimension(value);
    if (place_ == Place::kOffsetsItem) return AddOffset(value);
    return Unexpected(absl::StrCat("the number ", value));
  }

  bool string(std::string& value) override {
    if (place_ == Place::kDType) return SetDType(value);
    if (place_ == Place::kMetadataValue) return AddMetadata(value);
    return Unexpected(absl::StrCat("the string ", Quoted(value)));
  }

  bool start_object(size_t) override {
    switch (place_) {
      case Place::kTop:
        object_ = Object::kTop;
        return true;
      case Place::kEntry:
        object_ = Object::kEntry;
        return true;
      case Place::kMetadata:
        object_ = Object::kMetadata;
        return true;
      default:
        return Unexpected("an object");
    }
  }

  bool end_object() override {
    if (object_ == Object::kEntry && !FinishEntry()) return false;
    if (object_ == Object::kTop) place_ = Place::kEnd;
    object_ = Object::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ == Place::kShape) {
      place_ = Place::kShapeItem;
    } else if (place_ == Place::kOffsets) {
      place_ = Place::kOffsetsItem;
    } else {
      return Unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsetsItem && num_offsets_ != 2) {
      return FailField(
          absl::StrCat("has ", num_offsets_, " numbers, expected 2"));
    }
    return true;
  }

  bool key(std::string& name) override {
    switch (object_) {
      case Object::kTop:
        return StartEntry(std::move(name));
      case Object::kEntry:
        return StartField(name);
      case Object::kMetadata:
        break;
    }
    metadata_key_ = std::move(name);
    place_ = Place::kMetadataValue;
    return true;
  }

  SafetensorsHeader& header() { return header_; }

 private:
  enum class Object { kTop, kEntry, kMetadata };

  // "tensor "a": shape: ", for messages.
  std::string Where() const {
    switch (place_) {
      case Place::kTop:
      case Place::kEnd:
        return "header";
      case Place::kMetadata:
        return kSafetensorsMetadataKey;
      case Place::kMetadataValue:
        return absl::StrCat(kSafetensorsMetadataKey, " ",
                            Quoted(metadata_key_));
      case Place::kEntry:
        return absl::StrCat("tensor ", Quoted(entry_.name));
      case Place::kDType:
        return absl::StrCat("tensor ", Quoted(entry_.name), ": dtype");
      case Place::kShape:
      case Place::kShapeItem:
        return absl::StrCat("tensor ", Quoted(entry_.name), ": shape");
      case Place::kOffsets:
      case Place::kOffsetsItem:
        break;
    }
    return absl::StrCat("tensor ", Quoted(entry_.name), ": data_offsets");
  }

  bool FailField(absl::string_view problem) {
    return Fail(absl::StrCat(Where(), " ", problem));
  }

  bool Unexpected(absl::string_view found) {
    return FailField(
        absl::StrCat("has ", found, ", expected ", Expected(place_)));
  }

  bool StartEntry(std::string name) {
    if (name.empty()) return Fail("a tensor has an empty name");
    if (name.find('\0') != std::string::npos) {
      return Fail(
          absl::StrCat("tensor name ", Quoted(name), " contains a NUL"));
    }
    if (!names_.insert(name).second) {
      return Fail(
          absl::StrCat(name == kSafetensorsMetadataKey ? "key " : "tensor ",
                       Quoted(name), " appears twice"));
    }
    place_ = name == kSafetensorsMetadataKey ? Place::kMetadata : Place::kEntry;
    entry_ = SafetensorsEntry();
    entry_.name = std::move(name);
    fields_ = 0;
    return true;
  }

  bool StartField(const std::string& name) {
    if (name == "dtype") return SetField(kHasDType, Place::kDType);
    if (name == "shape") return SetField(kHasShape, Place::kShape);
    if (name == "data_offsets") {
      num_offsets_ = 0;
      return SetField(kHasOffsets, Place::kOffsets);
    }
    place_ = Place::kEntry;
    return FailField(absl::StrCat("has the unknown field ", Quoted(name),
                                  ", expected dtype, shape, data_offsets"));
  }

  bool SetField(int field, Place place) {
    place_ = place;
    if ((fields_ & field) != 0) return FailField("appears twice");
    fields_ |= field;
    return true;
  }

  bool FinishEntry() {
    place_ = Place::kEntry;
    if (fields_ != kHasAll) {
      const char* missing = (fields_ & kHasDType) == 0   ? "dtype"
                            : (fields_ & kHasShape) == 0 ? "shape"
                                                         : "data_offsets";
      return FailField(absl::StrCat("has no ", missing));
    }
    header_.entries.push_back(std::move(entry_));
    return true;
  }

  bool SetDType(const std::string& name) {
    const std::optional<DType> dtype = DTypeFromName(name);
    if (!dtype.has_value()) {
      return FailField(absl::StrCat("is ", Quoted(name),
                                    ", expected a name such as F32 or BF16"));
    }
    entry_.dtype = *dtype;
    return true;
  }

  bool AddDimension(uint64_t value) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return FailField(absl::StrCat("has ", value, ", expected below 2^63"));
    }
    if (entry_.shape.size() == kMaxSafetensorsRank) {
      return FailField(
          absl::StrCat("has more than ", kMaxSafetensorsRank, " dimensions"));
    }
    entry_.shape.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool AddOffset(uint64_t value) {
    if (num_offsets_ == 0) entry_.begin = value;
    if (num_offsets_ == 1) entry_.end = value;
    ++num_offsets_;
    return true;
  }

  bool AddMetadata(std::string& value) {
    if (!header_.metadata.emplace(metadata_key_, std::move(value)).second) {
      return FailField("appears twice");
    }
    return true;
  }

  Place place_ = Place::kTop;
  Object object_ = Object::kTop;
  SafetensorsEntry entry_;
  int fields_ = 0;
  uint64_t num_offsets_ = 0;
  std::string metadata_key_;
  std::unordered_set<std::string> names_;
  SafetensorsHeader header_;
};

absl::Status HeaderError(absl::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kSafetensors,
                   message);
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(
    absl::string_view json, absl::string_view what) {
  std::optional<SafetensorsHeader> canonical = ReadCanonicalHeader(json);
  if (canonical.has_value()) return *std::move(canonical);
  // JSON would allow blanks here, the format does not.
  if (json.empty() || json[0] != '{') {
    return HeaderError(absl::StrCat(what, ": header does not start with '{'"));
  }
  HeaderHandler handler;
  const absl::Status status = ScanJson(json, what, handler);
  if (!status.ok()) return HeaderError(status.message());
  return std::move(handler.header());
}

}  // namespace peft
