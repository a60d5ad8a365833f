#include "testing/scenario/cc_state.h"

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

namespace scenario {

std::string PathOf(const Json& step, const char* key, const State& state) {
  const std::string path = step.at(key);
  if (path.rfind("$TMP/", 0) == 0) return state.temporary + path.substr(4);
  return state.folder + "/" + path;
}

peft::ModelOptions OneThread() {
  peft::ModelOptions options;
  options.num_threads = 1;
  return options;
}

Outcome ModelInfo(const State& state) {
  peft::Result<peft::ModelInfo> info = state.model.Info();
  if (!info) return std::move(info).status();
  return Json{{"model_type", info->model_type},
              {"architecture", info->architecture},
              {"vocab_size", info->vocab_size},
              {"hidden_size", info->hidden_size},
              {"num_layers", info->num_layers},
              {"max_position_embeddings", info->max_position_embeddings},
              {"num_parameters", info->num_parameters},
              {"num_sites", info->num_sites}};
}

Outcome TakeModel(peft::Result<peft::Model> model, State* state) {
  if (!model) return std::move(model).status();
  state->model = *std::move(model);
  state->session.reset();
  state->runner.reset();
  return Json::object();
}

Outcome TakeOpened(peft::Result<peft::Model> model, State* state) {
  Outcome taken = TakeModel(std::move(model), state);
  if (!taken) return taken;
  auto session = peft::Session::Create(state->model);
  if (!session) return std::move(session).status();
  state->session = *std::move(session);
  return ModelInfo(*state);
}

Outcome Reported(peft::Status status, const peft::LoadReport& report) {
  if (!status.ok()) return status;
  return Json{{"matched", report.Count(peft::ReportKind::kMatched)},
              {"missing", report.Count(peft::ReportKind::kMissing)},
              {"unexpected", report.Count(peft::ReportKind::kUnexpected)},
              {"mismatched", report.Count(peft::ReportKind::kMismatched)},
              {"ignored_keys", report.Count(peft::ReportKind::kIgnoredKey)},
              {"num_sites", report.NumSites()},
              {"num_parameters", report.NumParameters()}};
}

Outcome Parsed(peft::Result<std::string> text) {
  if (!text) return std::move(text).status();
  return Json::parse(*text);
}

Outcome Numbers(const peft::TensorView& view, const char* key) {
  const auto values = view.Copy<float>();
  if (!values) return Json{{"problem", "not f32"}};
  return Json{{"shape", view.sizes}, {key, *values}};
}

Json Described(const peft::TensorView& view) {
  const std::map<peft::DType, std::pair<const char*, size_t>> types = {
      {peft::DType::kF32, {"float32", 4}},
      {peft::DType::kBF16, {"bfloat16", 2}},
      {peft::DType::kI64, {"int64", 8}}};
  const auto& [dtype, element_size] = types.at(view.dtype);
  const auto* bytes = static_cast<const unsigned char*>(view.data);
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < *view.Extent() * element_size; ++i) {
    hash = (hash ^ bytes[i]) * 0x100000001b3;
  }
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx",
                static_cast<unsigned long long>(hash));
  return {{"dtype", dtype}, {"shape", view.sizes}, {"fnv1a", text}};
}

}  // namespace scenario
