#include "tools/peft/setup.h"

#include <cstdio>
#include <cstring>
#include <set>

#include "tools/peft/fetch.h"
#include "tools/peft/progress.h"

namespace peft_tool {
namespace {

struct Task {
  const char* name;
  int32_t value;
};

constexpr Task kTasks[] = {
    {"base", PEFT_TASK_BASE},
    {"causal-lm", PEFT_TASK_CAUSAL_LM},
    {"masked-lm", PEFT_TASK_MASKED_LM},
    {"sequence-classification", PEFT_TASK_SEQUENCE_CLASSIFICATION},
    {"token-classification", PEFT_TASK_TOKEN_CLASSIFICATION},
    {"question-answering", PEFT_TASK_QUESTION_ANSWERING},
};

std::string UniqueName(const std::string& path, std::set<std::string>* names) {
  std::string base = path;
  while (base.size() > 1 && base.back() == '/') base.pop_back();
  base = base.substr(base.rfind('/') + 1);
  if (base.empty()) base = "adapter";
  std::string name = base;
  for (int i = 2; !names->insert(name).second; ++i) {
    name = base + "-" + std::to_string(i);
  }
  return name;
}

void PrintReport(const peft_load_report_t* report, const std::string& name) {
  for (size_t i = 0; i < peft_load_report_count(report, 0); ++i) {
    peft_report_line_t line = PEFT_REPORT_LINE_INIT;
    if (Status(peft_load_report_get_line(report, i, &line))) return;
    const char* kind = nullptr;
    switch (line.kind) {
      case PEFT_REPORT_MATCHED:
        continue;
      case PEFT_REPORT_MISSING:
        kind = "missing";
        break;
      case PEFT_REPORT_UNEXPECTED:
        kind = "unexpected";
        break;
      case PEFT_REPORT_MISMATCHED:
        kind = "mismatched";
        break;
      case PEFT_REPORT_IGNORED_KEY:
        kind = "ignored config key";
        break;
      default:
        kind = "note";
    }
    std::fprintf(stderr, "adapter \"%s\": %s: %s%s%s\n", name.c_str(), kind,
                 line.name, line.name[0] != '\0' ? ": " : "", line.detail);
  }
}

std::vector<const char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> pointers;
  pointers.reserve(texts.size());
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  return pointers;
}

// What the adapters of --adapter are called once they are loaded.
std::vector<std::string> AdapterNames(const Args& args) {
  std::set<std::string> used;
  std::vector<std::string> names;
  for (const std::string& path : args.GetAll("--adapter")) {
    names.push_back(UniqueName(path, &used));
  }
  return names;
}

// `folders` are where the adapters of --adapter are.
int LoadAdapters(const Args& args, const std::vector<std::string>& folders,
                 peft_model_t* model) {
  const std::vector<std::string> names = AdapterNames(args);
  for (size_t i = 0; i < folders.size(); ++i) {
    const std::string& name = names[i];
    peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
    options.lenient = args.Has("--lenient") ? 1 : 0;
    options.allow_unconverted_init =
        args.Has("--allow-unconverted-init") ? 1 : 0;
    peft_load_report_t* raw_report = nullptr;
    peft_status_t* status = peft_model_load_adapter(
        model, name.c_str(), folders[i].c_str(), &options, &raw_report);
    Report report(raw_report);
    if (status != nullptr) return Fail(status);
    PrintReport(report.get(), name);
  }
  return kExitOk;
}

// The numbers of --scale.
int ReadScales(const std::string& command, const Args& args,
               std::vector<float>* out_scales) {
  for (const std::string& text : args.GetAll("--scale")) {
    double scale = 0;
    if (!ParseDouble(text, &scale)) {
      return FailUsage(command, "--scale needs a number, got \"" + text + "\"");
    }
    out_scales->push_back(static_cast<float>(scale));
  }
  if (!out_scales->empty() &&
      out_scales->size() != args.GetAll("--adapter").size()) {
    return FailUsage(command, "give one --scale for each --adapter, or none");
  }
  return kExitOk;
}

// Opens the model in the folder `path`.
int OpenBaseFor(const std::vector<std::string>& adapters,
                const std::string& path, peft_model_options_t options,
                Model* out_model) {
  Progress progress("opening the model");
  const std::vector<const char*> folders = Pointers(adapters);
  options.for_adapters = folders.data();
  options.num_for_adapters = folders.size();
  peft_model_t* raw = nullptr;
  if (peft_status_t* status = peft_model_open(path.c_str(), &options, &raw)) {
    return Fail(status);
  }
  out_model->reset(raw);
  return kExitOk;
}

// Copies an integer tensor of one or two dimensions.
int ReadIds(const peft_state_dict_t* file, const std::string& path,
            const std::string& name, std::vector<int64_t>* out_values,
            int64_t* out_batch, int64_t* out_length) {
  peft_tensor_t* raw = nullptr;
  if (peft_status_t* status = peft_state_dict_get(file, name.c_str(), &raw)) {
    return Fail(status);
  }
  TensorHandle tensor(raw);
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  if (peft_status_t* status = peft_tensor_get_view(raw, &view)) {
    return Fail(status);
  }
  const bool wide = view.dtype == PEFT_DTYPE_I64;
  if ((!wide && view.dtype != PEFT_DTYPE_I32) || view.rank < 1 ||
      view.rank > 2) {
    return Fail(path + ": tensor \"" + name +
                "\" must be I64 or I32 of shape (batch, length) or (length)");
  }
  *out_batch = view.rank == 2 ? view.sizes[0] : 1;
  *out_length = view.sizes[view.rank - 1];
  const auto* bytes = static_cast<const char*>(view.data);
  const size_t count = static_cast<size_t>(*out_batch * *out_length);
  for (size_t i = 0; i < count; ++i) {
    int64_t value = 0;
    if (wide) {
      std::memcpy(&value, bytes + i * sizeof(value), sizeof(value));
    } else {
      int32_t narrow = 0;
      std::memcpy(&narrow, bytes + i * sizeof(narrow), sizeof(narrow));
      value = narrow;
    }
    out_values->push_back(value);
  }
  return kExitOk;
}

std::string FindIdsName(const peft_state_dict_t* file) {
  std::string only;
  for (size_t i = 0; i < peft_state_dict_size(file); ++i) {
    const std::string name = peft_state_dict_name(file, i);
    if (name == "input_ids" || name == "ids") return name;
    only = name;
  }
  return peft_state_dict_size(file) == 1 ? only : "";
}

bool HasTensor(const peft_state_dict_t* file, const std::string& name) {
  for (size_t i = 0; i < peft_state_dict_size(file); ++i) {
    if (name == peft_state_dict_name(file, i)) return true;
  }
  return false;
}

}  // namespace

std::vector<OptionSpec> ModelOptionSpecs() {
  return Joined({
      {{"--model", "DIR",
        "the base model: a folder, or owner/name of the Hub; by default what "
        "the adapter names"},
       {"--adapter", "DIR",
        "a PEFT adapter, likewise; repeat for several at once"}},
      ModelPlaceSpecs(),
      {{"--adapter-revision", "R", "of all --adapter of the Hub (main)"},
       {"--adapter-subfolder", "NAME", "folder below each --adapter's own"}},
      HubOptionSpecs(),
      {TaskOptionSpec(),
       LabelsOptionSpec(),
       {"--pad-token-id", "N",
        "by which a classifier of sequences finds the last token of each row; "
        "by default config.json's"},
       {"--lenient", nullptr, "report missing tensors and unknown keys only"},
       {"--allow-unconverted-init", nullptr,
        "take an adapter whose initialisation changed the base (corda, "
        "loftq, ...) as a plain LoRA, which is not what was trained"},
       {"--threads", "N", "threads to use; 0, the default: one per core"},
       {"--help", nullptr, "show this text"}},
  });
}

OptionSpec TaskOptionSpec() {
  return {"--task", "T",
          "its head, made anew where its files have none: "
          "sequence-classification, token-classification, "
          "question-answering, causal-lm, masked-lm or base"};
}

OptionSpec LabelsOptionSpec() {
  return {"--num-labels", "N",
          "of a classifier; by default what the model, else the adapter, says"};
}

int ReadHead(const std::string& command, Args& args,
             peft_model_options_t* out_options) {
  out_options->num_labels = args.GetInt("--num-labels", 0, 1, INT32_MAX);
  if (!args.error().empty()) return FailUsage(command, args.error());
  if (!args.Has("--task")) return kExitOk;
  const std::string name = args.Get("--task");
  for (const Task& task : kTasks) {
    if (name != task.name) continue;
    out_options->task = task.value;
    return kExitOk;
  }
  return FailUsage(command, "--task does not know \"" + name +
                                "\": " + TaskOptionSpec().help);
}

OptionSpec ScaleOptionSpec() {
  return {"--scale", "S", "multiplies an adapter's effect; one per --adapter"};
}

int OpenBase(const Args& args, const std::vector<std::string>& adapters,
             peft_model_options_t options, Model* out_model) {
  const std::vector<const char*> folders = Pointers(adapters);
  peft_model_options_t fetch = options;
  // Without a model they name it.
  fetch.for_adapters = folders.data();
  fetch.num_for_adapters = folders.size();
  std::string folder;
  if (int code = FetchModel(args, args.Get("--model"), fetch, &folder)) {
    return code;
  }
  return OpenBaseFor(adapters, folder, options, out_model);
}

int OpenModel(const std::string& command, Args& args, Model* out_model) {
  if (!args.Has("--model") && !args.Has("--adapter")) {
    return FailUsage(command, "--model DIR is needed without --adapter");
  }
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads =
      static_cast<int32_t>(args.GetInt("--threads", 0, 0, 1024));
  if (!args.error().empty()) return FailUsage(command, args.error());
  const int64_t padding =
      args.GetInt("--pad-token-id", 0, INT64_MIN, INT64_MAX);
  if (args.Has("--pad-token-id")) options.pad_token_id = &padding;
  if (int code = ReadHead(command, args, &options)) return code;
  const std::string revision = args.Get("--adapter-revision");
  const std::string subfolder = args.Get("--adapter-subfolder");
  peft_load_options_t load = PEFT_LOAD_OPTIONS_INIT;
  if (!revision.empty()) load.revision = revision.c_str();
  load.subfolder = subfolder.c_str();
  std::vector<std::string> folders;
  for (const std::string& path : args.GetAll("--adapter")) {
    folders.emplace_back();
    if (int code = FetchAdapter(args, path, load, &folders.back())) return code;
  }
  if (int code = OpenBase(args, folders, options, out_model)) return code;
  Progress progress("loading the adapters");
  return LoadAdapters(args, folders, out_model->get());
}

int OpenActiveModel(const std::string& command, Args& args, Model* out_model) {
  std::vector<float> scales;
  if (int code = ReadScales(command, args, &scales)) return code;
  if (int code = OpenModel(command, args, out_model)) return code;
  const std::vector<std::string> names = AdapterNames(args);
  if (names.empty()) return kExitOk;
  const std::vector<const char*> pointers = Pointers(names);
  peft_set_adapter_options_t options = PEFT_SET_ADAPTER_OPTIONS_INIT;
  options.scales = scales.empty() ? nullptr : scales.data();
  peft_status_t* const status = peft_model_set_adapter(
      out_model->get(), pointers.data(), pointers.size(), &options);
  return status != nullptr ? Fail(status) : kExitOk;
}

int SaveAdapter(const Args& args, const peft_model_t* model, const char* name) {
  peft_save_options_t options = PEFT_SAVE_OPTIONS_INIT;
  options.overwrite = args.Has("--overwrite") ? 1 : 0;
  const std::string initial = args.Get("--initial-adapter");
  options.path_initial_model_for_weight_conversion = initial.c_str();
  peft_status_t* const status = peft_model_save_adapter(
      model, name, args.Get("--output").c_str(), &options);
  return status != nullptr ? Fail(status) : kExitOk;
}

peft_forward_input_t TokenBatch::Input() const {
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = ids.data();
  input.batch = batch;
  input.length = length;
  if (!attention_mask.empty()) input.attention_mask = attention_mask.data();
  if (!position_ids.empty()) input.position_ids = position_ids.data();
  if (!token_type_ids.empty()) input.token_type_ids = token_type_ids.data();
  return input;
}

int ReadTokens(const std::string& path, TokenBatch* out_tokens) {
  peft_state_dict_t* raw = nullptr;
  if (peft_status_t* status = peft_state_dict_read(path.c_str(), &raw)) {
    return Fail(status);
  }
  StateDict file(raw);
  const std::string name = FindIdsName(raw);
  if (name.empty()) {
    return Fail(path + ": no tensor \"input_ids\" in the file");
  }
  if (int code = ReadIds(raw, path, name, &out_tokens->ids, &out_tokens->batch,
                         &out_tokens->length)) {
    return code;
  }
  const struct {
    const char* name;
    std::vector<int64_t>* values;
  } extras[] = {{"attention_mask", &out_tokens->attention_mask},
                {"position_ids", &out_tokens->position_ids},
                {"token_type_ids", &out_tokens->token_type_ids}};
  for (const auto& extra : extras) {
    if (name == extra.name || !HasTensor(raw, extra.name)) continue;
    int64_t batch = 0;
    int64_t length = 0;
    if (int code =
            ReadIds(raw, path, extra.name, extra.values, &batch, &length)) {
      return code;
    }
    if (batch != out_tokens->batch || length != out_tokens->length) {
      return Fail(path + ": \"" + extra.name + "\" and \"" + name +
                  "\" must have the same shape");
    }
  }
  return kExitOk;
}

}  // namespace peft_tool
