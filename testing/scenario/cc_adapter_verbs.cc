#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "testing/scenario/cc_state.h"

namespace scenario {
namespace {

std::string NameOf(const Json& step) { return step.at("name"); }

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// -- Adapters that come and go

peft::LoadOptions LoadOptionsOf(const Json& step) {
  peft::LoadOptions options;
  options.lenient = IsSet(step, "lenient");
  options.is_trainable = IsSet(step, "is_trainable");
  return options;
}

Outcome LoadAdapter(const Json& step, State* state) {
  peft::LoadReport report;
  return Reported(
      state->model.LoadAdapter(NameOf(step), PathOf(step, "path", *state),
                               LoadOptionsOf(step), &report),
      report);
}

Outcome ReplaceAdapter(const Json& step, State* state) {
  peft::LoadReport report;
  return Reported(
      state->model.ReplaceAdapter(NameOf(step), PathOf(step, "path", *state),
                                  LoadOptionsOf(step), &report),
      report);
}

Outcome LoadAdapterFromMemory(const Json& step, State* state) {
  auto tensors = peft::StateDict::Read(PathOf(step, "tensors", *state));
  if (!tensors) return std::move(tensors).status();
  peft::LoadReport report;
  return Reported(state->model.LoadAdapterFromMemory(
                      NameOf(step), ReadText(PathOf(step, "config", *state)),
                      *tensors, LoadOptionsOf(step), &report),
                  report);
}

Outcome ReplaceAdapterFromMemory(const Json& step, State* state) {
  auto tensors = peft::StateDict::Read(PathOf(step, "tensors", *state));
  if (!tensors) return std::move(tensors).status();
  peft::LoadReport report;
  return Reported(state->model.ReplaceAdapterFromMemory(
                      NameOf(step), ReadText(PathOf(step, "config", *state)),
                      *tensors, LoadOptionsOf(step), &report),
                  report);
}

Outcome AddAdapter(const Json& step, State* state) {
  return Done(state->model.AddAdapter(NameOf(step),
                                      ReadText(PathOf(step, "config", *state)),
                                      {step.at("seed").get<uint64_t>()}));
}

Outcome AddWeightedAdapter(const Json& step, State* state) {
  const std::map<std::string, peft::CombinationType> types = {
      {"svd", peft::CombinationType::kSvd},
      {"linear", peft::CombinationType::kLinear},
      {"cat", peft::CombinationType::kCat},
      {"ties", peft::CombinationType::kTies}};
  peft::CombineOptions options;
  options.combination_type = types.at(step.at("combination_type"));
  options.svd_rank = Get<int64_t>(step, "svd_rank");
  options.density = Get<float>(step, "density");
  return Done(state->model.AddWeightedAdapter(
      step.at("new_name").get<std::string>(), NamesOf(step),
      step.at("weights").get<std::vector<float>>(), options));
}

Outcome RenameAdapter(const Json& step, State* state) {
  return Done(state->model.RenameAdapter(
      NameOf(step), step.at("new_name").get<std::string>()));
}

Outcome DeleteAdapter(const Json& step, State* state) {
  return Done(state->model.DeleteAdapter(NamesOf(step)));
}

Outcome Unload(const Json&, State* state) {
  return Done(state->model.Unload());
}

Outcome SaveAdapter(const Json& step, State* state) {
  peft::SaveOptions options;
  options.overwrite = IsSet(step, "overwrite");
  return Done(state->model.SaveAdapter(NameOf(step),
                                       PathOf(step, "path", *state), options));
}

Outcome WriteStateDict(const Json& step, State* state) {
  auto tensors = state->model.GetAdapterStateDict(NameOf(step));
  if (!tensors) return std::move(tensors).status();
  return Done(tensors->Write(PathOf(step, "path", *state)));
}

// -- Which adapters act

Outcome SetAdapter(const Json& step, State* state) {
  return Done(state->model.SetAdapter(
      NamesOf(step), {Get<std::vector<float>>(step, "scales")}));
}

Outcome SetScale(const Json& step, State* state) {
  return Done(
      state->model.SetScale(NameOf(step), step.at("scale").get<float>()));
}

Outcome DisableAdapters(const Json&, State* state) {
  return Done(state->model.DisableAdapters());
}

Outcome EnableAdapters(const Json&, State* state) {
  return Done(state->model.EnableAdapters());
}

Outcome CreateActivation(const Json& step, State* state) {
  auto activation = state->model.CreateActivation(
      NamesOf(step), Get<std::vector<float>>(step, "scales"));
  if (!activation) return std::move(activation).status();
  state->activations[step.at("activation")] = *std::move(activation);
  return Json::object();
}

Outcome FreeActivation(const Json& step, State* state) {
  state->activations.erase(step.at("activation").get<std::string>());
  return Json::object();
}

Outcome MergeAdapter(const Json& step, State* state) {
  return Done(state->model.MergeAdapter(
      NamesOf(step),
      {Get<std::vector<float>>(step, "scales"), IsSet(step, "safe_merge")}));
}

Outcome UnmergeAdapter(const Json&, State* state) {
  return Done(state->model.UnmergeAdapter());
}

Outcome MergeAndUnload(const Json& step, State* state) {
  peft::MergeAndUnloadOptions options;
  options.names = NamesOf(step);
  return Done(
      state->model.MergeAndUnload(PathOf(step, "path", *state), options));
}

Outcome PinAdapter(const Json& step, State* state) {
  return Done(state->model.PinAdapter(NameOf(step), IsSet(step, "pinned")));
}

Outcome SetAdapterLimit(const Json& step, State* state) {
  return Done(
      state->model.SetAdapterLimit(step.at("max_bytes").get<int64_t>(),
                                   step.at("max_adapters").get<int64_t>()));
}

// -- What there is

Outcome Named(peft::Result<std::vector<std::string>> names) {
  if (!names) return std::move(names).status();
  return Json{{"names", *names}};
}

Outcome ListAdapters(const Json&, State* state) {
  return Named(state->model.ListAdapters());
}

Outcome ActiveAdapters(const Json&, State* state) {
  return Named(state->model.ActiveAdapters());
}

Outcome MergedAdapters(const Json&, State* state) {
  return Named(state->model.MergedAdapters());
}

Outcome HasAdapter(const Json& step, State* state) {
  peft::Result<bool> has = state->model.HasAdapter(NameOf(step));
  if (!has) return std::move(has).status();
  return Json{{"has", *has ? 1 : 0}};
}

Outcome GetAdapterStateDict(const Json& step, State* state) {
  auto tensors = state->model.GetAdapterStateDict(NameOf(step));
  if (!tensors) return std::move(tensors).status();
  Json found = Json::array();
  for (size_t i = 0; i < tensors->Size(); ++i) {
    const peft::Tensor tensor = *tensors->Get(tensors->Name(i));
    const peft::TensorView view = *tensor.View();
    found.push_back(Described(view));
    found.back()["name"] = tensors->Name(i);
  }
  return Json{{"tensors", found}};
}

Outcome GetAdapterInfo(const Json& step, State* state) {
  auto info = state->model.GetAdapterInfo(NameOf(step));
  if (!info) return std::move(info).status();
  return Json{{"peft_type", std::string(info->peft_type)},
              {"rank", info->rank},
              {"scale", info->scale},
              {"num_parameters", info->num_parameters},
              {"num_sites", info->num_sites},
              {"is_active", info->is_active ? 1 : 0},
              {"is_pinned", info->is_pinned ? 1 : 0},
              {"is_trainable", info->is_trainable ? 1 : 0}};
}

Outcome GetAdapterConfig(const Json& step, State* state) {
  return Parsed(state->model.GetAdapterConfig(NameOf(step)));
}

// As much of the end of a path as the step expects.
Outcome EndOf(const Json& step, peft::Result<std::string> path) {
  if (!path) return std::move(path).status();
  const auto size = step.at("expect").at("path").get<std::string>().size();
  return Json{
      {"path", path->substr(path->size() - std::min(size, path->size()))}};
}

Outcome GetAdapterSource(const Json& step, State* state) {
  return EndOf(step, state->model.GetAdapterSource(NameOf(step)));
}

Outcome FetchAdapter(const Json& step, State* state) {
  return EndOf(step, peft::FetchAdapter(PathOf(step, "path", *state)));
}

Outcome EstimateAdapter(const Json& step, State* state) {
  auto estimate = peft::EstimateAdapter(PathOf(step, "path", *state));
  if (!estimate) return std::move(estimate).status();
  return Json{{"file_bytes", estimate->file_bytes},
              {"num_parameters", estimate->num_parameters},
              {"num_tensors", estimate->num_tensors}};
}

Outcome InspectAdapter(const Json& step, State* state) {
  return Parsed(peft::InspectAdapter(PathOf(step, "path", *state)));
}

Outcome ProbeAdapter(const Json& step, State* state) {
  auto report = state->model.ProbeAdapter(NameOf(step));
  if (!report) return std::move(report).status();
  const peft::ProbeSummary summary = *report->Summary();
  return Json{{"num_sites", summary.num_sites},
              {"num_unchanged", summary.num_unchanged}};
}

}  // namespace

std::map<std::string, Verb> AdapterVerbs() {
  return {{"load_adapter", LoadAdapter},
          {"load_adapter_from_memory", LoadAdapterFromMemory},
          {"replace_adapter", ReplaceAdapter},
          {"replace_adapter_from_memory", ReplaceAdapterFromMemory},
          {"add_adapter", AddAdapter},
          {"add_weighted_adapter", AddWeightedAdapter},
          {"rename_adapter", RenameAdapter},
          {"delete_adapter", DeleteAdapter},
          {"unload", Unload},
          {"save_adapter", SaveAdapter},
          {"write_state_dict", WriteStateDict},
          {"set_adapter", SetAdapter},
          {"set_scale", SetScale},
          {"disable_adapters", DisableAdapters},
          {"enable_adapters", EnableAdapters},
          {"create_activation", CreateActivation},
          {"free_activation", FreeActivation},
          {"merge_adapter", MergeAdapter},
          {"unmerge_adapter", UnmergeAdapter},
          {"merge_and_unload", MergeAndUnload},
          {"pin_adapter", PinAdapter},
          {"set_adapter_limit", SetAdapterLimit},
          {"list_adapters", ListAdapters},
          {"active_adapters", ActiveAdapters},
          {"merged_adapters", MergedAdapters},
          {"has_adapter", HasAdapter},
          {"get_adapter_state_dict", GetAdapterStateDict},
          {"get_adapter_info", GetAdapterInfo},
          {"get_adapter_config", GetAdapterConfig},
          {"get_adapter_source", GetAdapterSource},
          {"fetch_adapter", FetchAdapter},
          {"estimate_adapter", EstimateAdapter},
          {"inspect_adapter", InspectAdapter},
          {"probe_adapter", ProbeAdapter}};
}

}  // namespace scenario
