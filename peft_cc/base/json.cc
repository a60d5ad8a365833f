#include "peft_cc/base/json.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <new>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status JsonError(absl::string_view what, absl::string_view problem) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kJson,
                   absl::StrCat(what, ": ", problem), {std::string(what)});
}

// "line 3, column 7", both from 1, of the byte at `offset`.
std::string Position(absl::string_view text, size_t offset) {
  const absl::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column =
      before.size() - (newline == absl::string_view::npos ? 0 : newline + 1);
  return absl::StrCat("line ", line, ", column ", column + 1);
}

// A token that Python writes and JSON does not have, and the number of the
// same length that stands in for it. The value is put back by its ordinal
// among the numbers of the text, so that positions in messages stay right.
struct NonFiniteToken {
  absl::string_view token;
  absl::string_view stand_in;
  double value;
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr NonFiniteToken kNonFiniteTokens[] = {
    {"NaN", "0.0", std::numeric_limits<double>::quiet_NaN()},
    {"Infinity", "0.000000", kInfinity},
    {"-Infinity", "-0.000000", -kInfinity},
};

struct NonFiniteValue {
  uint64_t ordinal;
  double value;
};

// Finds the non-finite tokens of a text and replaces them.
class NonFiniteScanner {
 public:
  explicit NonFiniteScanner(absl::string_view text) : text_(text) {}

  void Run() {
    while (pos_ < text_.size()) {
      const char c = text_[pos_];
      if (c == '"') {
        SkipString();
      } else if (!ReplaceToken()) {
        SkipOther(c);
      }
    }
  }

  std::string& text() { return text_; }
  std::vector<NonFiniteValue>& values() { return values_; }

 private:
  void SkipString() {
    for (++pos_; pos_ < text_.size() && text_[pos_] != '"'; ++pos_) {
      if (text_[pos_] == '\\') ++pos_;
    }
    ++pos_;
  }

  bool ReplaceToken() {
    const absl::string_view rest = absl::string_view(text_).substr(pos_);
    for (const NonFiniteToken& token : kNonFiniteTokens) {
      if (!absl::StartsWith(rest, token.token)) continue;
      // "-NaN" and "1Infinity" must stay the errors that they are.
      if (pos_ > 0 && IsInWord(text_[pos_ - 1])) return false;
      if (IsInWord(CharAt(pos_ + token.token.size()))) return false;
      values_.push_back({num_numbers_++, token.value});
      text_.replace(pos_, token.token.size(), token.stand_in);
      pos_ += token.token.size();
      return true;
    }
    return false;
  }

  void SkipOther(char c) {
    ++pos_;
    if (c != '-' && !absl::ascii_isdigit(c)) return;
    ++num_numbers_;
    while (IsInWord(CharAt(pos_))) ++pos_;
  }

  char CharAt(size_t pos) const {
    return pos < text_.size() ? text_[pos] : ' ';
  }

  static bool IsInWord(char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '+';
  }

  std::string text_;
  size_t pos_ = 0;
  uint64_t num_numbers_ = 0;
  std::vector<NonFiniteValue> values_;
};

// Builds the document and keeps the limits. nlohmann's own builder would take
// the last of two equal keys and compare each key with all before it.
class JsonBuilder : public JsonHandler {
 public:
  JsonBuilder(const JsonLimits& limits, std::vector<NonFiniteValue> non_finite)
      : limits_(limits), non_finite_(std::move(non_finite)) {}

  bool null() override { return Add(nullptr) != nullptr; }
  bool boolean(bool value) override { return Add(value) != nullptr; }
  bool number_integer(int64_t value) override { return AddNumber(value); }
  bool number_unsigned(uint64_t value) override { return AddNumber(value); }
  bool number_float(double value, const std::string&) override {
    return AddNumber(value);
  }
  bool string(std::string& value) override {
    return Add(std::move(value)) != nullptr;
  }

  bool start_object(size_t) override { return Open(Json::object()); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(std::string& name) override {
    Level& level = levels_.back();
    if (!Count()) return false;
    if (!level.keys.insert(name).second) {
      return Fail(absl::StrCat("key ", Quoted(name), " appears twice"));
    }
    level.key = std::move(name);
    return true;
  }

  Json& root() { return root_; }

 private:
  struct Level {
    Json* container;
    std::string key;  // of the value that comes next, in an object
    std::unordered_set<std::string> keys;
  };

  bool Count() {
    if (++num_elements_ <= limits_.max_elements) return true;
    return Fail(absl::StrCat("more than ", limits_.max_elements,
                             " values and keys, which is the limit"));
  }

  // Where the value now stands, valid while its container does not grow; null
  // when a limit is passed.
  Json* Add(Json value) {
    if (!Count()) return nullptr;
    if (levels_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Level& level = levels_.back();
    if (level.container->is_array()) {
      auto& array = level.container->get_ref<Json::array_t&>();
      return &array.emplace_back(std::move(value));
    }
    return &JsonEntries(*level.container)
                .emplace_back(std::move(level.key), std::move(value))
                .second;
  }

  template <typename Number>
  bool AddNumber(Number number) {
    const uint64_t ordinal = num_numbers_++;
    if (next_non_finite_ < non_finite_.size() &&
        non_finite_[next_non_finite_].ordinal == ordinal) {
      return Add(non_finite_[next_non_finite_++].value) != nullptr;
    }
    return Add(number) != nullptr;
  }

  bool Open(Json container) {
    if (levels_.size() >= static_cast<size_t>(limits_.max_depth)) {
      return Fail(absl::StrCat("nested deeper than ", limits_.max_depth,
                               " levels, which is the limit"));
    }
    Json* added = Add(std::move(container));
    if (added == nullptr) return false;
    levels_.push_back({added, {}, {}});
    return true;
  }

  bool Close() {
    levels_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  std::vector<NonFiniteValue> non_finite_;
  size_t next_non_finite_ = 0;
  uint64_t num_numbers_ = 0;
  uint64_t num_elements_ = 0;
  std::vector<Level> levels_;
  Json root_;
};

absl::Status CheckText(absl::string_view text, absl::string_view what) {
  const size_t valid = ValidUtf8Prefix(text);
  if (valid != text.size()) {
    return JsonError(what,
                     absl::StrCat("invalid UTF-8 at ", Position(text, valid)));
  }
  // nlohmann takes NUL for the end of the text, and skips a byte order mark.
  const size_t nul = text.find('\0');
  if (nul != absl::string_view::npos) {
    return JsonError(what, absl::StrCat("NUL byte at ", Position(text, nul)));
  }
  if (absl::StartsWith(text, "\xef\xbb\xbf")) {
    return JsonError(what, "starts with a byte order mark, expected JSON");
  }
  return absl::OkStatus();
}

}  // namespace

bool JsonHandler::Fail(absl::string_view problem) {
  problem_ = std::string(problem);
  return false;
}

bool JsonHandler::parse_error(size_t position, const std::string& /*token*/,
                              const nlohmann::detail::exception& error) {
  // Drops "[json.exception.parse_error.101] parse error at line 1, column 2: ",
  // whose position is wrong after a newline in the last token.
  absl::string_view reason = error.what();
  const size_t bracket = reason.find("] ");
  if (bracket != absl::string_view::npos) reason.remove_prefix(bracket + 2);
  const size_t colon = reason.find(": ");
  if (absl::StartsWith(reason, "parse error") &&
      colon != absl::string_view::npos) {
    reason.remove_prefix(colon + 2);
  }
  return Fail(absl::StrCat(Position(text_, position == 0 ? 0 : position - 1),
                           ": ", Printable(reason)));
}

absl::Status ScanJson(absl::string_view text, absl::string_view what,
                      JsonHandler& handler) {
  PEFT_RETURN_IF_ERROR(CheckText(text, what));
  handler.text_ = text;
  try {
    if (Json::sax_parse(text.begin(), text.end(), &handler)) {
      return absl::OkStatus();
    }
  } catch (const std::bad_alloc&) {
    throw;  // says nothing about the text
  } catch (const std::exception& error) {
    return JsonError(what, Printable(error.what()));
  }
  return JsonError(what, handler.problem_);
}

absl::StatusOr<Json> ParseJson(absl::string_view text, absl::string_view what,
                               const JsonLimits& limits, bool allow_nan) {
  if (!allow_nan) {
    JsonBuilder builder(limits, {});
    PEFT_RETURN_IF_ERROR(ScanJson(text, what, builder));
    return std::move(builder.root());
  }
  NonFiniteScanner scanner(text);
  scanner.Run();
  JsonBuilder builder(limits, std::move(scanner.values()));
  PEFT_RETURN_IF_ERROR(ScanJson(scanner.text(), what, builder));
  return std::move(builder.root());
}

}  // namespace peft
