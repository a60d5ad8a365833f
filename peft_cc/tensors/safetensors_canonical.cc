#include "peft_cc/tensors/safetensors_canonical.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"

namespace peft {
namespace {

// Numbers of so many digits fit into 63 bits.
constexpr size_t kMaxDigits = 18;

// Takes a text apart from its front. What returns false may have taken a part.
class Reader {
 public:
  explicit Reader(absl::string_view text) : rest_(text) {}

  bool Skip(absl::string_view text) {
    if (rest_.substr(0, text.size()) != text) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // True if nothing but the padding is left.
  bool AtEnd() const {
    return rest_.find_first_not_of(' ') == absl::string_view::npos;
  }

  // The text up to the closing quote, which is taken too.
  bool ReadString(absl::string_view* out) {
    size_t size = 0;
    while (size < rest_.size() && IsPlain(rest_[size])) ++size;
    if (size == rest_.size() || rest_[size] != '"') return false;
    *out = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
    return true;
  }

  template <typename Integer>
  bool ReadNumber(Integer* out) {
    size_t size = 0;
    Integer value = 0;
    while (size < rest_.size() && absl::ascii_isdigit(rest_[size])) {
      if (size == kMaxDigits) return false;
      value = 10 * value + static_cast<Integer>(rest_[size++] - '0');
    }
    const bool has_leading_zero = size > 1 && rest_[0] == '0';
    if (size == 0 || has_leading_zero) return false;
    *out = value;
    rest_.remove_prefix(size);
    return true;
  }

 private:
  // Stands for itself in a JSON string.
  static bool IsPlain(char c) {
    return c >= ' ' && c < '\x7f' && c != '"' && c != '\\';
  }

  absl::string_view rest_;
};

bool ReadShape(Reader& reader, std::vector<int64_t>* out) {
  if (reader.Skip("]")) return true;
  out->reserve(2);
  do {
    int64_t dim;
    if (out->size() == kMaxSafetensorsRank || !reader.ReadNumber(&dim)) {
      return false;
    }
    out->push_back(dim);
  } while (reader.Skip(","));
  return reader.Skip("]");
}

// A tensor, from its name on; the quote before it is taken.
bool ReadEntry(Reader& reader, SafetensorsEntry* out) {
  absl::string_view name;
  absl::string_view dtype;
  if (!reader.ReadString(&name) || !reader.Skip(":{\"dtype\":\"") ||
      !reader.ReadString(&dtype) || !reader.Skip(",\"shape\":[") ||
      !ReadShape(reader, &out->shape) || !reader.Skip(",\"data_offsets\":[") ||
      !reader.ReadNumber(&out->begin) || !reader.Skip(",") ||
      !reader.ReadNumber(&out->end) || !reader.Skip("]}")) {
    return false;
  }
  const std::optional<DType> known = DTypeFromName(dtype);
  if (!known.has_value() || name.empty() || name == kSafetensorsMetadataKey) {
    return false;
  }
  out->name = std::string(name);
  out->dtype = *known;
  return true;
}

// The texts about the file, from behind their brace on.
bool ReadMetadata(Reader& reader, std::map<std::string, std::string>* out) {
  if (reader.Skip("}")) return true;
  do {
    absl::string_view key;
    absl::string_view value;
    if (!reader.Skip("\"") || !reader.ReadString(&key) || !reader.Skip(":\"") ||
        !reader.ReadString(&value) || !out->emplace(key, value).second) {
      return false;
    }
  } while (reader.Skip(","));
  return reader.Skip("}");
}

bool HaveUniqueNames(const std::vector<SafetensorsEntry>& entries) {
  std::vector<absl::string_view> names;
  names.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries) names.push_back(entry.name);
  // The usual case: the reference writer sorts those of one dtype.
  if (!std::is_sorted(names.begin(), names.end())) {
    std::sort(names.begin(), names.end());
  }
  return std::adjacent_find(names.begin(), names.end()) == names.end();
}

}  // namespace

std::optional<SafetensorsHeader> ReadCanonicalHeader(absl::string_view json) {
  Reader reader(json);
  SafetensorsHeader header;
  if (!reader.Skip("{\"")) return std::nullopt;
  if (reader.Skip("__metadata__\":{")) {
    if (!ReadMetadata(reader, &header.metadata) || !reader.Skip(",\"")) {
      return std::nullopt;
    }
  }
  do {
    if (!ReadEntry(reader, &header.entries.emplace_back())) return std::nullopt;
  } while (reader.Skip(",\""));
  if (!reader.Skip("}") || !reader.AtEnd()) return std::nullopt;
  if (!HaveUniqueNames(header.entries)) return std::nullopt;
  return header;
}

}  // namespace peft
