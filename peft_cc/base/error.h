// Errors of the SDK: an absl::Status that also carries a stable string id and,
// where a tensor is concerned, what was expected and what was found.
//
//   return MakeError(absl::StatusCode::kInvalidArgument,
//                    error_id::kTensorShapeMismatch,
//                    "adapter \"a\": lora_A is [8, 64], expected [8, 128]; "
//                    "was it trained for another base model?",
//                    {"lora_A", "[8, 128]", "[8, 64]"});
//
// Messages name the thing, say what was expected and found, and what to do.
#ifndef PEFT_CC_BASE_ERROR_H_
#define PEFT_CC_BASE_ERROR_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace peft {

// Stable ids: part of the C ABI (`peft_status_id`), listed in docs/errors.md.
// Never renamed, never reused.
namespace error_id {
inline constexpr char kArgument[] = "ARGUMENT";
inline constexpr char kInternal[] = "INTERNAL";
inline constexpr char kOutOfMemory[] = "OUT_OF_MEMORY";
inline constexpr char kHandle[] = "HANDLE";
inline constexpr char kStructSize[] = "STRUCT_SIZE";
inline constexpr char kUtf8[] = "UTF8";
inline constexpr char kUnimplemented[] = "UNIMPLEMENTED";
inline constexpr char kCancelled[] = "CANCELLED";
inline constexpr char kAllocator[] = "ALLOCATOR";
inline constexpr char kThreadPool[] = "THREAD_POOL";
inline constexpr char kFileNotFound[] = "FILE_NOT_FOUND";
inline constexpr char kFileRead[] = "FILE_READ";
inline constexpr char kFileWrite[] = "FILE_WRITE";
inline constexpr char kFileExists[] = "FILE_EXISTS";
inline constexpr char kFileTooLarge[] = "FILE_TOO_LARGE";
inline constexpr char kPathEscapes[] = "PATH_ESCAPES";
inline constexpr char kJson[] = "JSON";
inline constexpr char kSafetensors[] = "SAFETENSORS";
inline constexpr char kTorchFile[] = "TORCH_FILE";
inline constexpr char kPickleRefused[] = "PICKLE_REFUSED";
inline constexpr char kAdapterConfig[] = "ADAPTER_CONFIG";
inline constexpr char kAdapterConfigUnknownKey[] = "ADAPTER_CONFIG_UNKNOWN_KEY";
inline constexpr char kAdapterMethodUnsupported[] =
    "ADAPTER_METHOD_UNSUPPORTED";
inline constexpr char kAdapterFeatureUnsupported[] =
    "ADAPTER_FEATURE_UNSUPPORTED";
inline constexpr char kAdapterNotFound[] = "ADAPTER_NOT_FOUND";
inline constexpr char kAdapterExists[] = "ADAPTER_EXISTS";
inline constexpr char kAdapterName[] = "ADAPTER_NAME";
inline constexpr char kAdapterLimit[] = "ADAPTER_LIMIT";
inline constexpr char kAdapterGeneration[] = "ADAPTER_GENERATION";
inline constexpr char kAdapterTensors[] = "ADAPTER_TENSORS";
inline constexpr char kAdapterConflict[] = "ADAPTER_CONFLICT";
inline constexpr char kAdapterScale[] = "ADAPTER_SCALE";
inline constexpr char kAdapterNotMergeable[] = "ADAPTER_NOT_MERGEABLE";
inline constexpr char kAdapterNotCombinable[] = "ADAPTER_NOT_COMBINABLE";
inline constexpr char kMerged[] = "MERGED";
inline constexpr char kMergeNotFinite[] = "MERGE_NOT_FINITE";
inline constexpr char kBaseMismatch[] = "BASE_MISMATCH";
inline constexpr char kLayerReplication[] = "LAYER_REPLICATION";
inline constexpr char kNoTargetMatched[] = "NO_TARGET_MATCHED";
inline constexpr char kRegex[] = "REGEX";
inline constexpr char kTensorMissing[] = "TENSOR_MISSING";
inline constexpr char kTensorUnexpected[] = "TENSOR_UNEXPECTED";
inline constexpr char kTensorShapeMismatch[] = "TENSOR_SHAPE_MISMATCH";
inline constexpr char kTensorDType[] = "TENSOR_DTYPE";
inline constexpr char kModelConfig[] = "MODEL_CONFIG";
inline constexpr char kModelUnsupported[] = "MODEL_UNSUPPORTED";
inline constexpr char kModelWeights[] = "MODEL_WEIGHTS";
inline constexpr char kModelQuantized[] = "MODEL_QUANTIZED";
inline constexpr char kModelNotRunnable[] = "MODEL_NOT_RUNNABLE";
inline constexpr char kLayerNotFound[] = "LAYER_NOT_FOUND";
inline constexpr char kLayerWeight[] = "LAYER_WEIGHT";
inline constexpr char kLayerNoDelta[] = "LAYER_NO_DELTA";
inline constexpr char kRunnerBusy[] = "RUNNER_BUSY";
inline constexpr char kModelBusy[] = "MODEL_BUSY";
inline constexpr char kModelTask[] = "MODEL_TASK";
inline constexpr char kOutputNotComputed[] = "OUTPUT_NOT_COMPUTED";
inline constexpr char kSequenceTooLong[] = "SEQUENCE_TOO_LONG";
inline constexpr char kTokenOutOfRange[] = "TOKEN_OUT_OF_RANGE";
inline constexpr char kActivationChanged[] = "ACTIVATION_CHANGED";
inline constexpr char kSessionBusy[] = "SESSION_BUSY";
inline constexpr char kLogitsNotFinite[] = "LOGITS_NOT_FINITE";
inline constexpr char kCudaDriver[] = "CUDA_DRIVER";
inline constexpr char kCuda[] = "CUDA";
inline constexpr char kCublasLt[] = "CUBLASLT";
inline constexpr char kCudaPlans[] = "CUDA_PLANS";
inline constexpr char kCudaGraph[] = "CUDA_GRAPH";
inline constexpr char kCudaActivations[] = "CUDA_ACTIVATIONS";
inline constexpr char kHubRepoId[] = "HUB_REPO_ID";
inline constexpr char kHubRevision[] = "HUB_REVISION";
inline constexpr char kHubEntryNotFound[] = "HUB_ENTRY_NOT_FOUND";
inline constexpr char kHubLocalEntryNotFound[] = "HUB_LOCAL_ENTRY_NOT_FOUND";
inline constexpr char kHubUrl[] = "HUB_URL";
inline constexpr char kHubConnect[] = "HUB_CONNECT";
inline constexpr char kHubTimeout[] = "HUB_TIMEOUT";
inline constexpr char kHubTls[] = "HUB_TLS";
inline constexpr char kHubProxy[] = "HUB_PROXY";
inline constexpr char kHubRepositoryNotFound[] = "HUB_REPOSITORY_NOT_FOUND";
inline constexpr char kHubGatedRepo[] = "HUB_GATED_REPO";
inline constexpr char kHubDisabledRepo[] = "HUB_DISABLED_REPO";
inline constexpr char kHubRevisionNotFound[] = "HUB_REVISION_NOT_FOUND";
inline constexpr char kHubUnauthorized[] = "HUB_UNAUTHORIZED";
inline constexpr char kHubRateLimited[] = "HUB_RATE_LIMITED";
inline constexpr char kHubHttp[] = "HUB_HTTP";
inline constexpr char kHubResponse[] = "HUB_RESPONSE";
inline constexpr char kHubHashMismatch[] = "HUB_HASH_MISMATCH";
inline constexpr char kHubOffline[] = "HUB_OFFLINE";
}  // namespace error_id

// What an error is about, for programs that read it. Fields may be empty.
struct ErrorDetails {
  // With initialisers, so that trailing fields can be left out.
  std::string tensor = {};    // the tensor, config key or file that is wrong
  std::string expected = {};  // as text, "[8, 128]"
  std::string found = {};     // as text, "[8, 64]"
};

// An error with `id` (one of error_id) and `message`. A detail of more than
// 4000 bytes is cut between two characters and ends in "...".
absl::Status MakeError(absl::StatusCode code, absl::string_view id,
                       absl::string_view message,
                       const ErrorDetails& details = {});

// INVALID_ARGUMENT (ARGUMENT): an argument of a call is wrong.
absl::Status ArgumentError(absl::string_view message,
                           const ErrorDetails& details = {});

// The id given to MakeError; error_id::kInternal where the status has none.
// Empty for an OK status.
std::string ErrorId(const absl::Status& status);

// The details given to MakeError, empty fields where there are none.
ErrorDetails GetErrorDetails(const absl::Status& status);

// The same error with `context` and ": " before its message; id and details
// are kept. An OK status stays OK.
absl::Status WithContext(const absl::Status& status, absl::string_view context);

}  // namespace peft

// Returns early with the status of `expr` when it is not OK.
#define PEFT_RETURN_IF_ERROR(expr)               \
  do {                                           \
    absl::Status peft_status_ = (expr);          \
    if (!peft_status_.ok()) return peft_status_; \
  } while (false)

// PEFT_ASSIGN_OR_RETURN(auto x, F()): x = *F(), or returns F()'s status.
#define PEFT_ASSIGN_OR_RETURN(lhs, expr)                                    \
  PEFT_ASSIGN_OR_RETURN_IMPL_(PEFT_CONCAT_(peft_status_or_, __LINE__), lhs, \
                              expr)
#define PEFT_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                \
  if (!result.ok()) return std::move(result).status(); \
  lhs = std::move(result).value()
#define PEFT_CONCAT_(a, b) PEFT_CONCAT_INNER_(a, b)
#define PEFT_CONCAT_INNER_(a, b) a##b

#endif  // PEFT_CC_BASE_ERROR_H_
