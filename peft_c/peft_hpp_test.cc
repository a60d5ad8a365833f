// peft.hpp's values: errors, texts, tensors, options, callbacks. Models and
// their verbs: peft_hpp_model_test.cc. Runs inside of one program under the
// sanitizers, against libpeft.so, and as C++20.

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/dlpack.h"
#include "peft_c/peft.hpp"

namespace {

// Options that say nothing are, byte for byte, what the C functions write.
template <typename C>
void ExpectDefaults(const C& options, void (*init)(C*, size_t)) {
  C expected;
  init(&expected, sizeof(expected));
  EXPECT_EQ(std::memcmp(&options, &expected, sizeof(C)), 0);
}

TEST(PeftHppOptions, DefaultsAreThoseOfC) {
  namespace detail = peft::detail;
  ExpectDefaults(*detail::CModelOptions({}).get(), peft_model_options_init);
  ExpectDefaults(*detail::CLoadOptions({}).get(), peft_load_options_init);
  ExpectDefaults(*detail::CForwardOptions({}).get(), peft_forward_options_init);
  ExpectDefaults(*detail::CGenerateOptions({}).get(),
                 peft_generate_options_init);
  ExpectDefaults(detail::ToC(peft::MergeOptions()), peft_merge_options_init);
  ExpectDefaults(detail::ToC(peft::MergeAndUnloadOptions(), {}),
                 peft_merge_and_unload_options_init);
  ExpectDefaults(detail::ToC(peft::CudaOptions()), peft_cuda_options_init);
  ExpectDefaults(detail::ToC(peft::CombineOptions()),
                 peft_combine_options_init);
  peft_probe_options_t probe = PEFT_PROBE_OPTIONS_INIT;
  EXPECT_EQ(peft::ProbeOptions().seed, probe.seed);
  EXPECT_EQ(peft::ProbeOptions().rows, probe.rows);
  peft_run_layer_options_t run = PEFT_RUN_LAYER_OPTIONS_INIT;
  EXPECT_EQ(peft::RunLayerOptions().expert, run.expert);
  peft_session_options_t session = PEFT_SESSION_OPTIONS_INIT;
  EXPECT_EQ(peft::SessionOptions().max_length, session.max_length);
}

TEST(PeftHppOptions, ALayersDefaultsAreThoseOfC) {
  const std::vector<peft::Layer> layers(1);
  peft_layer_t layer = *peft::detail::CLayers(layers).data();
  peft_layer_t expected;
  peft_layer_init(&expected, sizeof(expected));
  expected.kind = PEFT_LAYER_OTHER;
  expected.name = layer.name;  // "" instead of NULL
  EXPECT_EQ(std::memcmp(&layer, &expected, sizeof(layer)), 0);
}

TEST(PeftHppOptions, EveryFieldGoesToItsOwn) {
  peft::GenerateOptions options;
  options.max_new_tokens = 1;
  options.do_sample = true;
  options.temperature = 2;
  options.top_k = 3;
  options.top_p = 0.4f;
  options.min_p = 0.5f;
  options.repetition_penalty = 6;
  options.seed = 7;
  options.eos_token_ids = {8, 9};
  options.ignore_eos = true;
  options.stop_sequences = {{10}, {11, 12}};
  options.adapter_names = {"a"};
  options.activations = {nullptr, nullptr};
  const peft::detail::CGenerateOptions converted(options);
  const peft_generate_options_t& c = *converted.get();
  EXPECT_EQ(c.max_new_tokens, 1);
  EXPECT_EQ(c.do_sample, 1);
  EXPECT_EQ(c.temperature, 2);
  EXPECT_EQ(c.top_k, 3);
  EXPECT_EQ(c.top_p, 0.4f);
  EXPECT_EQ(c.min_p, 0.5f);
  EXPECT_EQ(c.repetition_penalty, 6);
  EXPECT_EQ(c.seed, 7u);
  ASSERT_EQ(c.num_eos_token_ids, 2u);
  EXPECT_EQ(c.eos_token_ids[1], 9);
  EXPECT_EQ(c.ignore_eos, 1);
  ASSERT_EQ(c.num_stop_sequences, 2u);
  EXPECT_EQ(c.stop_sequence_lengths[1], 2u);
  EXPECT_EQ(c.stop_tokens[2], 12);
  ASSERT_EQ(c.num_adapter_names, 1u);
  EXPECT_STREQ(c.adapter_names[0], "a");
  ASSERT_EQ(c.num_activations, 2u);
  EXPECT_EQ(c.activations[1], nullptr);
}

// -- Errors ------------------------------------------------------------------

TEST(PeftHppStatus, AFailureHasAllOfC) {
  const auto result = peft::StateDict::Read("no/such/file");
  ASSERT_FALSE(result.ok());
  EXPECT_FALSE(result);
  const peft::Status& status = result.status();
  EXPECT_EQ(status.code(), peft::StatusCode::kNotFound);
  EXPECT_EQ(status.id(), "FILE_NOT_FOUND");
  EXPECT_EQ(status.id(), peft_status_id(status.get()));
  EXPECT_EQ(status.message(), peft_status_message(status.get()));
  EXPECT_EQ(status.subject(), peft_status_subject(status.get()));
  EXPECT_EQ(status.expected(), peft_status_expected(status.get()));
  EXPECT_EQ(status.found(), peft_status_found(status.get()));
}

TEST(PeftHppStatus, SuccessIsEmpty) {
  const peft::Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), peft::StatusCode::kOk);
  EXPECT_EQ(status.id(), "");
  EXPECT_EQ(status.message(), "");
}

TEST(PeftHppStatus, OneMadeHereLooksLikeTheLibrarys) {
  const peft::Status status = peft::Status::InvalidArgument("do otherwise");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), peft::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.id(), "ARGUMENT");
  EXPECT_EQ(status.message(), "do otherwise");
  EXPECT_EQ(status.subject(), "");
}

TEST(PeftHppStatus, OrThrowGivesTheValueOrThrows) {
  EXPECT_TRUE(peft::OrThrow(peft::StateDict::Create()));
  EXPECT_NO_THROW(peft::OrThrow(peft::Status()));
  try {
    peft::OrThrow(peft::StateDict::Read("no/such/file"));
    FAIL() << "nothing was thrown";
  } catch (const peft::Error& error) {
    EXPECT_EQ(error.code(), peft::StatusCode::kNotFound);
    EXPECT_EQ(error.id(), "FILE_NOT_FOUND");
    EXPECT_NE(std::string(error.what()).find("no/such/file"),
              std::string::npos);
  }
}

TEST(PeftHppResultDeathTest, AValueThatIsNotThereEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(peft::StateDict::Read("no/such/file").value(), "no/such/file");
}

// -- Handles and texts -------------------------------------------------------

TEST(PeftHppHandle, MovesAndFrees) {
  peft::StateDict first = peft::OrThrow(peft::StateDict::Create());
  peft_state_dict_t* const handle = first.get();
  peft::StateDict second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT: that it is empty is what is tested
  EXPECT_EQ(second.get(), handle);
  second = peft::StateDict();
  EXPECT_FALSE(second);
  // Freed: the library knows it no more.
  EXPECT_EQ(peft::Status(peft_state_dict_write(handle, "x")).id(), "HANDLE");
}

TEST(PeftHppHandle, AnEmptyOneIsAnError) {
  peft::Model model;
  EXPECT_EQ(model.DisableAdapters().id(), "HANDLE");
  EXPECT_EQ(peft::Session::Create(model).status().id(), "HANDLE");
}

TEST(PeftHppText, ATextWithANulIsRefused) {
  const std::string path("no/such\0file", 12);
  EXPECT_EQ(peft::StateDict::Read(path).status().id(), "UTF8");
  EXPECT_EQ(peft::StateDict::Read(nullptr).status().id(), "UTF8");
}

// -- Tensors -----------------------------------------------------------------

TEST(PeftHppTensor, ValuesGoInAndComeOut) {
  auto state_dict = peft::OrThrow(peft::StateDict::Create());
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  peft::OrThrow(state_dict.Set("x", peft::TensorView::Of(values, {2, 3})));
  ASSERT_EQ(state_dict.Size(), 1u);
  EXPECT_STREQ(state_dict.Name(0), "x");
  EXPECT_EQ(state_dict.Name(1), nullptr);
  const auto tensor = peft::OrThrow(state_dict.Get("x"));
  const auto view = peft::OrThrow(tensor.View());
  EXPECT_EQ(view.dtype, peft::DType::kF32);
  EXPECT_EQ(view.sizes, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(view.Copy<float>(), values);
  EXPECT_EQ(view.As<float>()->size(), 6u);
  EXPECT_EQ((*view.As<float>())[5], 6);
  EXPECT_FALSE(view.As<int32_t>());
  EXPECT_FALSE(view.Copy<double>());
}

TEST(PeftHppTensor, StridesAreKept) {
  auto state_dict = peft::OrThrow(peft::StateDict::Create());
  const std::vector<int32_t> values = {1, 2, 3, 4, 5, 6};
  auto view = peft::TensorView::Of(values, {3, 2});
  view.strides = {1, 3};
  peft::OrThrow(state_dict.Set("x", view));
  const auto tensor = peft::OrThrow(state_dict.Get("x"));
  EXPECT_EQ(peft::OrThrow(tensor.View()).Copy<int32_t>(),
            (std::vector<int32_t>{1, 4, 2, 5, 3, 6}));
  EXPECT_FALSE(view.Copy<int32_t>()) << "it is not contiguous";
}

TEST(PeftHppTensor, SizesThatDoNotFitAreRefused) {
  auto state_dict = peft::OrThrow(peft::StateDict::Create());
  const std::vector<float> values(6);
  const int64_t huge = int64_t{1} << 62;
  for (const std::vector<int64_t>& sizes : std::vector<std::vector<int64_t>>{
           {2, 4}, {7}, {-1}, {huge, huge}, {huge, huge, huge, huge}}) {
    const peft::Status status =
        state_dict.Set("x", peft::TensorView::Of(values, sizes));
    EXPECT_EQ(status.id(), "ARGUMENT");
  }
  auto view = peft::TensorView::Of(values, {2, 2});
  view.strides = {5, 1};
  EXPECT_EQ(state_dict.Set("x", view).id(), "ARGUMENT");
  view.strides = {1};
  EXPECT_EQ(state_dict.Set("x", view).id(), "ARGUMENT");
  peft::OrThrow(state_dict.Set("x", peft::TensorView::Of(values, {0, 9})));
}

TEST(PeftHppTensor, GoesToDLPack) {
  auto state_dict = peft::OrThrow(peft::StateDict::Create());
  const std::array<float, 2> values = {1, 2};
  peft::OrThrow(state_dict.Set("x", peft::TensorView::Of(values, {2})));
  auto tensor = peft::OrThrow(state_dict.Get("x"));
  DLManagedTensor* const managed = peft::OrThrow(tensor.ToDLPack());
  EXPECT_EQ(managed->dl_tensor.shape[0], 2);
  managed->deleter(managed);
}

// -- Callbacks ---------------------------------------------------------------

TEST(PeftHppLogger, GetsLinesUntilItIsReplaced) {
  std::vector<std::pair<peft::LogLevel, std::string>> lines;
  peft::SetLogger([&](peft::LogLevel level, std::string_view line) {
    lines.emplace_back(level, line);
  });
  peft_state_dict_t* const handle =
      peft::OrThrow(peft::StateDict::Create()).release();
  peft_state_dict_free(handle);
  peft_state_dict_free(handle);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].first, peft::LogLevel::kWarning);
  peft::SetLogger(nullptr);
  peft_state_dict_free(handle);
  EXPECT_EQ(lines.size(), 1u);
}

TEST(PeftHppTransport, MakesTheRequests) {
  std::atomic<int> requests = 0;
  peft::LoadOptions options;
  options.endpoint = "http://hub.invalid";
  options.cache_dir = testing::TempDir() + "/hpp_transport";
  options.transport = [&](const peft::HttpRequest& request,
                          peft::Exchange& exchange) {
    ++requests;
    EXPECT_FALSE(exchange.IsCancelled());
    EXPECT_EQ(request.url.substr(0, 19), "http://hub.invalid/");
    EXPECT_GT(request.timeout_ms, 0);
    exchange.Respond(401, {{"x-error-message", "not for you"}});
    exchange.Write("no", 2);
    return peft::TransportResult::kOk;
  };
  const auto folder = peft::FetchAdapter("owner/name", options);
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.status().id().substr(0, 4), "HUB_")
      << folder.status().message();
  EXPECT_GT(requests, 0);
}

TEST(PeftHppTransport, MayThrow) {
  std::atomic<bool> has_thrown = false;
  peft::ModelOptions options;
  options.endpoint = "http://hub.invalid";
  options.cache_dir = testing::TempDir() + "/hpp_transport";
  options.transport = [&](const peft::HttpRequest&,
                          peft::Exchange&) -> peft::TransportResult {
    has_thrown = true;
    throw std::runtime_error("no network today");
  };
  // It would try again for some seconds.
  options.on_download = [&](const peft::DownloadProgress& progress) {
    EXPECT_EQ(progress.bytes, 0);
    return !has_thrown;
  };
  const auto folder = peft::FetchModel("owner/name", options);
  EXPECT_EQ(folder.status().code(), peft::StatusCode::kCancelled);
}

TEST(PeftHppBuildInfo, IsTheLibrarys) {
  const peft::BuildInfo info = peft::GetBuildInfo();
  EXPECT_EQ(info.api_version, peft::ApiVersion());
  EXPECT_GE(info.api_version, PEFT_API_VERSION);
  EXPECT_NE(info.version, "");
  EXPECT_NE(info.methods.find("LORA"), std::string_view::npos);
}

}  // namespace
