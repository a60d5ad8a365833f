// The model of llama_folders.h with adapters, opened on some threads.
#ifndef BENCHMARKS_LLAMA_SIDE_H_
#define BENCHMARKS_LLAMA_SIDE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "benchmarks/llama_folders.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/models/model.h"
#include "peft_cc/models/session.h"

namespace peft {

// As --dtype has it.
const char* NameOf(BaseKind kind);

// A model and one session. Whatever fails ends the program.
class LlamaSide {
 public:
  // Steps that DecodeSome makes.
  static constexpr int kStepsAtOnce = 4;

  // `batch` rows. Loads as many adapters, each with memory of its own, of which
  // the first is active.
  LlamaSide(const LlamaFolders& folders, int threads, int64_t batch = 1,
            bool round_activations = false);

  // The adapter on or off.
  void SetAdapter(bool active);
  // All rows run the active adapter, or each row one of its own. Calls after
  // this start a new sequence.
  void SetOwnAdapters(bool own);

  // Leaves `count` tokens of each row in the cache.
  void Prefill(int64_t count);
  // Leaves a prompt there, and makes one step.
  void StartDecoding();
  void DecodeSome();

  kernels::ThreadPool& pool() { return *pool_; }
  int64_t base_bytes() const { return model_->base().size_bytes(); }

 private:
  void Run(int64_t length);

  const int64_t batch_;
  std::shared_ptr<kernels::ThreadPool> pool_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Session> session_;
  BatchPlan own_adapters_;
  bool uses_own_ = false;
  std::vector<int64_t> ids_;
};

}  // namespace peft

#endif  // BENCHMARKS_LLAMA_SIDE_H_
