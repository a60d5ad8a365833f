#include "peft_cc/adapters/completeness.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
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

// As programs name the task whose head `key` is of; the config's name decides
// where two tasks call their heads so.
absl::string_view TaskOf(const TensorKey& key, absl::string_view task_type) {
  if (absl::EndsWith(key.module, "qa_outputs")) return "question-answering";
  return task_type == "TOKEN_CLS" ? "token-classification"
                                  : "sequence-classification";
}

// What to do about a tensor of a head that the model does not have.
std::string HeadHint(const TensorKey& key, const Tensor& tensor,
                     absl::string_view task_type) {
  const absl::string_view task = TaskOf(key, task_type);
  const std::string labels =
      task == "question-answering" || tensor.rank() == 0
          ? ""
          : absl::StrCat(" and num_labels ", tensor.dim(0));
  return absl::StrCat(
      "it is a head that the model does not have: open the base model with the "
      "task ",
      task, labels,
      " (options.task, options.num_labels; peft: --task, --num-labels)");
}

// What is known about tensors that nothing uses.
class Hints {
 public:
  Hints(const TensorTaker& taker, absl::string_view task_type)
      : taker_(taker), task_type_(task_type) {}

  // "" where nothing is.
  std::string Of(const TensorKey& key) const {
    if (!IsOfClassifier(key)) return UnexpectedHint(key);
    return HeadHint(key, *taker_.Peek(key.module, key.part), task_type_);
  }

  // Puts the tensor that tells most before the others, and says what it tells.
  std::string Take(Keys& unused) const {
    const auto first =
        std::find_if(unused.begin(), unused.end(),
                     [&](const TensorKey* key) { return !Of(*key).empty(); });
    if (first == unused.end()) return "";
    std::rotate(unused.begin(), first, first + 1);
    return Of(*unused.front());
  }

 private:
  const TensorTaker& taker_;
  const absl::string_view task_type_;
};

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

void AddLines(const TensorTaker& taker, const Keys& unused, const Hints& hints,
              LoadReport& report) {
  for (const MissingTensor& tensor : taker.missing()) {
    report.lines.push_back({ReportKind::kMissing, tensor.name,
                            tensor.instead == IfMissing::kBase
                                ? "the base model's own stands for it"
                                : "acts as if it had not been trained"});
  }
  for (const TensorKey* key : unused) {
    report.lines.push_back(
        {ReportKind::kUnexpected, key->file_name, hints.Of(*key)});
  }
}

}  // namespace

absl::Status CheckCompleteness(const TensorTaker& taker,
                               absl::string_view task_type, bool lenient,
                               LoadReport& report) {
  Keys unused = taker.Unused();
  const Hints hints(taker, task_type);
  const std::string hint = hints.Take(unused);
  // A hint explains what is missing as well.
  if (!lenient && !hint.empty()) return UnexpectedError(unused, hint);
  if (!lenient && !taker.missing().empty() && taker.any_taken()) {
    return MissingError(taker, unused);
  }
  if (!taker.any_taken()) return NothingUsedError(unused, hint);
  if (!lenient && !unused.empty()) return UnexpectedError(unused, hint);
  AddLines(taker, unused, hints, report);
  return absl::OkStatus();
}

}  // namespace peft
