#include "peft_cc/config/python_regex.h"

#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "pcre2.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/python_regex_emitter.h"
#include "peft_cc/config/python_regex_parser.h"

namespace peft {
namespace {

// Longer than any module's name; bounds a search, which tries every position.
constexpr size_t kMaxTextSize = 4096;

// Backtracking steps for one starting position. A name of 100 characters
// against three `.*` in a row takes some thousand; the limit is hit after a
// few milliseconds.
constexpr uint32_t kMaxSteps = 100000;

// What backtracking may take of memory, in KiB.
constexpr uint32_t kMaxHeap = 32 << 10;

// PCRE2 takes its memory from where all else here does, so that tests see it.
void* Allocate(size_t size, void*) {
  return ::operator new(size, std::nothrow);
}
void Free(void* memory, void*) { ::operator delete(memory); }

struct MemoryDeleter {
  void operator()(pcre2_general_context* memory) const {
    pcre2_general_context_free(memory);
  }
};
struct CompileContextDeleter {
  void operator()(pcre2_compile_context* context) const {
    pcre2_compile_context_free(context);
  }
};
struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct ContextDeleter {
  void operator()(pcre2_match_context* context) const {
    pcre2_match_context_free(context);
  }
};
struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using MemoryPtr = std::unique_ptr<pcre2_general_context, MemoryDeleter>;
using CompileContextPtr =
    std::unique_ptr<pcre2_compile_context, CompileContextDeleter>;
using CodePtr = std::unique_ptr<pcre2_code, CodeDeleter>;
using ContextPtr = std::unique_ptr<pcre2_match_context, ContextDeleter>;
using MatchDataPtr = std::unique_ptr<pcre2_match_data, MatchDataDeleter>;

absl::Status RegexError(absl::StatusCode code, absl::string_view message) {
  return MakeError(code, error_id::kRegex, message);
}

absl::Status OutOfMemoryError() {
  return MakeError(absl::StatusCode::kResourceExhausted, error_id::kOutOfMemory,
                   "no memory for a regex");
}

absl::StatusOr<MemoryPtr> MakeMemory() {
  MemoryPtr memory(pcre2_general_context_create(Allocate, Free, nullptr));
  if (memory == nullptr) return OutOfMemoryError();
  return memory;
}

std::string Pcre2Message(int code) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof(buffer)) < 0) {
    return absl::StrCat("error ", code);
  }
  return reinterpret_cast<const char*>(buffer);
}

PCRE2_SPTR Units(absl::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data() == nullptr ? ""
                                                             : text.data());
}

// Making repetitions possessive by itself is where PCRE2 10.42 errs: it finds
// no [ab]+(?>c)?+[a-z] in "ba".
constexpr uint32_t kCompileOptions =
    PCRE2_UTF | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_POSSESS;

absl::StatusOr<CodePtr> CompilePcre2(absl::string_view text,
                                     absl::string_view pattern,
                                     pcre2_general_context* memory) {
  const CompileContextPtr context(pcre2_compile_context_create(memory));
  if (context == nullptr) return OutOfMemoryError();
  int error = 0;
  PCRE2_SIZE offset = 0;
  CodePtr code(pcre2_compile(Units(text), text.size(), kCompileOptions, &error,
                             &offset, context.get()));
  if (code != nullptr) return code;
  if (error == PCRE2_ERROR_HEAP_FAILED) return OutOfMemoryError();
  return RegexError(
      absl::StatusCode::kUnimplemented,
      absl::StrCat("the regex ", Quoted(pattern), " cannot be compiled (",
                   Pcre2Message(error), "); write it in another way"));
}

absl::StatusOr<ContextPtr> MakeContext(pcre2_general_context* memory) {
  ContextPtr context(pcre2_match_context_create(memory));
  if (context == nullptr) return OutOfMemoryError();
  pcre2_set_match_limit(context.get(), kMaxSteps);
  pcre2_set_heap_limit(context.get(), kMaxHeap);
  return context;
}

}  // namespace

struct PythonRegex::Code {
  std::string pattern;  // as written, for messages
  MemoryPtr memory;
  CodePtr code;
  ContextPtr context;  // only read after it is made
  std::map<std::string, uint32_t> group_names;

  // Returns whether `text` matches, with the groups in `data`.
  absl::StatusOr<bool> Run(absl::string_view text, uint32_t anchors,
                           pcre2_match_data* data) const;
};

absl::StatusOr<bool> PythonRegex::Code::Run(absl::string_view text,
                                            uint32_t anchors,
                                            pcre2_match_data* data) const {
  if (text.size() > kMaxTextSize || !IsValidUtf8(text)) {
    return RegexError(
        absl::StatusCode::kInvalidArgument,
        absl::StrCat("the name ", Quoted(text), " is not UTF-8 of at most ",
                     kMaxTextSize, " bytes"));
  }
  const int result =
      pcre2_match(code.get(), Units(text), text.size(), 0,
                  anchors | PCRE2_NO_UTF_CHECK, data, context.get());
  if (result >= 0) return true;
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result == PCRE2_ERROR_NOMEMORY) return OutOfMemoryError();
  return RegexError(absl::StatusCode::kResourceExhausted,
                    absl::StrCat("the regex ", Quoted(pattern),
                                 " takes too much work on the name ",
                                 Quoted(text), " (", Pcre2Message(result),
                                 "); write it without nested repetitions"));
}

absl::StatusOr<std::string> TranslatePythonRegex(absl::string_view pattern) {
  PEFT_ASSIGN_OR_RETURN(const RegexSyntax syntax, ParsePythonRegex(pattern));
  return EmitPcre2(syntax.root);
}

absl::StatusOr<PythonRegex> PythonRegex::Compile(absl::string_view pattern) {
  PEFT_ASSIGN_OR_RETURN(RegexSyntax syntax, ParsePythonRegex(pattern));
  PEFT_ASSIGN_OR_RETURN(const std::string text, EmitPcre2(syntax.root));
  auto code = std::make_shared<Code>();
  code->pattern = std::string(pattern);
  PEFT_ASSIGN_OR_RETURN(code->memory, MakeMemory());
  PEFT_ASSIGN_OR_RETURN(code->code,
                        CompilePcre2(text, pattern, code->memory.get()));
  PEFT_ASSIGN_OR_RETURN(code->context, MakeContext(code->memory.get()));
  code->group_names = std::move(syntax.group_names);
  return PythonRegex(std::move(code));
}

absl::StatusOr<bool> PythonRegex::FullMatch(absl::string_view text) const {
  return Run(text, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
}

absl::StatusOr<bool> PythonRegex::Match(absl::string_view text) const {
  return Run(text, PCRE2_ANCHORED);
}

absl::StatusOr<bool> PythonRegex::Search(absl::string_view text) const {
  return Run(text, 0);
}

absl::StatusOr<bool> PythonRegex::Run(absl::string_view text,
                                      uint32_t anchors) const {
  const MatchDataPtr data(pcre2_match_data_create(1, code_->memory.get()));
  if (data == nullptr) return OutOfMemoryError();
  return code_->Run(text, anchors, data.get());
}

absl::StatusOr<std::optional<absl::string_view>> PythonRegex::MatchGroup(
    absl::string_view text, absl::string_view name) const {
  std::optional<absl::string_view> group;
  const auto found = code_->group_names.find(std::string(name));
  if (found == code_->group_names.end()) return group;
  const MatchDataPtr data(
      pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  if (data == nullptr) return OutOfMemoryError();
  PEFT_ASSIGN_OR_RETURN(const bool matched,
                        code_->Run(text, PCRE2_ANCHORED, data.get()));
  if (!matched || found->second >= pcre2_get_ovector_count(data.get())) {
    return group;
  }
  const PCRE2_SIZE* ovector = pcre2_get_ovector_pointer(data.get());
  const PCRE2_SIZE start = ovector[2 * found->second];
  if (start == PCRE2_UNSET) return group;
  return text.substr(start, ovector[2 * found->second + 1] - start);
}

}  // namespace peft
