#include "peft_cc/adapters/replicated_layers.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {

absl::Status CheckReplicatedLayers(const TargetConfig& config,
                                   const SiteTable& sites, LoadReport& report) {
  const LayerRanges& wanted = config.layer_replication;
  const LayerRanges& found = sites.layer_replication();
  if (wanted == found) return absl::OkStatus();
  const std::string of_model = RangesText(found);
  if (wanted.empty()) {
    report.lines.push_back(
        {ReportKind::kNote, "layer_replication",
         absl::StrCat("the model's layers are replicated by ", of_model,
                      ", which the adapter does not ask for: it is matched "
                      "with the replicated layers")});
    return absl::OkStatus();
  }
  const std::string of_adapter = RangesText(wanted);
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kLayerReplication,
      absl::StrCat(
          "layer_replication is ", of_adapter, ", and the model was ",
          found.empty()
              ? "opened with its layers as they are"
              : absl::StrCat("opened with its layers replicated by ", of_model),
          "; open it with the model option layer_replication set to ",
          of_adapter, ", or with the adapter among for_adapters"),
      {"layer_replication", of_model, of_adapter});
}

}  // namespace peft
