#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/peft/commands.h"
#include "tools/peft/handles.h"
#include "tools/peft/progress.h"
#include "tools/peft/setup.h"

namespace peft_tool {
namespace {

const char kCommand[] = "add-weighted";
const char kUsage[] =
    "peft add-weighted [--model DIR] (--adapter DIR --weight W)... --output "
    "DIR "
    "[OPTIONS]";
const char kNotes[] =
    "The types, with d the change that an adapter makes to a weight, and A and "
    "B its\nfactors:\n"
    "  svd                 the sum of W d, cut to a rank\n"
    "  cat                 the sum of W d exactly; ranks add up\n"
    "  linear              sums of A and of B: quick, but has cross terms\n"
    "  ties                the largest elements of A and of B, and a vote on "
    "signs\n"
    "  dare_linear         random elements of A and of B, the others scaled "
    "up\n"
    "  dare_ties           both\n"
    "  magnitude_prune     the largest elements of A and of B, summed\n"
    "  ties_svd, dare_linear_svd, dare_ties_svd, magnitude_prune_svd\n"
    "                      the same on d, cut to a rank\n"
    "IA3 adapters take linear only. The output folder appears whole or not at "
    "all, and\nloads in Python PEFT.";

struct NamedType {
  const char* name;
  int32_t type;
};

constexpr NamedType kTypes[] = {
    {"svd", PEFT_COMBINE_SVD},
    {"linear", PEFT_COMBINE_LINEAR},
    {"cat", PEFT_COMBINE_CAT},
    {"ties", PEFT_COMBINE_TIES},
    {"ties_svd", PEFT_COMBINE_TIES_SVD},
    {"dare_linear", PEFT_COMBINE_DARE_LINEAR},
    {"dare_linear_svd", PEFT_COMBINE_DARE_LINEAR_SVD},
    {"dare_ties", PEFT_COMBINE_DARE_TIES},
    {"dare_ties_svd", PEFT_COMBINE_DARE_TIES_SVD},
    {"magnitude_prune", PEFT_COMBINE_MAGNITUDE_PRUNE},
    {"magnitude_prune_svd", PEFT_COMBINE_MAGNITUDE_PRUNE_SVD},
};

constexpr NamedType kSignMethods[] = {
    {"total", PEFT_MAJORITY_SIGN_TOTAL},
    {"frequency", PEFT_MAJORITY_SIGN_FREQUENCY},
};

std::vector<OptionSpec> Specs() {
  return Joined({
      ModelOptionSpecs(),
      {{"--weight", "W", "what its effect counts; one per --adapter"},
       {"--output", "DIR", "folder to write; its parent must exist"},
       {"--type", "TYPE", "how they are combined, see below; default svd"},
       {"--density", "D", "part that the types with ties, dare, prune keep"},
       {"--sign-method", "M", "of ties: total (default) or frequency"},
       {"--svd-rank", "R", "rank of the svd types; default the largest given"},
       {"--svd-clamp", "Q", "quantile to clamp the factors of svd types to"},
       {"--seed", "S", "of dare's random numbers, as torch's; default 0"},
       {"--overwrite", nullptr, "replace the adapter that is at --output"}},
  });
}

// The value of `option` by its name; -1 for none, with a message.
template <size_t N>
int32_t FindType(const Args& args, const char* option,
                 const NamedType (&types)[N]) {
  const std::string text = args.Get(option, types[0].name);
  std::string known;
  for (const NamedType& type : types) {
    if (text == type.name) return type.type;
    known += (known.empty() ? "" : ", ") + std::string(type.name);
  }
  FailUsage(kCommand, std::string(option) + " \"" + text +
                          "\" is unknown; it is one of " + known);
  return -1;
}

int ReadWeights(const Args& args, std::vector<float>* out_weights) {
  for (const std::string& text : args.GetAll("--weight")) {
    double weight = 0;
    if (!ParseDouble(text, &weight)) {
      return FailUsage(kCommand,
                       "--weight needs a number, got \"" + text + "\"");
    }
    out_weights->push_back(static_cast<float>(weight));
  }
  const size_t count = args.GetAll("--adapter").size();
  if (count == 0) return FailUsage(kCommand, "--adapter DIR is needed");
  if (out_weights->size() == count) return kExitOk;
  return FailUsage(kCommand,
                   "give one --weight for each --adapter: there are " +
                       std::to_string(count) + " adapters and " +
                       std::to_string(out_weights->size()) + " weights");
}

int ReadOptions(Args& args, peft_combine_options_t* out_options) {
  out_options->combination_type = FindType(args, "--type", kTypes);
  if (out_options->combination_type < 0) return kExitUsage;
  out_options->majority_sign_method =
      FindType(args, "--sign-method", kSignMethods);
  if (out_options->majority_sign_method < 0) return kExitUsage;
  out_options->density = static_cast<float>(args.GetDouble("--density", 0));
  out_options->svd_clamp = static_cast<float>(args.GetDouble("--svd-clamp", 0));
  out_options->svd_rank = args.GetInt("--svd-rank", 0, 1, INT32_MAX);
  out_options->seed =
      static_cast<uint64_t>(args.GetInt("--seed", 0, 0, INT64_MAX));
  if (!args.error().empty()) return FailUsage(kCommand, args.error());
  const std::string type = args.Get("--type", "svd");
  const bool needs_density = type != "svd" && type != "linear" && type != "cat";
  if (needs_density && !args.Has("--density")) {
    return FailUsage(kCommand, "--type " + type + " needs a --density D");
  }
  return kExitOk;
}

// A name that no loaded adapter has.
std::string NewName(const std::vector<const char*>& names) {
  std::string name = "combined";
  while (std::find(names.begin(), names.end(), name) != names.end()) {
    name += "-";
  }
  return name;
}

int CombineAndSave(const Args& args, const std::vector<float>& weights,
                   const peft_combine_options_t& options, peft_model_t* model) {
  peft_string_list_t* raw = nullptr;
  if (peft_status_t* status = peft_model_list_adapters(model, &raw)) {
    return Fail(status);
  }
  const StringList loaded(raw);
  std::vector<const char*> names;
  for (size_t i = 0; i < peft_string_list_size(raw); ++i) {
    names.push_back(peft_string_list_get(raw, i));
  }
  const std::string name = NewName(names);
  {
    Progress progress("combining the adapters");
    if (peft_status_t* status = peft_model_add_weighted_adapter(
            model, name.c_str(), names.data(), weights.data(), names.size(),
            &options)) {
      return Fail(status);
    }
  }
  Progress progress("writing the adapter");
  return SaveAdapter(args, model, name.c_str());
}

}  // namespace

int RunAddWeighted(const std::vector<std::string>& words) {
  Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(kUsage,
                              "Makes one adapter of several of one base, as "
                              "PEFT's add_weighted_adapter does.",
                              Specs(), kNotes));
  }
  if (!args.error().empty()) return FailUsage(kCommand, args.error());
  if (!args.positional().empty()) {
    return FailUsage(kCommand, "unexpected \"" + args.positional()[0] + "\"");
  }
  if (!args.Has("--output")) {
    return FailUsage(kCommand, "--output DIR is needed");
  }
  std::vector<float> weights;
  if (int code = ReadWeights(args, &weights)) return code;
  peft_combine_options_t options = PEFT_COMBINE_OPTIONS_INIT;
  if (int code = ReadOptions(args, &options)) return code;
  Model model;
  if (int code = OpenModel(kCommand, args, &model)) return code;
  return CombineAndSave(args, weights, options, model.get());
}

}  // namespace peft_tool
