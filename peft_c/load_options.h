// peft_load_options_t, as the engine takes it.
#ifndef PEFT_C_LOAD_OPTIONS_H_
#define PEFT_C_LOAD_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peft_c/peft_c.h"
#include "peft_cc/adapters/adapter.h"

namespace peft {

// The options of a load, checked.
struct LoadOptions {
  AdapterLoadOptions load;
  bool is_trainable = false;
  uint64_t expected_generation = 0;
};

absl::StatusOr<LoadOptions> ReadLoadOptions(const peft_load_options_t* options);

// INVALID_ARGUMENT (ARGUMENT) where they say where an adapter comes from.
absl::Status CheckFromMemory(const LoadOptions& options);

// The path of an adapter: a TextArgument, or "" where the options have its
// files, and then neither a path nor options that say where it is.
absl::StatusOr<std::string> AdapterPath(const char* path,
                                        const LoadOptions& options);

// INVALID_ARGUMENT (ARGUMENT) where they name the generation to replace.
absl::Status CheckNotReplacing(const LoadOptions& options);

}  // namespace peft

#endif  // PEFT_C_LOAD_OPTIONS_H_
