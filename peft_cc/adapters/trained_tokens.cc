#include "peft_cc/adapters/trained_tokens.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr char kKey[] = "trainable_token_indices";
constexpr char kPart[] = "trainable_tokens_delta";

absl::Status Wrong(absl::string_view problem,
                   absl::string_view id = error_id::kAdapterConfig) {
  return MakeError(absl::StatusCode::kInvalidArgument, id,
                   absl::StrCat(kKey, " ", problem), {kKey, "", ""});
}

// The order in which the ids rise. Of an id that is there more than once, as
// where a tokenizer knows none of several new tokens, only the last place: its
// row is what index_copy leaves in PEFT.
std::vector<size_t> RisingOrder(const std::vector<int64_t>& ids) {
  std::map<int64_t, size_t> last;
  for (size_t i = 0; i < ids.size(); ++i) last[ids[i]] = i;
  std::vector<size_t> order;
  for (const auto& item : last) order.push_back(item.second);
  return order;
}

absl::StatusOr<ReplaceRows> Sorted(const std::vector<int64_t>& ids,
                                   const Tensor& rows) {
  const std::vector<size_t> order = RisingOrder(ids);
  void* data = nullptr;
  ReplaceRows form;
  PEFT_ASSIGN_OR_RETURN(
      form.rows, Tensor::Allocate(
                     rows.dtype(),
                     {static_cast<int64_t>(order.size()), rows.dim(1)}, &data));
  const int64_t bytes = rows.dim(1) * DTypeSize(rows.dtype());
  for (size_t i = 0; i < order.size(); ++i) {
    form.ids.push_back(ids[order[i]]);
    std::memcpy(static_cast<char*>(data) + i * bytes,
                static_cast<const char*>(rows.data()) + order[i] * bytes,
                bytes);
  }
  return form;
}

// Rows that the config asks for, of one site.
struct Rows {
  int site = -1;
  const std::vector<int64_t>* ids = nullptr;
};

// Finds the sites of trainable_token_indices.
class RowFinder {
 public:
  RowFinder(const TargetConfig& config, const SiteTable& sites,
            const KeyMap& keys)
      : config_(config),
        sites_(sites),
        keys_(keys),
        embedding_(FindInputEmbedding(sites)),
        heads_(FindTiedHeads(sites, embedding_)) {}

  int embedding() const { return embedding_; }
  const std::vector<int>& heads() const { return heads_; }

  absl::StatusOr<std::vector<Rows>> Find() const {
    std::vector<Rows> found;
    for (const TrainedTokens& tokens : config_.trained_tokens) {
      PEFT_ASSIGN_OR_RETURN(const std::vector<int> sites, SitesOf(tokens));
      for (const int site : sites) {
        if (Follows(site, tokens)) continue;
        PEFT_RETURN_IF_ERROR(CheckIds(sites_.sites()[site], tokens.ids));
        found.push_back({site, &tokens.ids});
      }
    }
    return found;
  }

 private:
  absl::StatusOr<std::vector<int>> SitesOf(const TrainedTokens& tokens) const {
    if (tokens.module.empty()) {
      if (embedding_ >= 0) return std::vector<int>{embedding_};
      return Wrong(
          "is for the input embedding, which the model lacks; name "
          "the module",
          error_id::kNoTargetMatched);
    }
    std::vector<int> found;
    for (size_t i = 0; i < sites_.sites().size(); ++i) {
      const Site& site = sites_.sites()[i];
      if (site.kind == SiteKind::kParameter) continue;
      if (absl::EndsWith(keys_.ModuleInFile(site.name), tokens.module)) {
        found.push_back(static_cast<int>(i));
      }
    }
    if (!found.empty()) return found;
    return Wrong(absl::StrCat("names ", Quoted(tokens.module),
                              ", which is no layer of the model"),
                 error_id::kNoTargetMatched);
  }

  // A head that is listed with the ids of the embedding that it is tied to has
  // no rows of its own.
  bool Follows(int site, const TrainedTokens& tokens) const {
    if (std::find(heads_.begin(), heads_.end(), site) == heads_.end()) {
      return false;
    }
    return std::any_of(
        config_.trained_tokens.begin(), config_.trained_tokens.end(),
        [&](const TrainedTokens& other) {
          return &other != &tokens && other.ids == tokens.ids &&
                 absl::EndsWith(
                     keys_.ModuleInFile(sites_.sites()[embedding_].name),
                     other.module);
        });
  }

  static absl::Status CheckIds(const Site& site,
                               const std::vector<int64_t>& ids) {
    const bool is_table = site.kind == SiteKind::kEmbedding;
    if (!is_table && site.kind != SiteKind::kLinear) {
      return Wrong(absl::StrCat("names ", Quoted(site.name),
                                ", which is no embedding and no head"));
    }
    const int64_t rows = is_table ? site.in_features : site.out_features;
    for (const int64_t id : ids) {
      if (id >= 0 && id < rows) continue;
      return Wrong(absl::StrCat("has the id ", id, ", but ", Quoted(site.name),
                                " has ", rows, " rows"));
    }
    return absl::OkStatus();
  }

  const TargetConfig& config_;
  const SiteTable& sites_;
  const KeyMap& keys_;
  const int embedding_;
  const std::vector<int> heads_;
};

std::string ModuleOfRows(const Site& site) {
  return absl::StrCat(site.name, ".token_adapter");
}

class TrainedTokensTaker {
 public:
  TrainedTokensTaker(const TargetConfig& config, const SiteTable& sites,
                     const std::vector<TargetSite>& targets, const KeyMap& keys,
                     TensorTaker& taker, std::map<int, SiteProgram>& programs)
      : sites_(sites),
        targets_(targets),
        taker_(taker),
        programs_(programs),
        finder_(config, sites, keys) {}

  absl::Status Take() {
    PEFT_ASSIGN_OR_RETURN(const std::vector<Rows> all, finder_.Find());
    for (const Rows& rows : all) {
      PEFT_RETURN_IF_ERROR(CheckIsFree(rows.site));
      PEFT_RETURN_IF_ERROR(TakeRows(rows.site, *rows.ids));
    }
    FollowTied();
    return absl::OkStatus();
  }

 private:
  absl::Status CheckIsFree(int index) const {
    const bool is_target = std::any_of(
        targets_.begin(), targets_.end(),
        [index](const TargetSite& target) { return target.site == index; });
    if (!is_target && programs_.count(index) == 0) return absl::OkStatus();
    return Wrong(absl::StrCat("names ", Quoted(sites_.sites()[index].name),
                              ", which ",
                              is_target ? "target_modules names as well"
                                        : "the adapter replaces as a whole",
                              "; a module can only be one of both"));
  }

  absl::Status TakeRows(int index, const std::vector<int64_t>& ids) {
    const Site& site = sites_.sites()[index];
    const auto count = static_cast<int64_t>(ids.size());
    PEFT_ASSIGN_OR_RETURN(
        const std::optional<Tensor> rows,
        taker_.Take(ModuleOfRows(site), kPart, {count, site.weight_shape()[1]},
                    "one row for each id of trainable_token_indices",
                    IfMissing::kBase));
    if (!rows.has_value() || count == 0) return absl::OkStatus();
    PEFT_ASSIGN_OR_RETURN(ReplaceRows form, Sorted(ids, *rows));
    programs_[index] = {std::move(form)};
    return absl::OkStatus();
  }

  void FollowTied() {
    const auto embedding = programs_.find(finder_.embedding());
    if (embedding == programs_.end()) return;
    const auto* const form =
        std::get_if<ReplaceRows>(&embedding->second.front());
    if (form == nullptr) return;
    const ReplaceRows rows = *form;
    for (const int head : finder_.heads()) {
      if (programs_.count(head) == 0) programs_[head] = {rows};
    }
  }

  const SiteTable& sites_;
  const std::vector<TargetSite>& targets_;
  TensorTaker& taker_;
  std::map<int, SiteProgram>& programs_;
  const RowFinder finder_;
};

// The rows of the base's weight, in the order of `ids` and in f32, as PeftModel
// has them.
absl::StatusOr<Tensor> BaseRows(const Site& site,
                                const std::vector<int64_t>& ids) {
  if (!site.has_weight()) {
    return MakeError(
        absl::StatusCode::kUnimplemented, error_id::kAdapterFeatureUnsupported,
        absl::StrCat(kKey, " names ", Quoted(site.name),
                     ", whose weight the program did not register; register "
                     "it, as the new adapter begins with its rows"),
        {kKey, "", site.name});
  }
  const int64_t width = site.weight.dim(1);
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(
      Tensor rows,
      Tensor::Allocate(DType::kF32, {static_cast<int64_t>(ids.size()), width},
                       &data));
  for (size_t i = 0; i < ids.size(); ++i) {
    site.weight.CopyF32(ids[i] * width, width,
                        static_cast<float*>(data) + i * width);
  }
  return rows;
}

}  // namespace

absl::Status AddBaseRows(const TargetConfig& config, const SiteTable& sites,
                         TensorMap& out_tensors) {
  const KeyMap keys;
  PEFT_ASSIGN_OR_RETURN(const std::vector<Rows> all,
                        RowFinder(config, sites, keys).Find());
  for (const Rows& rows : all) {
    const Site& site = sites.sites()[rows.site];
    PEFT_ASSIGN_OR_RETURN(
        out_tensors[absl::StrCat(ModuleOfRows(site), ".", kPart)],
        BaseRows(site, *rows.ids));
  }
  return absl::OkStatus();
}

absl::Status TakeTrainedTokens(const TargetConfig& config,
                               const SiteTable& sites,
                               const std::vector<TargetSite>& targets,
                               const KeyMap& keys, TensorTaker& taker,
                               std::map<int, SiteProgram>& programs) {
  return TrainedTokensTaker(config, sites, targets, keys, taker, programs)
      .Take();
}

}  // namespace peft
