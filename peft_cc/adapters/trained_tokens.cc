#include "peft_cc/adapters/trained_tokens.h"

#include <algorithm>
#include <cstring>
#include <numeric>
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

// The order in which the ids rise.
std::vector<size_t> RisingOrder(const std::vector<int64_t>& ids) {
  std::vector<size_t> order(ids.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return ids[a] < ids[b]; });
  return order;
}

absl::StatusOr<ReplaceRows> Sorted(const std::vector<int64_t>& ids,
                                   const Tensor& rows) {
  const std::vector<size_t> order = RisingOrder(ids);
  void* data = nullptr;
  ReplaceRows form;
  PEFT_ASSIGN_OR_RETURN(
      form.rows,
      Tensor::Allocate(rows.dtype(), {rows.dim(0), rows.dim(1)}, &data));
  const int64_t bytes = rows.dim(1) * DTypeSize(rows.dtype());
  for (size_t i = 0; i < order.size(); ++i) {
    form.ids.push_back(ids[order[i]]);
    std::memcpy(static_cast<char*>(data) + i * bytes,
                static_cast<const char*>(rows.data()) + order[i] * bytes,
                bytes);
  }
  return form;
}

class TrainedTokensTaker {
 public:
  TrainedTokensTaker(const TargetConfig& config, const SiteTable& sites,
                     const std::vector<TargetSite>& targets, const KeyMap& keys,
                     TensorTaker& taker, std::map<int, SiteProgram>& programs)
      : config_(config),
        sites_(sites),
        targets_(targets),
        keys_(keys),
        taker_(taker),
        programs_(programs),
        embedding_(FindInputEmbedding(sites)),
        heads_(FindTiedHeads(sites, embedding_)) {}

  absl::Status Take() {
    for (const TrainedTokens& tokens : config_.trained_tokens) {
      PEFT_ASSIGN_OR_RETURN(const std::vector<int> sites, SitesOf(tokens));
      for (const int site : sites) {
        if (Follows(site, tokens)) continue;
        PEFT_RETURN_IF_ERROR(TakeRows(site, tokens.ids));
      }
    }
    return FollowTied();
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

  absl::Status Check(const Site& site, int index,
                     const std::vector<int64_t>& ids) const {
    const bool is_table = site.kind == SiteKind::kEmbedding;
    if (!is_table && site.kind != SiteKind::kLinear) {
      return Wrong(absl::StrCat("names ", Quoted(site.name),
                                ", which is no embedding and no head"));
    }
    const bool is_target = std::any_of(
        targets_.begin(), targets_.end(),
        [index](const TargetSite& target) { return target.site == index; });
    if (is_target || programs_.count(index) > 0) {
      return Wrong(absl::StrCat("names ", Quoted(site.name), ", which ",
                                is_target ? "target_modules names as well"
                                          : "the adapter replaces as a whole",
                                "; a module can only be one of both"));
    }
    const int64_t rows = is_table ? site.in_features : site.out_features;
    for (const int64_t id : ids) {
      if (id >= 0 && id < rows) continue;
      return Wrong(absl::StrCat("has the id ", id, ", but ", Quoted(site.name),
                                " has ", rows, " rows"));
    }
    const std::vector<size_t> order = RisingOrder(ids);
    for (size_t i = 1; i < order.size(); ++i) {
      if (ids[order[i - 1]] != ids[order[i]]) continue;
      return Wrong(absl::StrCat("has the id ", ids[order[i]], " twice"));
    }
    return absl::OkStatus();
  }

  absl::Status TakeRows(int index, const std::vector<int64_t>& ids) {
    const Site& site = sites_.sites()[index];
    PEFT_RETURN_IF_ERROR(Check(site, index, ids));
    const auto count = static_cast<int64_t>(ids.size());
    PEFT_ASSIGN_OR_RETURN(
        const std::optional<Tensor> rows,
        taker_.Take(absl::StrCat(site.name, ".token_adapter"), kPart,
                    {count, site.weight.dim(1)},
                    "one row for each id of trainable_token_indices"));
    if (!rows.has_value() || count == 0) return absl::OkStatus();
    PEFT_ASSIGN_OR_RETURN(ReplaceRows form, Sorted(ids, *rows));
    programs_[index] = {std::move(form)};
    return absl::OkStatus();
  }

  absl::Status FollowTied() {
    const auto embedding = programs_.find(embedding_);
    if (embedding == programs_.end()) return absl::OkStatus();
    const auto* const form =
        std::get_if<ReplaceRows>(&embedding->second.front());
    if (form == nullptr) return absl::OkStatus();
    const ReplaceRows rows = *form;
    for (const int head : heads_) {
      if (programs_.count(head) == 0) programs_[head] = {rows};
    }
    return absl::OkStatus();
  }

  const TargetConfig& config_;
  const SiteTable& sites_;
  const std::vector<TargetSite>& targets_;
  const KeyMap& keys_;
  TensorTaker& taker_;
  std::map<int, SiteProgram>& programs_;
  const int embedding_;
  const std::vector<int> heads_;
};

}  // namespace

absl::Status TakeTrainedTokens(const TargetConfig& config,
                               const SiteTable& sites,
                               const std::vector<TargetSite>& targets,
                               const KeyMap& keys, TensorTaker& taker,
                               std::map<int, SiteProgram>& programs) {
  return TrainedTokensTaker(config, sites, targets, keys, taker, programs)
      .Take();
}

}  // namespace peft
