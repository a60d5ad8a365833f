#include "peft_c/state_dict.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/tensor.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/torch_file.h"

namespace peft {

void StateDict::Set(const std::string& name, Tensor tensor) {
  std::lock_guard<std::mutex> lock(mutex_);
  tensors_[name] = std::move(tensor);
  names_.clear();
}

size_t StateDict::size() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return tensors_.size();
}

const char* StateDict::Name(size_t index) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (index >= tensors_.size()) return nullptr;
  if (names_.empty()) {
    names_.reserve(tensors_.size());
    for (const auto& [name, tensor] : tensors_) names_.push_back(name.c_str());
  }
  return names_[index];
}

bool StateDict::Get(const std::string& name, Tensor* tensor) const {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return false;
  *tensor = found->second;
  return true;
}

TensorMap StateDict::tensors() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return tensors_;
}

namespace {

// What a torch.save file begins with: a zip archive, or the pickled magic
// number of the legacy stream. A safetensors header may begin with the same
// bytes, but its ninth is always the brace of its JSON.
bool LooksLikeTorchFile(absl::Span<const uint8_t> data) {
  if (data.size() > 8 && data[8] == '{') return false;
  return data.size() > 1 &&
         ((data[0] == 'P' && data[1] == 'K') || data[0] == 0x80);
}

absl::StatusOr<TensorMap> ReadTensors(const std::string& path) {
  // As large as memory allows; the readers check every size against it.
  constexpr uint64_t kMaxSize = uint64_t{1} << 48;
  PEFT_ASSIGN_OR_RETURN(const Bytes bytes,
                        ReadFile(path, ReadMode::kRead, kMaxSize));
  if (LooksLikeTorchFile(bytes.data)) return ParseTorchFile(bytes, path);
  PEFT_ASSIGN_OR_RETURN(SafetensorsFile file, ParseSafetensors(bytes, path));
  return std::move(file.tensors);
}

absl::Status NoSuchTensor(const std::string& name, size_t size) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kTensorMissing,
      absl::StrCat("the state dict has no tensor ", Quoted(name), " among its ",
                   size, "; peft_state_dict_name lists the names"),
      {name});
}

}  // namespace
}  // namespace peft

using peft::StateDict;

peft_status_t* peft_state_dict_create(peft_state_dict_t** out_state_dict) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_state_dict", out_state_dict));
    return peft::NewHandle(std::make_shared<StateDict>(), out_state_dict);
  });
}

peft_status_t* peft_state_dict_read(const char* path,
                                    peft_state_dict_t** out_state_dict) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_state_dict", out_state_dict));
    PEFT_ASSIGN_OR_RETURN(const std::string file,
                          peft::TextArgument("path", path));
    PEFT_ASSIGN_OR_RETURN(peft::TensorMap tensors, peft::ReadTensors(file));
    return peft::NewHandle(std::make_shared<StateDict>(std::move(tensors)),
                           out_state_dict);
  });
}

peft_status_t* peft_state_dict_write(const peft_state_dict_t* state_dict,
                                     const char* path) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object,
                          peft::Lookup("state_dict", state_dict));
    PEFT_ASSIGN_OR_RETURN(const std::string file,
                          peft::TextArgument("path", path));
    // What Python's writers put there; transformers refuses a file without.
    return peft::WriteSafetensors(file, object->tensors(), {{"format", "pt"}});
  });
}

peft_status_t* peft_state_dict_set(peft_state_dict_t* state_dict,
                                   const char* name,
                                   const peft_tensor_view_t* view) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object,
                          peft::Lookup("state_dict", state_dict));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::TextArgument("name", name));
    if (!peft::IsSafetensorsName(key)) {
      return peft::BadArgument("name", "is empty or reserved for metadata");
    }
    PEFT_ASSIGN_OR_RETURN(peft::Tensor tensor,
                          peft::CopyTensorView("view", view));
    object->Set(key, std::move(tensor));
    return absl::OkStatus();
  });
}

size_t peft_state_dict_size(const peft_state_dict_t* state_dict) {
  return peft::GuardValue(size_t{0}, [&] {
    const auto object = peft::Find(state_dict);
    return object == nullptr ? 0 : object->size();
  });
}

const char* peft_state_dict_name(const peft_state_dict_t* state_dict,
                                 size_t index) {
  constexpr const char* kNone = nullptr;
  return peft::GuardValue(kNone, [&] {
    const auto object = peft::Find(state_dict);
    return object == nullptr ? kNone : object->Name(index);
  });
}

peft_status_t* peft_state_dict_get(const peft_state_dict_t* state_dict,
                                   const char* name,
                                   peft_tensor_t** out_tensor) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_tensor", out_tensor));
    PEFT_ASSIGN_OR_RETURN(const auto object,
                          peft::Lookup("state_dict", state_dict));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::TextArgument("name", name));
    peft::Tensor tensor;
    if (!object->Get(key, &tensor)) {
      return peft::NoSuchTensor(key, object->size());
    }
    return peft::NewHandle(
        std::make_shared<const peft::Tensor>(std::move(tensor)), out_tensor);
  });
}

void peft_state_dict_free(peft_state_dict_t* state_dict) {
  peft::FreeHandle("peft_state_dict_free", state_dict);
}
