#include "peft_cc/models/model_test_util.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

constexpr char kModels[] = "peft_cc/models/testdata/models";

std::string NewFolder() {
  std::string folder = absl::StrCat(::testing::TempDir(), "/modelXXXXXX");
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

std::vector<int64_t> Ints(const TensorMap& tensors, const std::string& name) {
  const Tensor& tensor = tensors.at(name);
  std::vector<int64_t> values(tensor.num_elements());
  std::memcpy(values.data(), tensor.data(), tensor.size_bytes());
  return values;
}

// A tensor of small numbers that all differ.
Tensor PatternTensor(std::vector<int64_t> shape, float scale) {
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kF32, std::move(shape), &data);
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    static_cast<float*>(data)[i] =
        scale * static_cast<float>((i * 37) % 101 - 50) / 100.0f;
  }
  return tensor;
}

}  // namespace

std::string GoldenModel(const std::string& name) {
  return absl::StrCat(kModels, "/", name);
}

std::vector<std::string> GoldenModelNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kModels)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string CopyOfFolder(const std::string& from) {
  const std::string folder = NewFolder();
  for (const auto& entry : fs::directory_iterator(from)) {
    if (!entry.is_regular_file()) continue;
    const fs::path target = folder / entry.path().filename();
    fs::copy_file(entry.path(), target);
    fs::permissions(target, fs::perms::owner_all);
  }
  return folder;
}

std::string CopyOfModel(const std::string& name) {
  return CopyOfFolder(GoldenModel(name));
}

void WriteText(const std::string& path, absl::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string ReadText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void EditConfig(const std::string& folder,
                const std::function<void(Json&)>& edit) {
  const std::string path = absl::StrCat(folder, "/config.json");
  Json config = *ParseJson(ReadText(path), path);
  edit(config);
  WriteText(path, DumpJson(config));
}

void EditTensors(const std::string& folder,
                 const std::function<void(TensorMap&)>& edit,
                 const std::string& file) {
  const std::string path = absl::StrCat(folder, "/", file);
  SafetensorsFile content = *ReadSafetensors(path, ReadMode::kRead);
  edit(content.tensors);
  ASSERT_TRUE(WriteSafetensors(path, content.tensors, content.metadata).ok());
}

std::unique_ptr<Model> OpenModel(const std::string& folder) {
  ModelOptions options;
  options.num_threads = 1;
  absl::StatusOr<std::unique_ptr<Model>> model = Model::Open(folder, options);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

std::unique_ptr<Session> NewSession(const Model& model,
                                    const SessionOptions& options) {
  absl::StatusOr<std::unique_ptr<Session>> session =
      Session::Create(model, options);
  EXPECT_TRUE(session.ok()) << session.status();
  return session.ok() ? *std::move(session) : nullptr;
}

std::string WriteAdapter(float scale) {
  const std::string folder = NewFolder();
  WriteText(folder + "/adapter_config.json",
            R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4,
                "target_modules": ["q_proj", "embed_tokens"]})");
  TensorMap tensors;
  const std::string prefix = "base_model.model.model.";
  for (int layer = 0; layer < 2; ++layer) {
    const std::string module =
        absl::StrCat(prefix, "layers.", layer, ".self_attn.q_proj.");
    tensors[module + "lora_A.weight"] = PatternTensor({2, 32}, scale);
    tensors[module + "lora_B.weight"] = PatternTensor({32, 2}, scale);
  }
  tensors[prefix + "embed_tokens.lora_embedding_A"] =
      PatternTensor({2, 96}, scale);
  tensors[prefix + "embed_tokens.lora_embedding_B"] =
      PatternTensor({32, 2}, scale);
  EXPECT_TRUE(WriteSafetensors(folder + "/adapter_model.safetensors", tensors,
                               {{"format", "pt"}})
                  .ok());
  return folder;
}

Golden::Golden(const std::string& folder) {
  tensors = ReadSafetensors(folder + "/expected.safetensors", ReadMode::kRead)
                ->tensors;
  ids = Ints(tensors, "ids");
  mask = Ints(tensors, "attention_mask");
  step_ids = Ints(tensors, "step_ids");
  tokens = Ints(tensors, "tokens");
  logits = tensors.at("logits").ToF32();
  step_logits = tensors.at("step_logits").ToF32();
  batch = tensors.at("ids").dim(0);
  length = tensors.at("ids").dim(1);
  num_new_tokens = tensors.at("tokens").dim(1);
}

ForwardInput Golden::Prompt() const {
  ForwardInput input;
  input.ids = ids.data();
  input.attention_mask = mask.data();
  input.batch = batch;
  input.length = length;
  return input;
}

ForwardInput Golden::Step() const {
  ForwardInput input;
  input.ids = step_ids.data();
  input.batch = batch;
  input.length = static_cast<int64_t>(step_ids.size()) / batch;
  return input;
}

double RelativeError(const Logits& found, const std::vector<float>& expected,
                     const std::vector<int64_t>* mask) {
  const int64_t rows = found.batch * found.positions;
  EXPECT_EQ(rows * found.vocabulary, static_cast<int64_t>(expected.size()));
  double difference = 0;
  double greatest = 0;
  for (int64_t row = 0; row < rows; ++row) {
    if (mask != nullptr && (*mask)[row] == 0) continue;
    for (int64_t i = 0; i < found.vocabulary; ++i) {
      const int64_t index = row * found.vocabulary + i;
      const double delta =
          std::fabs(static_cast<double>(found.data[index]) - expected[index]);
      if (std::isnan(delta)) return std::numeric_limits<double>::infinity();
      difference = std::max(difference, delta);
      greatest = std::max(greatest, std::fabs(double{expected[index]}));
    }
  }
  return difference / greatest;
}

::testing::AssertionResult IsError(const absl::Status& status,
                                   absl::StatusCode code, absl::string_view id,
                                   absl::string_view text) {
  if (status.code() == code && ErrorId(status) == id &&
      absl::StrContains(status.message(), text)) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << "expected " << absl::StatusCodeToString(code) << " (" << id
         << ") with \"" << text << "\", got " << status << " ("
         << ErrorId(status) << ")";
}

}  // namespace peft
