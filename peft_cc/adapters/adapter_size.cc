#include "peft_cc/adapters/adapter_size.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
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
      Insert(site.weight);
      Insert(site.bias);
    }
  }

  void Add(const Tensor& tensor) {
    if (Insert(tensor)) bytes_ += tensor.size_bytes();
  }

  void Add(const Floats& floats) {
    const auto size = static_cast<int64_t>(floats.size() * sizeof(float));
    if (Insert(floats.data(), size)) bytes_ += size;
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

  // False if the elements are part of a tensor that was here before: an
  // expert's factor is a slice of that of all.
  bool Insert(const Tensor& tensor) {
    return Insert(tensor.data(), tensor.size_bytes());
  }

  bool Insert(const void* data, int64_t size) {
    if (size == 0) return false;
    const auto* const begin = static_cast<const char*>(data);
    const char* const end = begin + size;
    const auto after = seen_.upper_bound(begin);
    if (after != seen_.begin() && end <= std::prev(after)->second) return false;
    seen_.insert_or_assign(after, begin, end);
    return true;
  }

  std::map<const char*, const char*, std::less<>> seen_;  // begin to end
  int64_t bytes_ = 0;
};

// What lowering keeps besides a tensor of that name, in bytes for each of its
// elements: always, and where it has no f32 that can be used as it is.
struct Derived {
  absl::string_view suffix;
  int64_t bytes;
  int64_t bytes_if_converted;
};
constexpr Derived kDerived[] = {
    {"bias", 4, 0},                    // the difference to the base's
    {"lora_magnitude_vector", 24, 4},  // three norms in f64
    {"lora_magnitude_vector.weight", 24, 4},
    {"ia3_l", 0, 4},
    {"lora_E", 4, 0},
};

// One tensor of the file.
struct Listed {
  DType dtype = DType::kUnspecified;
  std::vector<int64_t> shape;
  int64_t num_elements = 0;
  int64_t bytes = 0;
};
using Listing = std::map<std::string, Listed, std::less<>>;

int64_t DerivedBytes(absl::string_view name, const Listed& tensor) {
  for (const Derived& derived : kDerived) {
    if (!absl::EndsWith(name, derived.suffix)) continue;
    const bool is_converted = tensor.dtype != DType::kF32;
    return tensor.num_elements *
           (derived.bytes + (is_converted ? derived.bytes_if_converted : 0));
  }
  return 0;
}

constexpr absl::string_view kA = ".lora_A.weight";
constexpr absl::string_view kB = ".lora_B.weight";
constexpr absl::string_view kRows = ".trainable_tokens_delta";

// The groups of the convolution whose lora_B is `b`; 1 for other layers.
int64_t GroupsOf(absl::string_view module, const Listed& b,
                 const Listing& listing) {
  const auto a = listing.find(absl::StrCat(module, kA));
  const bool is_pair = a != listing.end() && !a->second.shape.empty() &&
                       b.shape.size() > 2 && b.shape[1] > 0;
  return is_pair ? a->second.shape[0] / b.shape[1] : 1;
}

// A convolution's groups make one matrix of all outputs and ranks, and each
// expert of a parameter has its own.
int64_t CopiesOfB(absl::string_view module, const Listed& b,
                  const Listing& listing, const TargetConfig& config) {
  const int64_t groups = GroupsOf(module, b, listing);
  if (groups > 1) return groups;
  return config.target_parameters.empty() ? 0 : 1;
}

// What lowering keeps of a tensor besides the tensor.
int64_t LoweredBytes(absl::string_view name, const Listed& tensor,
                     const Listing& listing, const AdapterConfig& config) {
  // The rows in the order of their ids, and these for the embedding and for a
  // head that is tied to it.
  if (absl::EndsWith(name, kRows) && !tensor.shape.empty()) {
    return tensor.bytes +
           2 * tensor.shape[0] * static_cast<int64_t>(sizeof(int64_t));
  }
  int64_t bytes = DerivedBytes(name, tensor);
  const bool is_b = absl::EndsWith(name, kB);
  if (is_b) {
    bytes += tensor.bytes * CopiesOfB(absl::StripSuffix(name, kB), tensor,
                                      listing, config.targets);
  }
  // The factors that the initialisation took out of the base's weight, in f32.
  const bool changes_base =
      config.lora.has_value() && config.lora->init != BaseChangingInit::kNone;
  if (changes_base && (is_b || absl::EndsWith(name, kA))) {
    bytes += 4 * tensor.num_elements;
  }
  return bytes;
}

struct TensorFile {
  Listing listing;
  int64_t bytes = 0;
};

absl::StatusOr<TensorFile> ListTensors(const AdapterTensorFile& found) {
  TensorFile result;
  if (found.is_safetensors) {
    PEFT_ASSIGN_OR_RETURN(const SafetensorsIndex index,
                          ReadSafetensorsIndex(found.file));
    result.bytes = static_cast<int64_t>(index.file_size);
    for (const SafetensorsEntry& entry : index.header.entries) {
      result.listing[entry.name] = {
          entry.dtype, entry.shape, *CheckedNumElements(entry.shape),
          static_cast<int64_t>(entry.end - entry.begin)};
    }
    return result;
  }
  PEFT_ASSIGN_OR_RETURN(const FileStart start, ReadFileStart(found.file, 0));
  result.bytes = static_cast<int64_t>(start.file_size);
  PEFT_ASSIGN_OR_RETURN(const TensorMap tensors,
                        ReadTorchFile(found.file, ReadMode::kMap));
  for (const auto& [name, tensor] : tensors) {
    result.listing[name] = {tensor.dtype(),
                            {tensor.shape().begin(), tensor.shape().end()},
                            tensor.num_elements(),
                            tensor.size_bytes()};
  }
  return result;
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

absl::StatusOr<AdapterEstimate> EstimateAdapter(const Folder& outer,
                                                const std::string& subfolder) {
  PEFT_ASSIGN_OR_RETURN(const Folder folder,
                        FindAdapterFolder(outer, subfolder));
  AdapterConfigOptions options;
  options.lenient = true;
  options.inspect_only = true;
  PEFT_ASSIGN_OR_RETURN(const AdapterConfig config,
                        ReadAdapterConfig(folder, options));
  PEFT_ASSIGN_OR_RETURN(const AdapterTensorFile found,
                        FindAdapterTensors(folder));
  PEFT_ASSIGN_OR_RETURN(const TensorFile file, ListTensors(found));
  AdapterEstimate estimate;
  estimate.file_bytes = file.bytes;
  for (const auto& [name, tensor] : file.listing) {
    ++estimate.num_tensors;
    estimate.num_parameters += tensor.num_elements;
    estimate.size_bytes +=
        tensor.bytes + LoweredBytes(name, tensor, file.listing, config);
  }
  return estimate;
}

}  // namespace peft
