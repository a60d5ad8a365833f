// What the tests of this folder share: golden models, copies of them to break,
// and comparisons.
#ifndef PEFT_CC_MODELS_MODEL_TEST_UTIL_H_
#define PEFT_CC_MODELS_MODEL_TEST_UTIL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model.h"
#include "peft_cc/models/session.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// The folder of golden model `name`, and all their names.
std::string GoldenModel(const std::string& name);
std::vector<std::string> GoldenModelNames();

// A copy of the files of `folder` in a new temporary folder.
std::string CopyOfFolder(const std::string& folder);

// The same of golden model `name`.
std::string CopyOfModel(const std::string& name);

// Rewrites the folder's config.json, or one of its safetensors files.
void EditConfig(const std::string& folder,
                const std::function<void(Json&)>& edit);
void EditTensors(const std::string& folder,
                 const std::function<void(TensorMap&)>& edit,
                 const std::string& file = "model.safetensors");
void WriteText(const std::string& path, absl::string_view text);
std::string ReadText(const std::string& path);

// A model on one thread; the test fails when it cannot be opened.
std::unique_ptr<Model> OpenModel(const std::string& folder);
std::unique_ptr<Session> NewSession(const Model& model,
                                    const SessionOptions& options = {});

// A folder with a LoRA adapter of rank 2 on q_proj and embed_tokens of a
// golden model with 2 layers, hidden size 32 and a query width of 32.
std::string WriteAdapter(float scale);

// What transformers answered for a golden model; see make_testdata.py.
struct Golden {
  explicit Golden(const std::string& folder);

  ForwardInput Prompt() const;
  ForwardInput Step() const;  // two more positions

  TensorMap tensors;
  std::vector<int64_t> ids, mask, step_ids, tokens;
  std::vector<float> logits, step_logits;
  int64_t batch = 0;
  int64_t length = 0;
  int64_t num_new_tokens = 0;
};

// max |a - b| / max |b| over the positions whose mask is not 0 (null: all).
double RelativeError(const Logits& found, const std::vector<float>& expected,
                     const std::vector<int64_t>* mask);

// True if `status` has this code and id and its message contains `text`; else
// says what it has.
::testing::AssertionResult IsError(const absl::Status& status,
                                   absl::StatusCode code, absl::string_view id,
                                   absl::string_view text);

}  // namespace peft

#endif  // PEFT_CC_MODELS_MODEL_TEST_UTIL_H_
