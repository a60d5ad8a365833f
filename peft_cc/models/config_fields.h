// Typed, checked fields of a JSON object that a stranger wrote.
#ifndef PEFT_CC_MODELS_CONFIG_FIELDS_H_
#define PEFT_CC_MODELS_CONFIG_FIELDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/json.h"

namespace peft {

// Reads fields one after another and remembers the first thing that is wrong,
// so that a reader is a list of fields with one check at its end. A read that
// fails gives the fallback. Types are as strict as transformers' own: an
// integer field takes no 16.0 and no true. Thread-compatible.
class ConfigFields {
 public:
  // Keeps a reference to `object`. `what` names the file in messages; `scope`
  // is put before keys, "rope_parameters." for a nested object.
  ConfigFields(const Json& object, std::string what, std::string scope = "");

  // INVALID_ARGUMENT (MODEL_CONFIG) that names the first wrong field.
  const absl::Status& status() const { return status_; }

  // Present, maybe null.
  bool Contains(absl::string_view key) const { return Find(key) != nullptr; }
  // Present and not null.
  bool Has(absl::string_view key) const;
  // The value; null if there is none.
  const Json* Find(absl::string_view key) const;

  // The field, or `fallback` when it is absent. Null is an error.
  int64_t Int(absl::string_view key, int64_t fallback, int64_t min,
              int64_t max);
  // An integer or a float, finite and in [min, max].
  double Number(absl::string_view key, double fallback, double min, double max);
  bool Bool(absl::string_view key, bool fallback);
  // At most 256 bytes.
  std::string Text(absl::string_view key, absl::string_view fallback);
  // A token id or a list of them; empty for null.
  std::vector<int64_t> TokenIds(absl::string_view key,
                                std::vector<int64_t> fallback);
  // A list of short texts; empty for null.
  std::vector<std::string> TextList(absl::string_view key, size_t max_size);

  // Records an error of `key` unless there is one already.
  void Fail(absl::string_view key, absl::string_view expected);
  // The same for what this version does not implement: UNIMPLEMENTED
  // (MODEL_UNSUPPORTED).
  void FailUnsupported(absl::string_view key, absl::string_view expected);

 private:
  std::string Found(absl::string_view key) const;

  const Json& object_;
  std::string what_;
  std::string scope_;
  absl::Status status_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_CONFIG_FIELDS_H_
