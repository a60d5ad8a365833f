// peft.hpp compiles without exceptions and without warnings, in each version of
// C++ and with each compiler. Never run: peft_hpp_test.cc is.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "peft_c/peft.hpp"

namespace {

peft::Status Verbs(const std::string& path) {
  peft::Result<peft::Model> opened = peft::Model::Open(path);
  if (!opened) return std::move(opened).status();
  peft::Model model = *std::move(opened);
  if (auto status = model.LoadAdapter(nullptr, path); !status) return status;
  const std::vector<std::string> names = {"a", "b"};
  if (auto status = model.SetAdapter(names, {{1.0f, 2.0f}}); !status) {
    return status;
  }
  if (auto status = model.DeleteAdapter({"a", names[1]}); !status) {
    return status;
  }
  return model.MergeAdapter();
}

peft::Status Tensors(peft::Model* model) {
  std::array<double, 4> values = {};
  peft::Layer layer;
  layer.weight = peft::TensorView::Of(values, {2, 2});
  const auto created = peft::Model::Create({layer});
  if (!created) return peft::Status::InvalidArgument("no model");
  const auto y = model->RunLayer("x", *layer.weight);
  return y ? peft::Status() : peft::Status::InvalidArgument("no tensor");
}

std::int64_t Sessions(const peft::Model& model) {
  const std::vector<std::int64_t> ids = {1, 2};
  auto session = peft::Session::Create(model);
  if (!session) return 0;
  std::int64_t sum = 0;
  peft::GenerateOptions options;
  options.on_token = [&](std::int64_t, std::int64_t token) {
    sum += token;
    return true;
  };
  const auto result = session->Generate({ids}, options);
  if (!result) return 0;
  for (const std::int64_t token : result->Tokens(0)) sum += token;
  return sum;
}

}  // namespace

// Somebody could call it.
std::int64_t PeftHppCompiles(peft::Model* model) {
  return Verbs("x").ok() && Tensors(model).ok() ? Sessions(*model) : 0;
}
