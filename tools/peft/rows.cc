#include "tools/peft/rows.h"

#include <algorithm>
#include <cstdint>

namespace peft_tool {
namespace {

const char kBaseName[] = "__base__";

// "NAME" or "NAME*SCALE".
bool ParseAdapter(const std::string& text, RowAdapter* out_adapter) {
  const size_t star = text.rfind('*');
  out_adapter->name = text.substr(0, star);
  if (star == std::string::npos) return !out_adapter->name.empty();
  double scale = 0;
  if (!ParseDouble(text.substr(star + 1), &scale)) return false;
  out_adapter->scale = static_cast<float>(scale);
  return !out_adapter->name.empty();
}

std::vector<int64_t> Repeated(const std::vector<int64_t>& values,
                              size_t count) {
  std::vector<int64_t> result;
  for (size_t i = 0; i < count; ++i) {
    result.insert(result.end(), values.begin(), values.end());
  }
  return result;
}

}  // namespace

bool ParseRow(const std::string& text, std::vector<RowAdapter>* out_adapters) {
  out_adapters->clear();
  if (text == kBaseName) return true;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('+', begin), text.size());
    RowAdapter adapter;
    if (!ParseAdapter(text.substr(begin, end - begin), &adapter)) return false;
    out_adapters->push_back(adapter);
    begin = end + 1;
  }
  return true;
}

OptionSpec RowOptionSpec() {
  return {"--row", "NAMES",
          "what a row runs, once per row: NAME[*SCALE][+NAME...] or __base__; "
          "NAME: the last part of an --adapter's path"};
}

int Rows::Open(const std::string& command, Args& args, Model* out_model) {
  if (!args.Has("--row")) return OpenActiveModel(command, args, out_model);
  if (args.Has("--scale")) {
    return FailUsage(command, "with --row give scales as NAME*SCALE");
  }
  if (int code = OpenModel(command, args, out_model)) return code;
  return Read(command, args, *out_model);
}

int Rows::Read(const std::string& command, const Args& args,
               const Model& model) {
  for (const std::string& text : args.GetAll("--row")) {
    std::vector<RowAdapter> adapters;
    if (!ParseRow(text, &adapters)) {
      return FailUsage(
          command, "--row needs NAME[*SCALE][+NAME...], got \"" + text + "\"");
    }
    std::vector<const char*> names;
    std::vector<float> scales;
    for (const RowAdapter& adapter : adapters) {
      names.push_back(adapter.name.c_str());
      scales.push_back(adapter.scale);
    }
    peft_activation_t* raw = nullptr;
    if (peft_status_t* status = peft_activation_create(
            model.get(), names.data(), scales.data(), names.size(), &raw)) {
      return Fail(status);
    }
    activations_.emplace_back(raw);
    pointers_.push_back(raw);
  }
  return kExitOk;
}

void RepeatTokens(size_t count, TokenBatch* tokens) {
  if (tokens->batch != 1 || count < 2) return;
  tokens->batch = static_cast<int64_t>(count);
  for (std::vector<int64_t>* values :
       {&tokens->ids, &tokens->attention_mask, &tokens->position_ids,
        &tokens->token_type_ids}) {
    *values = Repeated(*values, count);
  }
}

}  // namespace peft_tool
