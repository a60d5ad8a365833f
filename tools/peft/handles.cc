#include "tools/peft/handles.h"

#include <cstdio>

#include "peft_cc/base/error.h"

namespace peft_tool {

int Fail(const std::string& message) {
  std::fprintf(stderr, "peft: %s\n", message.c_str());
  return kExitFailure;
}

int FailUsage(const std::string& command, const std::string& message) {
  std::fprintf(stderr, "peft %s: %s\nTry: peft %s --help\n", command.c_str(),
               message.c_str(), command.c_str());
  return kExitUsage;
}

int Fail(peft_status_t* status) {
  Status owned(status);
  std::fprintf(stderr, "peft: %s [%s]\n", peft_status_message(status),
               peft_status_id(status));
  return kExitFailure;
}

int Fail(const absl::Status& status) {
  return Fail(std::string(status.message()) + " [" + peft::ErrorId(status) +
              "]");
}

}  // namespace peft_tool
