#include "peft_c/load_options.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/files.h"
#include "peft_c/hub_options.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// The options that say where an adapter is, but for its files.
absl::Status CheckNoPlace(const LoadOptions& options, absl::string_view but) {
  std::string given = options.load.hub.Given();
  if (!options.load.subfolder.empty()) {
    given = absl::StrCat("subfolder", given.empty() ? "" : ", ", given);
  }
  if (given.empty()) return absl::OkStatus();
  return BadArgument(
      "options", absl::StrCat("says where to load from (", given, "), ", but));
}

}  // namespace

absl::StatusOr<LoadOptions> ReadLoadOptions(
    const peft_load_options_t* options) {
  peft_load_options_t known = PEFT_LOAD_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  LoadOptions result;
  PEFT_ASSIGN_OR_RETURN(result.load.subfolder,
                        OptionalText("options.subfolder", known.subfolder, ""));
  PEFT_ASSIGN_OR_RETURN(result.load.lenient,
                        FlagArgument("options.lenient", known.lenient));
  PEFT_ASSIGN_OR_RETURN(result.load.allow_unconverted_init,
                        FlagArgument("options.allow_unconverted_init",
                                     known.allow_unconverted_init));
  PEFT_ASSIGN_OR_RETURN(
      result.is_trainable,
      FlagArgument("options.is_trainable", known.is_trainable));
  result.expected_generation = known.expected_generation;
  PEFT_ASSIGN_OR_RETURN(const bool map_file,
                        FlagArgument("options.map_file", known.map_file));
  if (map_file) result.load.read_mode = ReadMode::kMap;
  PEFT_ASSIGN_OR_RETURN(result.load.hub, ReadHubOptions(HubFieldsOf(known)));
  PEFT_ASSIGN_OR_RETURN(
      result.load.files,
      ReadFiles("options.files", known.files, known.num_files));
  return result;
}

absl::Status CheckFromMemory(const LoadOptions& options) {
  if (options.load.files != nullptr) {
    return BadArgument("options.files",
                       "are given, but the adapter is in memory");
  }
  return CheckNoPlace(options, "but the adapter is in memory");
}

absl::StatusOr<std::string> AdapterPath(const char* path,
                                        const LoadOptions& options) {
  if (options.load.files == nullptr) return TextArgument("path", path);
  if (path != nullptr) {
    return BadArgument("path", "is given, and so are options.files");
  }
  PEFT_RETURN_IF_ERROR(CheckNoPlace(options, "but its files are given"));
  return std::string();
}

absl::Status CheckNotReplacing(const LoadOptions& options) {
  if (options.expected_generation == 0) return absl::OkStatus();
  return BadArgument("options.expected_generation",
                     absl::StrCat("is ", options.expected_generation,
                                  ", expected 0: a load replaces nothing"));
}

}  // namespace peft
