#include "peft_cc/adapters/adapter_size.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/adapter_folder.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/torch_file.h"

namespace peft {
namespace {

// Adds up the bytes of tensors and vectors, elements that are shared once.
class ByteCounter {
 public:
  explicit ByteCounter(const SiteTable& sites) {
    for (const Site& site : sites.sites()) {
      seen_.insert(site.weight.data());
      seen_.insert(site.bias.data());
    }
  }

  void Add(const Tensor& tensor) {
    if (tensor.size_bytes() == 0 || !seen_.insert(tensor.data()).second) return;
    bytes_ += tensor.size_bytes();
  }

  void operator()(const LowRank& form) {
    Add(form.a);
    Add(form.b);
    Add(form.rank_scale);
  }
  void operator()(const Bias& form) { Add(form.delta); }
  void operator()(const ScaleIn& form) { Add(form.factor); }
  void operator()(const ScaleOut& form) { Add(form.factor); }
  void operator()(const MagnitudeScale& form) {
    Add(form.magnitude);
    Add(form.norm0);
    Add(form.norm1);
    Add(form.norm2);
  }
  void operator()(const Replace& form) {
    Add(form.weight);
    Add(form.bias);
  }
  void operator()(const ReplaceRows& form) {
    Add(form.ids);
    Add(form.rows);
  }

  int64_t bytes() const { return bytes_; }

 private:
  template <typename Element>
  void Add(const std::vector<Element>& elements) {
    bytes_ += static_cast<int64_t>(elements.size() * sizeof(Element));
  }

  absl::flat_hash_set<const void*> seen_;
  int64_t bytes_ = 0;
};

// What lowering keeps besides a tensor of that name, in bytes for each of its
// elements.
struct Derived {
  absl::string_view suffix;
  int64_t bytes;
};
constexpr Derived kDerived[] = {
    {"bias", 4},                    // the difference to the base's, in f32
    {"lora_magnitude_vector", 28},  // in f32, and three norms in f64
    {"lora_magnitude_vector.weight", 28},
    {"ia3_l", 4},
    {"lora_E", 4},
};

int64_t DerivedBytes(absl::string_view name, int64_t num_elements) {
  for (const Derived& derived : kDerived) {
    if (absl::EndsWith(name, derived.suffix)) {
      return derived.bytes * num_elements;
    }
  }
  return 0;
}

void AddTensor(absl::string_view name, int64_t num_elements, int64_t bytes,
               AdapterEstimate& estimate) {
  ++estimate.num_tensors;
  estimate.num_parameters += num_elements;
  estimate.size_bytes += bytes + DerivedBytes(name, num_elements);
}

}  // namespace

int64_t ResidentBytes(const Adapter& adapter, const SiteTable& sites) {
  ByteCounter counter(sites);
  for (const auto& [name, tensor] : adapter.state_dict()) counter.Add(tensor);
  for (const Adapter::SiteEntry& entry : adapter.entries()) {
    for (const Form& form : entry.program) std::visit(counter, form);
  }
  return counter.bytes();
}

int64_t NumParameters(const Adapter& adapter) {
  int64_t count = 0;
  for (const auto& [name, tensor] : adapter.state_dict()) {
    count += tensor.num_elements();
  }
  return count;
}

int64_t MaxRank(const Adapter& adapter) {
  int64_t rank = 0;
  for (const Adapter::SiteEntry& entry : adapter.entries()) {
    for (const Form& form : entry.program) {
      const auto* low_rank = std::get_if<LowRank>(&form);
      if (low_rank != nullptr) rank = std::max(rank, low_rank->a.dim(0));
    }
  }
  return rank;
}

absl::StatusOr<AdapterEstimate> EstimateAdapter(const std::string& path,
                                                const std::string& subfolder) {
  PEFT_ASSIGN_OR_RETURN(const std::string folder,
                        FindAdapterFolder(path, subfolder));
  AdapterConfigOptions options;
  options.lenient = true;
  options.inspect_only = true;
  PEFT_RETURN_IF_ERROR(ReadAdapterConfig(folder, options).status());
  PEFT_ASSIGN_OR_RETURN(const AdapterTensorFile file,
                        FindAdapterTensors(folder));
  AdapterEstimate estimate;
  if (file.is_safetensors) {
    PEFT_ASSIGN_OR_RETURN(const SafetensorsIndex index,
                          ReadSafetensorsIndex(file.path));
    estimate.file_bytes = static_cast<int64_t>(index.file_size);
    for (const SafetensorsEntry& entry : index.header.entries) {
      AddTensor(entry.name, *CheckedNumElements(entry.shape),
                static_cast<int64_t>(entry.end - entry.begin), estimate);
    }
    return estimate;
  }
  PEFT_ASSIGN_OR_RETURN(const FileStart start, ReadFileStart(file.path, 0));
  estimate.file_bytes = static_cast<int64_t>(start.file_size);
  PEFT_ASSIGN_OR_RETURN(const TensorMap tensors,
                        ReadTorchFile(file.path, ReadMode::kMap));
  for (const auto& [name, tensor] : tensors) {
    AddTensor(name, tensor.num_elements(), tensor.size_bytes(), estimate);
  }
  return estimate;
}

}  // namespace peft
