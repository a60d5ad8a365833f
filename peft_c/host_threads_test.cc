// Models whose work runs on the program's own threads.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

// A program's threads: one for each piece, the last piece on the caller.
struct Threads {
  static int32_t Run(void* user_data, int64_t num_pieces, peft_piece_fn piece,
                     void* piece_data) {
    ++static_cast<Threads*>(user_data)->calls;
    std::vector<std::thread> threads;
    for (int64_t i = 1; i < num_pieces; ++i) {
      threads.emplace_back([=] { piece(piece_data, i); });
    }
    piece(piece_data, 0);
    for (std::thread& thread : threads) thread.join();
    return 0;
  }

  std::atomic<int> calls{0};
};

peft_thread_pool_t PoolOf(peft_parallel_for_fn function, void* user_data) {
  peft_thread_pool_t pool = PEFT_THREAD_POOL_INIT;
  pool.parallel_for = function;
  pool.user_data = user_data;
  pool.num_threads = 3;
  return pool;
}

Outcome Open(const peft_thread_pool_t& pool, OwnedModel* out) {
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.thread_pool = &pool;
  peft_model_t* model = nullptr;
  const Outcome outcome =
      Take(peft_model_open("examples/quickstart/base", &options, &model));
  out->reset(model);
  return outcome;
}

// Runs 64 tokens, enough for several pieces.
Outcome Forward(peft_session_t* session, std::vector<float>* out) {
  const std::vector<int64_t> ids(64, 7);
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = ids.data();
  input.batch = 1;
  input.length = 64;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  const Outcome outcome =
      Take(peft_session_forward(session, &input, nullptr, &view));
  if (!outcome.ok()) return outcome;
  const auto* const data = static_cast<const float*>(view.data);
  out->assign(data, data + view.sizes[1] * view.sizes[2]);
  return outcome;
}

OwnedSession NewSession(const OwnedModel& model) {
  peft_session_t* session = nullptr;
  EXPECT_PEFT_OK(peft_session_create(model.get(), nullptr, &session));
  return OwnedSession(session);
}

TEST(HostThreads, ComputeTheSameNumbers) {
  Threads threads;
  OwnedModel model;
  ASSERT_TRUE(Open(PoolOf(Threads::Run, &threads), &model).ok());
  std::vector<float> found;
  ASSERT_TRUE(Forward(NewSession(model).get(), &found).ok());
  EXPECT_GT(threads.calls, 0);
  peft_model_t* own = nullptr;
  ASSERT_PEFT_OK(peft_model_open("examples/quickstart/base", nullptr, &own));
  const OwnedModel own_model(own);
  std::vector<float> expected;
  ASSERT_TRUE(Forward(NewSession(own_model).get(), &expected).ok());
  EXPECT_EQ(found, expected);
}

TEST(HostThreads, AFailureIsAnErrorAndTheSessionGoesOn) {
  static std::atomic<bool> fails{false};
  const auto run = [](void* user_data, int64_t num_pieces, peft_piece_fn piece,
                      void* piece_data) -> int32_t {
    if (fails) return 7;
    return Threads::Run(user_data, num_pieces, piece, piece_data);
  };
  Threads threads;
  OwnedModel model;
  ASSERT_TRUE(Open(PoolOf(run, &threads), &model).ok());
  const OwnedSession session = NewSession(model);
  std::vector<float> logits;
  fails = true;
  const Outcome outcome = Forward(session.get(), &logits);
  EXPECT_EQ(outcome.code, PEFT_CANCELLED) << outcome;
  EXPECT_EQ(outcome.id, "THREAD_POOL");
  EXPECT_EQ(peft_session_cache_length(session.get()), 0);
  fails = false;
  EXPECT_TRUE(Forward(session.get(), &logits).ok());
  EXPECT_EQ(peft_session_cache_length(session.get()), 64);
}

TEST(HostThreads, TheFunctionMayCallTheLibrary) {
  static peft_session_t* busy;
  static std::string id;
  const auto run = [](void* user_data, int64_t num_pieces, peft_piece_fn piece,
                      void* piece_data) -> int32_t {
    std::vector<float> logits;
    if (id.empty()) id = "none";
    if (id == "none") id = Forward(busy, &logits).id;
    return Threads::Run(user_data, num_pieces, piece, piece_data);
  };
  Threads threads;
  OwnedModel model;
  ASSERT_TRUE(Open(PoolOf(run, &threads), &model).ok());
  const OwnedSession session = NewSession(model);
  busy = session.get();
  std::vector<float> logits;
  EXPECT_TRUE(Forward(session.get(), &logits).ok());
  EXPECT_EQ(id, "SESSION_BUSY");
}

TEST(HostThreads, FieldsThatAreWrongAreNamed) {
  OwnedModel model;
  peft_thread_pool_t pool = PoolOf(nullptr, nullptr);
  EXPECT_EQ(Open(pool, &model).subject, "options.thread_pool.parallel_for");
  pool = PoolOf(Threads::Run, nullptr);
  for (const int32_t count : {0, -1, 5000}) {
    pool.num_threads = count;
    EXPECT_EQ(Open(pool, &model).subject, "options.thread_pool.num_threads");
  }
  pool.struct_size = 4;
  EXPECT_EQ(Open(pool, &model).id, "STRUCT_SIZE");
}

}  // namespace
}  // namespace peft
