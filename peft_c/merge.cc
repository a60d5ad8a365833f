// Merging adapters into weights, in memory and into a new folder.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "peft_c/arguments.h"
#include "peft_c/log.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_c/text.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// One scale per name, or none.
absl::StatusOr<absl::Span<const float>> MergeScales(const float* scales,
                                                    size_t num_names) {
  if (scales == nullptr) return absl::Span<const float>();
  if (num_names > 0) return absl::MakeSpan(scales, num_names);
  return BadArgument("options.scales",
                     "is given without names: give a name for each scale");
}

absl::Status Merge(Model& model, absl::Span<const std::string> names,
                   const peft_merge_options_t& options) {
  MergeAdapterOptions known;
  PEFT_ASSIGN_OR_RETURN(known.check_finite,
                        FlagArgument("options.safe_merge", options.safe_merge));
  PEFT_ASSIGN_OR_RETURN(const auto scales,
                        MergeScales(options.scales, names.size()));
  PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> added,
                        model.MergeAdapter(names, scales, known));
  if (added.empty()) {
    LogLine(PEFT_LOG_WARNING,
            "peft_model_merge_adapter: these adapters are merged already");
  }
  return absl::OkStatus();
}

// The program's callback; empty for NULL.
std::function<bool(int64_t, int64_t)> ProgressOf(peft_progress_fn callback,
                                                 void* user_data) {
  if (callback == nullptr) return {};
  return [callback, user_data](int64_t done, int64_t total) {
    try {
      return callback(user_data, done, total) == 0;
    } catch (...) {
      return false;
    }
  };
}

absl::StatusOr<MergedModelOptions> OptionsOf(
    const peft_merge_and_unload_options_t& options) {
  MergedModelOptions known;
  PEFT_ASSIGN_OR_RETURN(known.merge.check_finite,
                        FlagArgument("options.safe_merge", options.safe_merge));
  known.on_progress = ProgressOf(options.on_progress, options.user_data);
  return known;
}

}  // namespace
}  // namespace peft

void peft_merge_options_init(peft_merge_options_t* options,
                             size_t struct_size) {
  static constexpr peft_merge_options_t kDefaults = PEFT_MERGE_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_merge_adapter(peft_model_t* model,
                                        const char* const* names,
                                        size_t num_names,
                                        const peft_merge_options_t* options) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                          peft::TextArray("names", names, num_names));
    peft_merge_options_t known = PEFT_MERGE_OPTIONS_INIT;
    PEFT_RETURN_IF_ERROR(peft::ReadOptions(options, &known));
    return peft::Merge(*object, keys, known);
  });
}

peft_status_t* peft_model_unmerge_adapter(peft_model_t* model) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    return object->UnmergeAdapter().status();
  });
}

peft_status_t* peft_model_merged_adapters(const peft_model_t* model,
                                          peft_string_list_t** out_names) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_names", out_names));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    return peft::NewHandle(std::make_shared<const std::vector<std::string>>(
                               object->MergedAdapters()),
                           out_names);
  });
}

void peft_merge_and_unload_options_init(
    peft_merge_and_unload_options_t* options, size_t struct_size) {
  static constexpr peft_merge_and_unload_options_t kDefaults =
      PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_merge_and_unload(
    const peft_model_t* model, const char* path,
    const peft_merge_and_unload_options_t* options) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::TextArgument("path", path));
    peft_merge_and_unload_options_t known = PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT;
    PEFT_RETURN_IF_ERROR(peft::ReadOptions(options, &known));
    PEFT_ASSIGN_OR_RETURN(
        const std::vector<std::string> names,
        peft::TextArray("options.names", known.names, known.num_names));
    PEFT_ASSIGN_OR_RETURN(const auto scales,
                          peft::MergeScales(known.scales, names.size()));
    PEFT_ASSIGN_OR_RETURN(const peft::MergedModelOptions how,
                          peft::OptionsOf(known));
    return object->MergeAndUnload(folder, names, scales, how);
  });
}

peft_status_t* peft_model_write_quantized(const peft_model_t* model,
                                          const char* path,
                                          peft_progress_fn on_progress,
                                          void* user_data) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::TextArgument("path", path));
    return object->WriteQuantized(folder,
                                  peft::ProgressOf(on_progress, user_data));
  });
}

peft_status_t* peft_model_unload(peft_model_t* model) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    return object->Unload();
  });
}
