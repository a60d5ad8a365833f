#include "peft_cc/config/layer_ranges.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::Status ReadRange(ConfigReader& reader, const std::string& path,
                       const Json& value, LayerRange* out) {
  constexpr char kExpected[] = "a pair [first, end] with 0 <= first <= end";
  if (!value.is_array() || value.size() != 2) {
    return ConfigTypeError(path, value, kExpected);
  }
  PEFT_RETURN_IF_ERROR(
      reader.ToInt(absl::StrCat(path, "[0]"), value[0], &out->first));
  PEFT_RETURN_IF_ERROR(
      reader.ToInt(absl::StrCat(path, "[1]"), value[1], &out->end));
  if (out->first < 0 || out->end < out->first) {
    return ConfigTypeError(path, value, kExpected);
  }
  return absl::OkStatus();
}

}  // namespace

LayerRanges Simplified(const LayerRanges& ranges) {
  LayerRanges simple;
  for (const LayerRange& range : ranges) {
    if (range.first == range.end) continue;
    if (!simple.empty() && simple.back().end == range.first) {
      simple.back().end = range.end;
    } else {
      simple.push_back(range);
    }
  }
  return simple;
}

std::string RangesText(const LayerRanges& ranges) {
  return absl::StrCat(
      "[",
      absl::StrJoin(ranges, ", ",
                    [](std::string* out, const LayerRange& range) {
                      absl::StrAppend(out, "[", range.first, ", ", range.end,
                                      "]");
                    }),
      "]");
}

absl::Status ReadLayerRanges(ConfigReader& reader, absl::string_view key,
                             LayerRanges* out) {
  const Json* value = reader.FindValue(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_array()) {
    return ConfigTypeError(key, *value, "a list of pairs [first, end]");
  }
  LayerRanges ranges(value->size());
  for (size_t i = 0; i < ranges.size(); ++i) {
    PEFT_RETURN_IF_ERROR(ReadRange(reader, absl::StrCat(key, "[", i, "]"),
                                   (*value)[i], &ranges[i]));
  }
  *out = Simplified(ranges);
  return absl::OkStatus();
}

}  // namespace peft
