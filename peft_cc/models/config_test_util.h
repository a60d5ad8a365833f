// What the tests of the families' configs share.
#ifndef PEFT_CC_MODELS_CONFIG_TEST_UTIL_H_
#define PEFT_CC_MODELS_CONFIG_TEST_UTIL_H_

#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "peft_cc/models/model_family.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {

// What is read of a config.json with this model_type and these further fields.
inline absl::StatusOr<FamilyConfig> ParseFields(absl::string_view model_type,
                                                absl::string_view fields) {
  return ParseModelConfig(absl::StrCat("{\"model_type\": \"", model_type, "\"",
                                       fields.empty() ? "" : ", ", fields, "}"),
                          "config.json");
}

// The same as the config of one family.
template <typename Config>
absl::StatusOr<Config> ParseFieldsOf(absl::string_view model_type,
                                     absl::string_view fields) {
  absl::StatusOr<FamilyConfig> config = ParseFields(model_type, fields);
  if (!config.ok()) return config.status();
  return std::get<Config>(*std::move(config));
}

// True if the fields are wrong, by a message that contains `text`.
inline ::testing::AssertionResult IsConfigError(absl::string_view model_type,
                                                absl::string_view fields,
                                                absl::string_view text) {
  return IsError(ParseFields(model_type, fields).status(),
                 absl::StatusCode::kInvalidArgument, "MODEL_CONFIG", text);
}

// True if this version cannot run what the fields ask for.
inline ::testing::AssertionResult IsUnsupported(absl::string_view model_type,
                                                absl::string_view fields,
                                                absl::string_view text) {
  return IsError(ParseFields(model_type, fields).status(),
                 absl::StatusCode::kUnimplemented, "MODEL_UNSUPPORTED", text);
}

}  // namespace peft

#endif  // PEFT_CC_MODELS_CONFIG_TEST_UTIL_H_
