// What callbacks do to the library that calls them.

#include <cstdlib>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>

#include "peft_c/failing_allocations.h"
#include "testing/misuse/call.h"

namespace peft {
namespace {

Run& RunOf(void* user_data) { return *static_cast<Run*>(user_data); }

// Reads every byte of `text`, which the library lent. Of no other use.
size_t Length(const char* text) { return std::string(text).size(); }

// -- Those that come on the thread that called --------------------------------

int32_t GoOn(void*, int64_t, int64_t) { return 0; }
int32_t Cancel(void*, int64_t, int64_t) { return -1; }
int32_t Throw(void*, int64_t, int64_t) { throw std::runtime_error("caf\xe9"); }
int32_t ThrowNumber(void*, int64_t, int64_t) { throw 42; }

// Calls the library again, in the middle of what it does.
int32_t Reenter(void* user_data, int64_t, int64_t) {
  Run& run = RunOf(user_data);
  StopFailing();
  if (!run.is_nested()) {
    run.Log("> in a callback:");
    run.AnyCall();
    run.AnyCall();
    run.Log("< the callback returns");
  }
  return 0;
}

struct Named {
  const char* name;
  int32_t (*function)(void* user_data, int64_t, int64_t);
};

constexpr Named kOnOwnThread[] = {
    {"NULL", nullptr},    {"NULL", nullptr},         {"go on", GoOn},
    {"reenter", Reenter}, {"cancel", Cancel},        {"throw", Throw},
    {"reenter", Reenter}, {"throw 42", ThrowNumber},
};

// -- Those that come on any thread: the run is not theirs ---------------------

void Log(void*, int32_t level, const char* line) {
  if ((Length(line) + static_cast<size_t>(level)) % 3 == 0) throw 1;
}

int32_t Progress(void*, int64_t bytes, int64_t, int64_t files, int64_t) {
  if ((bytes + files) % 7 == 6) throw std::runtime_error("download");
  return (bytes + files) % 5 == 4 ? 1 : 0;
}

// -- The program's threads ----------------------------------------------------

// What a program that is late still calls: it must do nothing.
struct LateCall {
  peft_piece_fn piece = nullptr;
  void* data = nullptr;
};
thread_local LateCall t_late_call;

int32_t RunAll(void*, int64_t num_pieces, peft_piece_fn piece, void* data) {
  if (t_late_call.piece != nullptr) t_late_call.piece(t_late_call.data, 0);
  t_late_call = {piece, data};
  for (int64_t i = 0; i < num_pieces; ++i) piece(data, i);
  return 0;
}

int32_t RunTwice(void*, int64_t num_pieces, peft_piece_fn piece, void* data) {
  std::thread other([=] {
    for (int64_t i = num_pieces; i >= -1; --i) piece(data, i);
  });
  for (int64_t i = 0; i < num_pieces; ++i) piece(data, i);
  other.join();
  return 0;
}

int32_t LeaveOut(void*, int64_t num_pieces, peft_piece_fn piece, void* data) {
  for (int64_t i = 1; i < num_pieces; i += 2) piece(data, i);
  return 0;
}

int32_t Refuse(void*, int64_t, peft_piece_fn, void*) { return 7; }

int32_t ThrowFromPool(void*, int64_t, peft_piece_fn piece, void* data) {
  piece(data, 0);
  throw std::runtime_error("pool");
}

constexpr peft_parallel_for_fn kParallelFors[] = {
    RunAll, RunAll, RunTwice, LeaveOut, Refuse, ThrowFromPool, nullptr,
};

// -- Allocators: too late in every sequence, so that nobody calls them --------

void* HostAllocate(void*, size_t, size_t) { std::abort(); }
void HostDeallocate(void*, void*, size_t, size_t) { std::abort(); }

// -- Files: those with contents are in adjust.cc ------------------------------

int64_t ReadNothing(void*, int64_t, void*, int64_t) { return -1; }

// -- The Hub ------------------------------------------------------------------

// Reads all that a request lends.
void ReadRequest(const peft_http_request_t& request) {
  Length(request.method);
  for (size_t i = 0; i < request.num_fields; ++i) {
    Length(request.field_names[i]);
    Length(request.field_values[i]);
  }
}

// Answers, rightly and wrongly, by the request's address alone: there is no
// saying which thread comes first. No error is one that is tried again.
int32_t Answer(void*, const peft_http_request_t* request,
               peft_exchange_t* exchange) {
  ReadRequest(*request);
  Random random(std::hash<std::string>()(request->url));
  const char* const names[] = {"X-Repo-Commit", "Content-Length"};
  const char* const values[] = {"0123456789abcdef0123456789abcdef01234567",
                                "caf\xe9"};
  constexpr int32_t kStatuses[] = {404, 401, 403, 404};
  if (random.Percent(20)) peft_exchange_write(exchange, "early", 5);
  if (random.Percent(20)) {
    peft_exchange_respond(exchange, -7, nullptr, names, ~size_t{0});
  }
  peft_exchange_respond(exchange, random.Of(kStatuses), names, values,
                        random.Below(3));
  peft_exchange_is_cancelled(exchange);
  if (random.Percent(50)) peft_exchange_write(exchange, "{}", 2);
  if (random.Percent(10))
    peft_exchange_respond(exchange, 200, names, values, 1);
  if (random.Percent(5)) return PEFT_TRANSPORT_TLS;
  return PEFT_TRANSPORT_OK;
}

}  // namespace

// Of peft_progress_fn too, which is the same type.
template <>
peft_token_fn Call::Callback(const char* name) {
  const Named& drawn = random().Of(kOnOwnThread);
  Note(absl::StrCat(name, "=", drawn.name, " "));
  return drawn.function;
}

template <>
peft_log_fn Call::Callback(const char*) {
  return random().Percent(50) ? Log : nullptr;
}

template <>
peft_download_fn Call::Callback(const char*) {
  return random().Percent(70) ? Progress : nullptr;
}

template <>
peft_allocate_fn Call::Callback(const char*) {
  return random().Percent(70) ? HostAllocate : nullptr;
}

template <>
peft_deallocate_fn Call::Callback(const char*) {
  return random().Percent(70) ? HostDeallocate : nullptr;
}

template <>
peft_parallel_for_fn Call::Callback(const char* name) {
  const uint64_t index = random().Below(std::size(kParallelFors));
  Note(absl::StrCat(name, "=#", index, " "));
  return kParallelFors[index];
}

template <>
peft_read_fn Call::Callback(const char*) {
  return random().Percent(70) ? ReadNothing : nullptr;
}

template <>
peft_transport_fn Call::Callback(const char* name) {
  // Threads that fetch take long, and have tests of their own.
  if (run_.is_concurrent() || random().Percent(50)) return nullptr;
  Note(absl::StrCat(name, "=Answer "));
  return Answer;
}

}  // namespace peft
