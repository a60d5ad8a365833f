// Owners for the handles of peft_c.h, and the tool's way to report failure.
#ifndef TOOLS_PEFT_HANDLES_H_
#define TOOLS_PEFT_HANDLES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "peft_c/peft_c.h"

namespace peft_tool {

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* handle) const { Free(handle); }
};

template <typename T, void (*Free)(T*)>
using Handle = std::unique_ptr<T, Deleter<T, Free>>;

using Status = Handle<peft_status_t, peft_status_free>;
using Model = Handle<peft_model_t, peft_model_free>;
using Session = Handle<peft_session_t, peft_session_free>;
using Report = Handle<peft_load_report_t, peft_load_report_free>;
using StateDict = Handle<peft_state_dict_t, peft_state_dict_free>;
using TensorHandle = Handle<peft_tensor_t, peft_tensor_free>;
using String = Handle<peft_string_t, peft_string_free>;
using StringList = Handle<peft_string_list_t, peft_string_list_free>;
using Activation = Handle<peft_activation_t, peft_activation_free>;
using ProbeReport = Handle<peft_probe_report_t, peft_probe_report_free>;
using Result = Handle<peft_generate_result_t, peft_generate_result_free>;

// Exit codes of the tool.
constexpr int kExitOk = 0;
constexpr int kExitFailure = 1;  // the work failed; the reason is on stderr
constexpr int kExitUsage = 2;    // the command line is wrong

// Prints "peft: <message>" and returns kExitFailure or kExitUsage.
int Fail(const std::string& message);
int FailUsage(const std::string& command, const std::string& message);

// Prints the status ("peft: <message> [ID]"), frees it, returns kExitFailure.
int Fail(peft_status_t* status);
int Fail(const absl::Status& status);

}  // namespace peft_tool

#endif  // TOOLS_PEFT_HANDLES_H_
