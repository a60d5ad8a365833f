// The writing half of json.h.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peft_cc/base/json.h"

namespace peft {
namespace {

// The rule of Python's float.__repr__: fixed notation while the decimal point
// falls within this many digits, an exponent otherwise.
constexpr int kMinFixedPoint = -3;
constexpr int kMaxFixedPoint = 16;

// Digits and position of the point: 0.DIGITS * 10^point.
struct Decimal {
  std::string digits;
  int point;
};

// As many digits as a double can need to be told from all others.
constexpr int kMaxDigits = 17;

// The decimal of so many digits that is nearest to `magnitude`.
Decimal Rounded(double magnitude, int num_digits) {
  // "d.ddde-05" or "de+00", in a locale of the program's perhaps with a comma.
  const std::string text = absl::StrFormat("%.*e", num_digits - 1, magnitude);
  const size_t exponent = text.find('e');
  Decimal decimal;
  for (const char c : text.substr(0, exponent)) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      decimal.digits += c;
    }
  }
  int power = 0;
  if (!absl::SimpleAtoi(text.substr(exponent + 1), &power)) power = 0;
  decimal.point = power + 1;
  return decimal;
}

// The next decimal of as many digits.
Decimal Next(Decimal decimal) {
  const size_t last = decimal.digits.find_last_not_of('9');
  if (last == std::string::npos) {
    decimal.digits = "1" + std::string(decimal.digits.size() - 1, '0');
    ++decimal.point;
    return decimal;
  }
  ++decimal.digits[last];
  std::fill(decimal.digits.begin() + last + 1, decimal.digits.end(), '0');
  return decimal;
}

double ValueOf(const Decimal& decimal) {
  double value = 0;
  const std::string text =
      absl::StrCat("0.", decimal.digits, "e", decimal.point);
  return absl::SimpleAtod(text, &value) ? value : 0;
}

// The decimal of the fewest digits that is read back as `magnitude`.
// std::to_chars does the same, with 0.13 MB of tables.
Decimal ShortestDecimal(double magnitude) {
  for (int num_digits = 1; num_digits < kMaxDigits; ++num_digits) {
    const Decimal nearest = Rounded(magnitude, num_digits);
    if (ValueOf(nearest) == magnitude) return nearest;
    // The doubles below a power of two are closer to it than those above, so
    // that the nearest decimal may be another one's and the next one above its.
    const Decimal next = Next(nearest);
    if (ValueOf(next) == magnitude) return next;
  }
  return Rounded(magnitude, kMaxDigits);
}

std::string FixedNotation(const Decimal& decimal) {
  const int num_digits = static_cast<int>(decimal.digits.size());
  if (decimal.point <= 0) {
    return absl::StrCat("0.", std::string(-decimal.point, '0'), decimal.digits);
  }
  if (decimal.point >= num_digits) {
    return absl::StrCat(decimal.digits,
                        std::string(decimal.point - num_digits, '0'), ".0");
  }
  return absl::StrCat(decimal.digits.substr(0, decimal.point), ".",
                      decimal.digits.substr(decimal.point));
}

std::string ExponentNotation(const Decimal& decimal) {
  const int power = decimal.point - 1;
  const std::string fraction = decimal.digits.substr(1);
  return absl::StrCat(decimal.digits.substr(0, 1), fraction.empty() ? "" : ".",
                      fraction, absl::StrFormat("e%+03d", power));
}

std::string DumpFloat(double value) {
  if (std::isnan(value)) return "NaN";
  const char* sign = std::signbit(value) ? "-" : "";
  if (std::isinf(value)) return absl::StrCat(sign, "Infinity");
  const Decimal decimal = ShortestDecimal(std::fabs(value));
  const bool fixed =
      decimal.point >= kMinFixedPoint && decimal.point <= kMaxFixedPoint;
  return absl::StrCat(
      sign, fixed ? FixedNotation(decimal) : ExponentNotation(decimal));
}

std::string DumpString(const std::string& text) {
  // Invalid UTF-8, which no parsed value has, becomes U+FFFD: no exception.
  return Json(text).dump(-1, ' ', /*ensure_ascii=*/true,
                         Json::error_handler_t::replace);
}

void Dump(const Json& value, int depth, std::string& out);

void NewLine(int depth, std::string& out) {
  out += '\n';
  out.append(2 * depth, ' ');
}

void DumpArray(const Json& array, int depth, std::string& out) {
  out += '[';
  const char* separator = "";
  for (const Json& item : array) {
    out += separator;
    NewLine(depth + 1, out);
    Dump(item, depth + 1, out);
    separator = ",";
  }
  if (!array.empty()) NewLine(depth, out);
  out += ']';
}

void DumpObject(const Json& object, int depth, std::string& out) {
  out += '{';
  const char* separator = "";
  for (const auto& [key, item] : object.get_ref<const Json::object_t&>()) {
    out += separator;
    NewLine(depth + 1, out);
    absl::StrAppend(&out, DumpString(key), ": ");
    Dump(item, depth + 1, out);
    separator = ",";
  }
  if (!object.empty()) NewLine(depth, out);
  out += '}';
}

void Dump(const Json& value, int depth, std::string& out) {
  if (value.is_object()) {
    DumpObject(value, depth, out);
  } else if (value.is_array()) {
    DumpArray(value, depth, out);
  } else if (value.is_string()) {
    out += DumpString(value.get_ref<const std::string&>());
  } else if (value.is_number_float()) {
    out += DumpFloat(value.get<double>());
  } else {
    out += value.dump();
  }
}

}  // namespace

std::string DumpJson(const Json& value) {
  std::string out;
  Dump(value, 0, out);
  return out;
}

}  // namespace peft
