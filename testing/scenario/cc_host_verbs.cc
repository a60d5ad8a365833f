#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "testing/scenario/cc_state.h"

namespace scenario {
namespace {

// -- Layers

using Tensors = std::map<std::string, HostTensor>;

peft::Result<Tensors> ReadTensors(const std::string& path) {
  auto tensors = peft::StateDict::Read(path);
  if (!tensors) return std::move(tensors).status();
  Tensors read;
  for (size_t i = 0; i < tensors->Size(); ++i) {
    const peft::Tensor tensor = *tensors->Get(tensors->Name(i));
    const peft::TensorView view = *tensor.View();
    read[tensors->Name(i)] = {view.sizes, *view.Copy<float>()};
  }
  return read;
}

peft::TensorView ViewOf(const HostTensor& tensor) {
  return peft::TensorView::Of(tensor.values, tensor.sizes);
}

peft::Layer LayerOf(const Json& from, const Tensors& tensors) {
  const std::map<std::string, peft::LayerKind> kinds = {
      {"embedding", peft::LayerKind::kEmbedding},
      {"linear", peft::LayerKind::kLinear},
      {"conv1d_hf", peft::LayerKind::kConv1dHf}};
  peft::Layer layer;
  layer.name = from.at("name");
  layer.kind = kinds.at(from.at("kind"));
  layer.weight = ViewOf(tensors.at(from.at("weight")));
  if (IsSet(from, "no_data")) layer.weight->data = nullptr;
  if (from.contains("bias")) layer.bias = ViewOf(tensors.at(from.at("bias")));
  layer.copy_weights = from.value("copy_weights", 1) != 0;
  layer.writable_weights = IsSet(from, "writable_weights");
  return layer;
}

Outcome CreateModel(const Json& step, State* state) {
  auto tensors = ReadTensors(PathOf(step, "tensors", *state));
  if (!tensors) return std::move(tensors).status();
  std::vector<peft::Layer> layers;
  for (const Json& from : step.at("layers")) {
    layers.push_back(LayerOf(from, *tensors));
  }
  Outcome taken = TakeModel(peft::Model::Create(layers, OneThread()), state);
  if (!taken) return taken;
  state->weights = *std::move(tensors);  // its elements stay where they are
  return ModelInfo(*state);
}

// What goes into a layer.
struct Input {
  explicit Input(const Json& step)
      : ids(Get<std::vector<int64_t>>(step, "ids")),
        x(Get<std::vector<float>>(step, "x")) {
    const auto shape = step.at("shape").get<std::vector<int64_t>>();
    view = step.contains("ids") ? peft::TensorView::Of(ids, shape)
                                : peft::TensorView::Of(x, shape);
  }
  std::vector<int64_t> ids;
  std::vector<float> x;
  peft::TensorView view;
};

Outcome RunLayer(const Json& step, State* state) {
  peft::Result<peft::Tensor> y = state->model.RunLayer(
      step.at("layer").get<std::string>(), Input(step).view);
  if (!y) return std::move(y).status();
  return Numbers(*y->View(), "values");
}

// Runs or adds to the output of a step.
template <typename Call>
Outcome CallRunner(const Json& step, State* state, Call call) {
  auto layer = state->model.FindLayer(step.at("layer").get<std::string>());
  if (!layer) return std::move(layer).status();
  if (!state->runner) {
    auto runner = peft::LayerRunner::Create(state->model);
    if (!runner) return std::move(runner).status();
    state->runner = *std::move(runner);
  }
  HostTensor y = {step.at("y_shape").get<std::vector<int64_t>>(),
                  Get<std::vector<float>>(step, "y")};
  size_t size = 1;
  for (const int64_t axis : y.sizes) size *= static_cast<size_t>(axis);
  y.values.resize(size, NAN);
  peft::RunLayerOptions options;
  SetRows(step, *state, &options);
  const Input input(step);
  peft::Status status = call(*layer, input.view, ViewOf(y), options);
  if (!status.ok()) return status;
  return Numbers(ViewOf(y), "values");
}

Outcome RunnerRun(const Json& step, State* state) {
  return CallRunner(step, state, [&](const auto&... arguments) {
    return state->runner.Run(arguments...);
  });
}

Outcome RunnerAddDelta(const Json& step, State* state) {
  return CallRunner(step, state, [&](const auto&... arguments) {
    return state->runner.AddDelta(arguments...);
  });
}

Outcome HostWeight(const Json& step, State* state) {
  const peft::TensorView view = ViewOf(state->weights.at(step.at("tensor")));
  Outcome found = Numbers(view, "values");
  (*found)["fnv1a"] = Described(view)["fnv1a"];
  return found;
}

// The tensors that form `index` has.
Json TensorsOf(const peft::Lowered& lowered, size_t index) {
  static constexpr const char* kNames[] = {"a",    "b",      "rank_scale",
                                           "gate", "factor", "weight",
                                           "ids",  "rows",   "bias"};
  Json found = Json::array();
  for (int i = 0; i < 9; ++i) {
    auto view = lowered.GetTensor(index, static_cast<peft::FormTensor>(i + 1));
    if (!view && view.status().id() == "TENSOR_MISSING") continue;
    found.push_back(Described(*view));
    found.back()["form"] = index;
    found.back()["name"] = kNames[i];
  }
  return found;
}

Outcome LowerLayer(const Json& step, State* state) {
  static constexpr const char* kKinds[] = {
      "", "scale_in", "weight", "rows", "low_rank", "scale_out", "bias"};
  auto layer = state->model.FindLayer(step.at("layer").get<std::string>());
  if (!layer) return std::move(layer).status();
  const auto name = Get<std::string>(step, "activation");
  auto lowered = state->model.LowerLayer(
      *layer, name.empty() ? nullptr : &state->activations.at(name));
  if (!lowered) return std::move(lowered).status();
  Json kinds = Json::array(), scales = Json::array(), tensors = Json::array();
  for (size_t i = 0; i < lowered->Size(); ++i) {
    const peft::Form form = *lowered->GetForm(i);
    kinds.push_back(kKinds[static_cast<int>(form.kind)]);
    scales.push_back(form.scale);
    for (const Json& tensor : TensorsOf(*lowered, i)) {
      tensors.push_back(tensor);
    }
  }
  return Json{{"kinds", kinds},
              {"shape", {scales.size()}},
              {"values", scales},
              {"tensors", tensors}};
}

// -- Files

// The files of a step, with what they need.
class Files {
 public:
  Files(const Json& step, const State& state)
      : bytes_(step.at("files").size()) {
    for (size_t i = 0; i < bytes_.size(); ++i) {
      Add(step["files"][i], step["kind"], state, &bytes_[i]);
    }
  }
  ~Files() {
    for (const int fd : fds_) close(fd);
  }
  const std::vector<peft::File>& get() const { return files_; }

 private:
  void Add(const Json& from, const std::string& kind, const State& state,
           std::string* bytes) {
    const std::string path = PathOf(from, "path", state);
    const auto offset = Get<size_t>(from, "offset");
    std::ifstream file(path, std::ios::binary);
    bytes->assign(std::istreambuf_iterator<char>(file), {});
    *bytes = bytes->substr(offset, from.value("size", bytes->size() - offset));
    const auto size = static_cast<int64_t>(bytes->size());
    if (kind == "memory") {
      files_.push_back(peft::File::Memory(from["name"], *bytes));
    } else if (kind == "fd") {
      fds_.push_back(open(path.c_str(), O_RDONLY));
      files_.push_back(peft::File::Fd(from["name"], fds_.back(),
                                      static_cast<int64_t>(offset), size));
    } else {
      files_.push_back(peft::File::Reader(
          from["name"], size,
          [bytes](int64_t from, void* buffer, int64_t wanted) {
            const std::string part = bytes->substr(
                static_cast<size_t>(from),
                static_cast<size_t>(std::min<int64_t>(wanted, 1000)));
            std::memcpy(buffer, part.data(), part.size());
            return static_cast<int64_t>(part.size());
          }));
    }
  }

  std::vector<std::string> bytes_;
  std::vector<int> fds_;
  std::vector<peft::File> files_;
};

Outcome OpenModelFiles(const Json& step, State* state) {
  const Files files(step, *state);
  peft::ModelOptions options = OneThread();
  options.files = files.get();
  return TakeOpened(peft::Model::Open(nullptr, options), state);
}

Outcome LoadAdapterFiles(const Json& step, State* state) {
  const Files files(step, *state);
  peft::LoadOptions options;
  options.lenient = IsSet(step, "lenient");
  options.files = files.get();
  peft::LoadReport report;
  return Reported(state->model.LoadAdapter(step.at("name").get<std::string>(),
                                           nullptr, options, &report),
                  report);
}

Outcome EstimateFiles(const Json& step, State* state) {
  auto estimate = peft::EstimateFiles(Files(step, *state).get());
  if (!estimate) return std::move(estimate).status();
  return Json{{"num_tensors", estimate->num_tensors}};
}

Outcome InspectFiles(const Json& step, State* state) {
  return Parsed(peft::InspectFiles(Files(step, *state).get()));
}

}  // namespace

std::map<std::string, Verb> HostVerbs() {
  return {{"create_model", CreateModel},
          {"run_layer", RunLayer},
          {"runner_run", RunnerRun},
          {"runner_add_delta", RunnerAddDelta},
          {"host_weight", HostWeight},
          {"lower_layer", LowerLayer},
          {"open_model_files", OpenModelFiles},
          {"load_adapter_files", LoadAdapterFiles},
          {"estimate_files", EstimateFiles},
          {"inspect_files", InspectFiles}};
}

}  // namespace scenario
