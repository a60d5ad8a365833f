#include "peft_cc/adapters/completeness.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

using Keys = std::vector<const TensorKey*>;

// How many names a message shows.
constexpr size_t kShown = 3;

std::vector<std::string> NamesOf(const Keys& keys) {
  std::vector<std::string> names;
  for (const TensorKey* key : keys) names.push_back(key->file_name);
  return names;
}

std::string Count(size_t count) {
  return count == 1 ? "1 tensor" : absl::StrCat(count, " tensors");
}

// Puts the tensor that tells most before the others, and says what it tells.
std::string TakeHint(Keys& unused) {
  const auto first = std::find_if(
      unused.begin(), unused.end(),
      [](const TensorKey* key) { return !UnexpectedHint(*key).empty(); });
  if (first == unused.end()) return "";
  std::rotate(unused.begin(), first, first + 1);
  return UnexpectedHint(*unused.front());
}

// A loader that skips unknown names would call this a success.
absl::Status NothingUsedError(const Keys& unused, absl::string_view hint) {
  if (unused.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument,
                     error_id::kAdapterTensors,
                     "the adapter's file has no tensors");
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterTensors,
      absl::StrCat(
          "none of the file's ", Count(unused.size()),
          " fits the model: ", ShortList(NamesOf(unused), kShown), "; ",
          hint.empty() ? "was it trained for another base model?" : hint),
      {unused.front()->file_name, "", ""});
}

absl::Status UnexpectedError(const Keys& unused, absl::string_view hint) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kTensorUnexpected,
      absl::StrCat(Count(unused.size()), " of the file ",
                   unused.size() == 1 ? "is" : "are", " used by nothing: ",
                   ShortList(NamesOf(unused), kShown), "; ",
                   hint.empty() ? "does adapter_config.json belong to this "
                                  "file, and the adapter to this base model?"
                                : hint),
      {unused.front()->file_name, "", ""});
}

// What is left over beside it is often the same tensor under another name.
absl::Status MissingError(const TensorTaker& taker, const Keys& unused) {
  std::vector<std::string> missing;
  for (const MissingTensor& tensor : taker.missing()) {
    missing.push_back(tensor.name);
  }
  std::string message = absl::StrCat(
      Count(missing.size()), missing.size() == 1 ? " is" : " are",
      " missing that the config asks for: ", ShortList(missing, kShown));
  if (!unused.empty()) {
    absl::StrAppend(&message,
                    "; used by nothing: ", ShortList(NamesOf(unused), kShown));
  }
  absl::StrAppend(&message,
                  "; does adapter_config.json belong to this file, and was it "
                  "saved completely?");
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTensorMissing,
                   message, {missing.front(), "", ""});
}

void AddLines(const TensorTaker& taker, const Keys& unused,
              LoadReport& report) {
  for (const MissingTensor& tensor : taker.missing()) {
    report.lines.push_back({ReportKind::kMissing, tensor.name,
                            tensor.instead == IfMissing::kBase
                                ? "the base model's own stands for it"
                                : "acts as if it had not been trained"});
  }
  for (const TensorKey* key : unused) {
    report.lines.push_back(
        {ReportKind::kUnexpected, key->file_name, UnexpectedHint(*key)});
  }
}

}  // namespace

absl::Status CheckCompleteness(const TensorTaker& taker, bool lenient,
                               LoadReport& report) {
  Keys unused = taker.Unused();
  const std::string hint = TakeHint(unused);
  // A hint explains what is missing as well.
  if (!lenient && !hint.empty()) return UnexpectedError(unused, hint);
  if (!lenient && !taker.missing().empty() && taker.any_taken()) {
    return MissingError(taker, unused);
  }
  if (!taker.any_taken()) return NothingUsedError(unused, hint);
  if (!lenient && !unused.empty()) return UnexpectedError(unused, hint);
  AddLines(taker, unused, report);
  return absl::OkStatus();
}

}  // namespace peft
