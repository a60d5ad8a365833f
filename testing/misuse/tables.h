// What generate_calls.py makes of peft_c.h and docs/errors.md.
#ifndef TESTING_MISUSE_TABLES_H_
#define TESTING_MISUSE_TABLES_H_

#include <cstdint>
#include <vector>

namespace peft {

class Run;

// A kind of handle.
struct HandleInfo {
  const char* name;
  // Null: the library frees it.
  void (*free)(void* handle);
  // Threads may use one at the same time.
  bool is_thread_safe;
};

// A function of the C ABI.
struct FunctionInfo {
  const char* name;
  // Draws arguments, calls it and checks what comes of it.
  void (*call)(Run& run);
  // It returns a status.
  bool can_fail;
};

// An id of docs/errors.md with the codes that it comes with.
struct ErrorInfo {
  const char* id;
  std::vector<int32_t> codes;
};

// In the order of the header.
const std::vector<HandleInfo>& HandleInfos();
const std::vector<FunctionInfo>& FunctionInfos();
const std::vector<ErrorInfo>& ErrorInfos();

}  // namespace peft

#endif  // TESTING_MISUSE_TABLES_H_
