#include "peft_cc/config/ia3_config.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/config_keys.h"
#include "peft_cc/config/method_keys.h"
#include "peft_cc/config/target_config.h"

namespace peft {
namespace {

// As in PEFT, only where both are lists.
absl::Status CheckSubset(const Ia3Config& ia3, const TargetConfig& targets) {
  if (!ia3.feedforward_modules.has_value() ||
      ia3.feedforward_modules->is_regex ||
      !targets.target_modules.has_value() || targets.target_modules->is_regex) {
    return absl::OkStatus();
  }
  const std::vector<std::string>& all = targets.target_modules->names;
  for (const std::string& name : ia3.feedforward_modules->names) {
    if (std::find(all.begin(), all.end(), name) != all.end()) continue;
    return ConfigError("feedforward_modules",
                       absl::StrCat("has ", Quoted(name),
                                    ", which target_modules lacks; it must be "
                                    "a subset"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseIa3Config(const AdapterConfigOptions& options,
                            ConfigReader* reader, AdapterConfig* config) {
  PEFT_RETURN_IF_ERROR(CheckConfigKeys(config->json, {BaseKeys(), Ia3Keys()},
                                       {options.lenient, options.inspect_only},
                                       *reader, config->ignored_keys));
  Ia3Config ia3;
  PEFT_RETURN_IF_ERROR(ReadTargetModules(*reader, config->targets));
  PEFT_RETURN_IF_ERROR(ReadModuleSelector(*reader, "feedforward_modules",
                                          &ia3.feedforward_modules));
  PEFT_RETURN_IF_ERROR(CheckSubset(ia3, config->targets));
  config->ia3 = std::move(ia3);
  return absl::OkStatus();
}

}  // namespace peft
