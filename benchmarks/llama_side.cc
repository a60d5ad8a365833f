#include "benchmarks/llama_side.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace peft {
namespace {

// Tokens of all rows together.
constexpr int64_t kPrompt = 32;

template <typename T>
T Require(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  std::fprintf(stderr, "%s\n", std::string(result.status().message()).c_str());
  std::abort();
}

}  // namespace

const char* NameOf(BaseKind kind) {
  switch (kind) {
    case BaseKind::kF32:
      return "f32";
    case BaseKind::kBF16:
      return "bf16";
    case BaseKind::kNF4:
      return "nf4";
    case BaseKind::kQ4:
      return "q4";
    case BaseKind::kQ8:
      break;
  }
  return "q8";
}

LlamaSide::LlamaSide(const LlamaFolders& folders, int threads, int64_t batch,
                     bool round_activations)
    : batch_(batch), pool_(kernels::CreateThreadPool(threads)) {
  ModelOptions options;
  options.thread_pool = pool_;
  model_ = Require(Model::Open(folders.base(), options));
  std::vector<std::string> names;
  for (int64_t i = 0; i < batch; ++i) {
    names.push_back(absl::StrCat("a", i));
    Require(model_->LoadAdapter(names.back(), folders.adapter()));
  }
  if (!model_->SetAdapter({names[0]}).ok()) std::abort();
  own_adapters_ = Require(model_->PlanRows(names));
  SessionOptions session;
  session.round_activations = round_activations;
  session_ = Require(Session::Create(*model_, session));
}

void LlamaSide::SetAdapter(bool active) {
  active ? model_->EnableAdapters() : model_->DisableAdapters();
}

void LlamaSide::SetOwnAdapters(bool own) { uses_own_ = own; }

void LlamaSide::Prefill(int64_t count) {
  session_->Reset();
  Run(count);
}

void LlamaSide::StartDecoding() {
  Prefill(std::max<int64_t>(1, kPrompt / batch_));
  Run(1);
}

void LlamaSide::DecodeSome() {
  for (int i = 0; i < kStepsAtOnce; ++i) Run(1);
}

void LlamaSide::Run(int64_t length) {
  ids_.assign(batch_ * length, 5);
  ForwardInput input;
  input.ids = ids_.data();
  input.batch = batch_;
  input.length = length;
  ForwardOptions options;
  options.logits_to_keep = 1;
  if (uses_own_) options.plans = &own_adapters_;
  Require(session_->Forward(input, options));
}

}  // namespace peft
