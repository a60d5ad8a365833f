#include "testing/misuse/run.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/utf8.h"
#include "testing/misuse/handle_kinds.h"
#include "testing/misuse/tables.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

// -- Counts -------------------------------------------------------------------

struct Counts {
  std::mutex mutex;
  std::map<std::string, CallCount> by_name;
};

Counts& GlobalCounts() {
  static Counts* const counts = new Counts;
  return *counts;
}

// -- Statuses -----------------------------------------------------------------

// What is wrong with a status, or "".
std::string ProblemOf(const peft_status_t* status) {
  const int32_t code = peft_status_code(status);
  const std::string id = peft_status_id(status);
  for (const char* text :
       {peft_status_message(status), peft_status_subject(status),
        peft_status_expected(status), peft_status_found(status)}) {
    if (!IsValidUtf8(text)) {
      return absl::StrCat(id, " has a text that is not UTF-8: ", text);
    }
  }
  if (std::strlen(peft_status_message(status)) < 10) {
    return absl::StrCat(
        id, " says no more than this: ", peft_status_message(status));
  }
  for (const ErrorInfo& info : ErrorInfos()) {
    if (info.id != id) continue;
    const auto& codes = info.codes;
    if (std::find(codes.begin(), codes.end(), code) != codes.end()) return "";
    return absl::StrCat("errors.md does not have code ", code, " for ", id,
                        ": ", peft_status_message(status));
  }
  return absl::StrCat("errors.md does not have the id ", id, ": ",
                      peft_status_message(status));
}

template <typename Handle>
constexpr size_t kKind = KindOf<Handle>::kIndex;

}  // namespace

std::vector<CallCount> CallCounts() {
  Counts& counts = GlobalCounts();
  const std::lock_guard<std::mutex> lock(counts.mutex);
  std::vector<CallCount> result;
  for (const FunctionInfo& function : FunctionInfos()) {
    result.push_back(counts.by_name[function.name]);
  }
  return result;
}

void CountCall(const char* name, bool success) {
  Counts& counts = GlobalCounts();
  const std::lock_guard<std::mutex> lock(counts.mutex);
  CallCount& count = counts.by_name[name];
  ++count.calls;
  if (success) ++count.successes;
}

// -- A run --------------------------------------------------------------------

Run::Run(uint64_t seed, Pool* shared)
    : seed_(seed), random_(seed), shared_(shared) {
  if (shared_ == nullptr) peft_set_logger(nullptr, nullptr);
}

Run::~Run() {
  peft_set_logger(nullptr, nullptr);
  own_.FreeAll(random_);
  for (DLManagedTensor* tensor : tensors_) tensor->deleter(tensor);
  if (shared_ != nullptr) return;
  fs::remove_all("out");
  fs::create_directory("out");
}

Pool& Run::PoolOf(size_t kind) {
  const bool is_shared =
      shared_ != nullptr && HandleInfos()[kind].is_thread_safe;
  return is_shared ? *shared_ : own_;
}

void Run::Play() {
  for (uint64_t i = random_.Below(8); i > 0; --i) GoodCall();
  for (uint64_t i = 5 + random_.Below(30); i > 0; --i) {
    if (random_.Percent(15)) GoodCall();
    AnyCall();
  }
}

void Run::AnyCall() {
  ++depth_;
  random_.Of(FunctionInfos()).call(*this);
  --depth_;
}

void Run::Keep(std::unique_ptr<char[]> memory) {
  (shared_ == nullptr ? own_ : *shared_).Keep(std::move(memory));
}

void Run::Adopt(DLManagedTensor* tensor) {
  if (random_.Percent(50)) {
    tensor->deleter(tensor);
  } else {
    tensors_.push_back(tensor);
  }
}

bool Run::Take(peft_status_t* status) {
  if (status == nullptr) return true;
  const std::string problem = ProblemOf(status);
  if (!problem.empty()) Fail(problem);
  if (random_.Percent(5)) {
    own_.Add(kKind<peft_status_t>, status);
  } else {
    peft_status_free(status);
  }
  return false;
}

void Run::Fail(const std::string& problem) const {
  ADD_FAILURE() << problem << "\n" << Describe();
}

std::string Run::Describe() const {
  std::string text = absl::StrCat(
      "again: --test_env=MISUSE_FIRST=", seed_,
      " --test_env=MISUSE_COUNT=1\nthe calls of sequence ", seed_, ":\n");
  for (const std::string& line : log_) absl::StrAppend(&text, "  ", line, "\n");
  return text;
}

// -- Calls that work ----------------------------------------------------------

bool Run::Good(const char* function, peft_status_t* status) {
  Log(absl::StrCat("good: ", function));
  const bool success = Take(status);
  CountCall(function, success);
  return success;
}

template <typename Handle>
Handle* Run::AnyLive() {
  return static_cast<Handle*>(
      PoolOf(kKind<Handle>).Live(kKind<Handle>, random_));
}

template <typename Handle>
void Run::Add(Handle* handle) {
  PoolOf(kKind<Handle>).Add(kKind<Handle>, handle);
}

void Run::GoodCall() {
  switch (random_.Below(10)) {
    case 0:
      return OpenModel();
    case 1:
      return MakeHostModel();
    case 2:
      return MakeStateDict();
    case 3:
      return MakeSession();
    case 4:
      return Forward();
    case 5:
      return RunLayer();
    case 6:
      return Replace();
    case 7:
      return Probe();
    default:
      return LoadAdapter();
  }
}

void Run::OpenModel() {
  constexpr const char* kFolders[] = {"llama", "llama", "llama", "gpt2",
                                      "bert"};
  const char* const folder = random_.Of(kFolders);
  Log(absl::StrCat("opens ", folder));
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1 + static_cast<int32_t>(random_.Below(2));
  peft_model_t* model = nullptr;
  if (Good("peft_model_open", peft_model_open(folder, &options, &model))) {
    Add(model);
  }
}

namespace {

// The elements of all that is made here; they live as long as the process.
constexpr float kElements[24] = {0.5f, -1, 2, 0.25f, 3};

template <size_t kRank>
peft_tensor_view_t ViewOf(const int64_t (&sizes)[kRank]) {
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = kElements;
  view.dtype = PEFT_DTYPE_F32;
  view.rank = kRank;
  view.sizes = sizes;
  return view;
}

peft_layer_t LayerOf(const char* name, int32_t kind,
                     const peft_tensor_view_t& weight) {
  peft_layer_t layer = PEFT_LAYER_INIT;
  layer.name = name;
  layer.kind = kind;
  layer.weight = &weight;
  return layer;
}

}  // namespace

void Run::MakeHostModel() {
  static constexpr int64_t kSizes[] = {3, 4};
  static constexpr int64_t kExperts[] = {2, 3, 4};
  const peft_tensor_view_t matrix = ViewOf(kSizes);
  const peft_tensor_view_t experts = ViewOf(kExperts);
  peft_layer_t layers[] = {LayerOf("fc", PEFT_LAYER_LINEAR, matrix),
                           LayerOf("emb", PEFT_LAYER_EMBEDDING, matrix),
                           LayerOf("pe", PEFT_LAYER_PARAMETER, experts)};
  for (peft_layer_t& layer : layers) {
    layer.copy_weights = static_cast<int32_t>(random_.Below(2));
  }
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  peft_model_t* model = nullptr;
  if (Good("peft_model_create",
           peft_model_create(layers, 3, &options, &model))) {
    Add(model);
  }
}

void Run::LoadAdapter() {
  auto* const model = AnyLive<peft_model_t>();
  if (model == nullptr) return OpenModel();
  constexpr const char* kAdapters[] = {"a", "b", "default"};
  const char* const name = random_.Of(kAdapters);
  Log(absl::StrCat("adds adapter ", name));
  // A host model has other layers than an opened one.
  peft_load_report_t* report = nullptr;
  if (Take(peft_model_load_adapter(model, name, "lora", nullptr, &report))) {
    Add(report);
    peft_report_line_t line = PEFT_REPORT_LINE_INIT;
    Good("peft_load_report_get_line",
         peft_load_report_get_line(report, 0, &line));
    return Combine(model, name);
  }
  Take(peft_model_add_adapter(
      model, name,
      R"({"peft_type": "LORA", "r": 2, "target_modules": ["fc", "c_attn"]})",
      nullptr));
}

void Run::Combine(peft_model_t* model, const char* name) {
  const float weight = 0.5f;
  Good("peft_model_add_weighted_adapter",
       peft_model_add_weighted_adapter(model, "combined", &name, &weight, 1,
                                       nullptr));
}

void Run::Probe() {
  const auto* const model = AnyLive<peft_model_t>();
  if (model == nullptr) return OpenModel();
  peft_probe_report_t* report = nullptr;
  if (!Good("peft_model_probe_adapter",
            peft_model_probe_adapter(model, nullptr, nullptr, &report))) {
    return;
  }
  Add(report);
  peft_probe_line_t line = PEFT_PROBE_LINE_INIT;
  Good("peft_probe_report_get_line",
       peft_probe_report_get_line(report, 0, &line));
}

void Run::Replace() {
  auto* const model = AnyLive<peft_model_t>();
  const auto* const dict = AnyLive<peft_state_dict_t>();
  if (model == nullptr || dict == nullptr) return MakeStateDict();
  Good("peft_model_replace_adapter",
       peft_model_replace_adapter(model, "a", "lora", nullptr, nullptr));
  Good("peft_model_replace_adapter_from_memory",
       peft_model_replace_adapter_from_memory(
           model, "a",
           R"({"peft_type": "LORA", "r": 2, "target_modules": ["fc"]})", dict,
           nullptr, nullptr));
}

void Run::MakeSession() {
  const auto* const model = AnyLive<peft_model_t>();
  if (model == nullptr) return OpenModel();
  peft_session_t* session = nullptr;
  if (Good("peft_session_create",
           peft_session_create(model, nullptr, &session))) {
    Add(session);
  }
}

void Run::Forward() {
  auto* const session = AnyLive<peft_session_t>();
  if (session == nullptr) return MakeSession();
  static constexpr int64_t kIds[] = {1, 2};
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kIds;
  input.batch = 1;
  input.length = 2;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  Good("peft_session_forward",
       peft_session_forward(session, &input, nullptr, &view));
  Good("peft_session_get_output",
       peft_session_get_output(session, PEFT_OUTPUT_LOGITS, &view));
}

void Run::RunLayer() {
  const auto* const model = AnyLive<peft_model_t>();
  if (model == nullptr) return MakeHostModel();
  int64_t layer = 0;
  if (!Good("peft_model_find_layer",
            peft_model_find_layer(model, "fc", -1, &layer))) {
    return;
  }
  peft_layer_runner_t* runner = nullptr;
  if (!Good("peft_layer_runner_create",
            peft_layer_runner_create(model, &runner))) {
    return;
  }
  static constexpr int64_t kInput[] = {2, 4};
  static constexpr int64_t kOutput[] = {2, 3};
  const peft_tensor_view_t x = ViewOf(kInput);
  peft_tensor_view_t y = ViewOf(kOutput);
  float result[6] = {};
  y.data = result;
  Good("peft_layer_runner_run",
       peft_layer_runner_run(runner, layer, &x, nullptr, &y));
  Good("peft_layer_runner_add_delta",
       peft_layer_runner_add_delta(runner, layer, &x, nullptr, &y));
  Add(runner);
  peft_tensor_t* tensor = nullptr;
  if (Good("peft_model_run_layer",
           peft_model_run_layer(model, "fc", &x, nullptr, &tensor))) {
    Add(tensor);
  }
  peft_lowered_t* lowered = nullptr;
  if (Good("peft_model_lower_layer",
           peft_model_lower_layer(model, layer, nullptr, &lowered))) {
    Add(lowered);
    peft_form_t form = PEFT_FORM_INIT;
    Good("peft_lowered_get_form", peft_lowered_get_form(lowered, 0, &form));
    peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
    Good("peft_lowered_get_tensor",
         peft_lowered_get_tensor(lowered, 0, PEFT_FORM_TENSOR_A, &view));
  }
}

void Run::MakeStateDict() {
  static constexpr int64_t kSizesA[] = {2, 4};
  static constexpr int64_t kSizesB[] = {3, 2};
  const peft_tensor_view_t a = ViewOf(kSizesA);
  const peft_tensor_view_t b = ViewOf(kSizesB);
  peft_state_dict_t* dict = nullptr;
  if (!Good("peft_state_dict_create", peft_state_dict_create(&dict))) return;
  Add(dict);
  Good("peft_state_dict_set",
       peft_state_dict_set(dict, "base_model.model.fc.lora_A.weight", &a));
  Good("peft_state_dict_set",
       peft_state_dict_set(dict, "base_model.model.fc.lora_B.weight", &b));
}

}  // namespace peft
