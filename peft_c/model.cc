#include "peft_c/model.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/files.h"
#include "peft_c/host_threads.h"
#include "peft_c/hub_options.h"
#include "peft_c/log.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::StatusOr<ReadMode> ReadModeOf(int32_t value) {
  switch (value) {
    case PEFT_READ_MODE_MAP:
      return ReadMode::kMap;
    case PEFT_READ_MODE_READ:
      return ReadMode::kRead;
    default:
      return BadArgument(
          "options.read_mode",
          absl::StrCat("is ", value, ", expected a PEFT_READ_MODE_..."));
  }
}

absl::Status ReadWeightFormat(const peft_model_options_t& options,
                              ModelOptions& out) {
  const int32_t format = options.weight_format;
  if (format < PEFT_WEIGHT_FORMAT_AS_STORED || format > PEFT_WEIGHT_FORMAT_Q4) {
    return BadArgument(
        "options.weight_format",
        absl::StrCat("is ", format, ", expected a PEFT_WEIGHT_FORMAT_..."));
  }
  out.weight_format = static_cast<WeightFormat>(format);
  PEFT_ASSIGN_OR_RETURN(out.quantize_head, FlagArgument("options.quantize_head",
                                                        options.quantize_head));
  return absl::OkStatus();
}

absl::Status ReadHead(const peft_model_options_t& options, ModelOptions& out) {
  if (options.task < 0 || options.task > PEFT_TASK_QUESTION_ANSWERING) {
    return BadArgument(
        "options.task",
        absl::StrCat("is ", options.task, ", expected a PEFT_TASK_... or 0"));
  }
  if (options.task != 0) out.head.task = static_cast<ModelTask>(options.task);
  out.head.num_labels = options.num_labels;
  if (options.pad_token_id != nullptr) {
    out.head.pad_token_id = *options.pad_token_id;
  }
  return absl::OkStatus();
}

absl::Status ReadProcessors(const peft_model_options_t& options,
                            ModelOptions& out) {
  PEFT_RETURN_IF_ERROR(CheckArray("options.processors", options.processors,
                                  options.num_processors));
  out.processors.assign(options.processors,
                        options.processors + options.num_processors);
  return absl::OkStatus();
}

absl::Status ReadLayerReplication(const peft_model_options_t& options,
                                  ModelOptions& out) {
  PEFT_RETURN_IF_ERROR(CheckArray("options.layer_replication",
                                  options.layer_replication,
                                  options.num_layer_ranges));
  for (size_t i = 0; i < options.num_layer_ranges; ++i) {
    const int64_t* const range = options.layer_replication + 2 * i;
    out.layer_replication.push_back({range[0], range[1]});
  }
  PEFT_ASSIGN_OR_RETURN(out.for_adapters,
                        TextArray("options.for_adapters", options.for_adapters,
                                  options.num_for_adapters));
  if (!out.layer_replication.empty() && !out.for_adapters.empty()) {
    return BadArgument("options.for_adapters",
                       "is given together with options.layer_replication");
  }
  return absl::OkStatus();
}

// Where the model and its adapters are.
absl::Status ReadSource(const peft_model_options_t& options,
                        ModelOptions& out) {
  PEFT_ASSIGN_OR_RETURN(
      out.subfolder, OptionalText("options.subfolder", options.subfolder, ""));
  PEFT_ASSIGN_OR_RETURN(out.hub, ReadHubOptions(HubFieldsOf(options)));
  PEFT_ASSIGN_OR_RETURN(
      out.adapter_revision,
      HubText("options.adapter_revision", options.adapter_revision));
  PEFT_ASSIGN_OR_RETURN(
      out.adapter_subfolder,
      OptionalText("options.adapter_subfolder", options.adapter_subfolder, ""));
  return absl::OkStatus();
}

// What is known of a program's own layers.
peft_model_info_t HostInfo(const SiteTable& sites, const AdapterUsage& usage) {
  peft_model_info_t info = PEFT_MODEL_INFO_INIT;
  info.model_type = info.architecture = "";
  info.num_sites = static_cast<int64_t>(sites.sites().size());
  info.num_adapters = usage.num_adapters;
  info.adapter_bytes = usage.size_bytes;
  for (const Site& site : sites.sites()) {
    for (const Tensor* tensor : {&site.weight, &site.bias}) {
      if (tensor->dtype() == DType::kUnspecified) continue;
      info.num_parameters += tensor->num_elements();
      info.size_bytes += tensor->size_bytes();
    }
  }
  return info;
}

peft_model_info_t InfoOf(const Model& model) {
  const AdapterUsage usage = model.GetAdapterUsage();
  if (model.is_host_model()) return HostInfo(model.sites(), usage);
  const BaseModel& base = model.base();
  peft_model_info_t info = PEFT_MODEL_INFO_INIT;
  info.model_type = base.config().model_type.c_str();
  info.vocab_size = base.config().vocab_size;
  info.hidden_size = base.config().hidden_size;
  info.num_layers = base.config().num_hidden_layers;
  info.max_position_embeddings = base.config().max_position_embeddings;
  info.num_parameters = base.num_parameters();
  info.size_bytes = base.size_bytes();
  info.num_sites = static_cast<int64_t>(base.sites().sites().size());
  const ModelConfig& config = base.config();
  info.architecture = config.architecture.c_str();
  info.task = static_cast<int32_t>(config.task);
  if (config.task == ModelTask::kSequenceClassification ||
      config.task == ModelTask::kTokenClassification) {
    info.num_labels = config.num_labels;
  }
  info.num_token_types = config.num_token_types;
  info.num_adapters = usage.num_adapters;
  info.adapter_bytes = usage.size_bytes;
  return info;
}

}  // namespace

absl::StatusOr<ModelOptions> ModelOptionsOf(
    const peft_model_options_t* options) {
  peft_model_options_t known = PEFT_MODEL_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  ModelOptions result;
  PEFT_ASSIGN_OR_RETURN(result.read_mode, ReadModeOf(known.read_mode));
  result.num_threads = known.num_threads;
  PEFT_ASSIGN_OR_RETURN(result.thread_pool, ReadThreadPool(known.thread_pool));
  PEFT_RETURN_IF_ERROR(ReadProcessors(known, result));
  PEFT_ASSIGN_OR_RETURN(
      result.files, ReadFiles("options.files", known.files, known.num_files));
  PEFT_RETURN_IF_ERROR(ReadLayerReplication(known, result));
  PEFT_RETURN_IF_ERROR(ReadWeightFormat(known, result));
  PEFT_RETURN_IF_ERROR(ReadHead(known, result));
  PEFT_RETURN_IF_ERROR(ReadSource(known, result));
  return result;
}

absl::StatusOr<std::string> ModelPath(const char* path,
                                      const ModelOptions& options) {
  const bool is_optional =
      !options.for_adapters.empty() || options.files != nullptr;
  if (path == nullptr && is_optional) return std::string();
  PEFT_ASSIGN_OR_RETURN(std::string text, TextArgument("path", path));
  if (text.empty()) return BadArgument("path", "is empty");
  return text;
}

}  // namespace peft

void peft_model_options_init(peft_model_options_t* options,
                             size_t struct_size) {
  static constexpr peft_model_options_t kDefaults = PEFT_MODEL_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_open(const char* path,
                               const peft_model_options_t* options,
                               peft_model_t** out_model) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_model", out_model));
    PEFT_ASSIGN_OR_RETURN(const peft::ModelOptions known,
                          peft::ModelOptionsOf(options));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::ModelPath(path, known));
    PEFT_ASSIGN_OR_RETURN(std::unique_ptr<peft::Model> model,
                          peft::Model::Open(folder, known));
    for (const std::string& note : model->notes()) {
      peft::LogLine(PEFT_LOG_WARNING, note);
    }
    return peft::NewHandle(std::shared_ptr<peft::Model>(std::move(model)),
                           out_model);
  });
}

void peft_model_free(peft_model_t* model) {
  peft::FreeHandle("peft_model_free", model);
}

peft_status_t* peft_model_get_info(const peft_model_t* model,
                                   peft_model_info_t* out_info) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_info", out_info));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    peft::WriteOutStruct(peft::InfoOf(*object), out_info);
    return absl::OkStatus();
  });
}
