// What the library is and can do.

#include <string>

#include "absl/strings/str_replace.h"
#include "kernels/cpu_variant.h"
#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_c/struct_size.h"
#include "peft_cc/methods/method_table.h"
#include "peft_cc/models/model_family.h"

namespace peft {
namespace {

constexpr char kVersion[] = PEFT_VERSION;  // version.bzl

#if defined(__clang__)
constexpr char kCompiler[] = "clang " __clang_version__;
#elif defined(__GNUC__)
constexpr char kCompiler[] = "gcc " __VERSION__;
#else
constexpr char kCompiler[] = "unknown";
#endif

// Never destroyed: the text is the program's as long as the process lives.
const std::string& ModelTypes() {
  static const std::string* const types = new std::string(
      absl::StrReplaceAll(SupportedModelTypes(), {{", ", ","}}));
  return *types;
}

const std::string& MethodTypes() {
  static const std::string* const types = new std::string(MethodNames(","));
  return *types;
}

peft_build_info_t BuildInfo() {
  peft_build_info_t info = {};
  info.api_version = PEFT_API_VERSION;
  info.version = kVersion;
  info.compiler = kCompiler;
  info.cpu_kernels = kernels::CpuVariantName();
  info.methods = MethodTypes().c_str();
  info.model_types = ModelTypes().c_str();
  return info;
}

}  // namespace
}  // namespace peft

int32_t peft_api_version(void) { return PEFT_API_VERSION; }

void peft_get_build_info(peft_build_info_t* out_info) {
  // Cannot fail: a struct that is no struct is left alone.
  peft_status_free(peft::Guard([&]() -> absl::Status {
    absl::Status status = peft::ClearOutStruct("out_info", out_info);
    if (status.ok()) peft::WriteOutStruct(peft::BuildInfo(), out_info);
    return status;
  }));
}
