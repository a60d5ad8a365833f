// What the commands share: opening the model, loading and saving adapters,
// reading token ids.
#ifndef TOOLS_PEFT_SETUP_H_
#define TOOLS_PEFT_SETUP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/peft/args.h"
#include "tools/peft/handles.h"

namespace peft_tool {

// Options of every command that takes adapters by --adapter: OpenModel reads
// them.
std::vector<OptionSpec> ModelOptionSpecs();

// --task and --num-labels, which ModelOptionSpecs has.
OptionSpec TaskOptionSpec();
OptionSpec LabelsOptionSpec();
// Reads them. Returns an exit code; prints what went wrong.
int ReadHead(const std::string& command, Args& args,
             peft_model_options_t* out_options);

// Fetches and opens --model, or where that is not given the model that the
// adapters in these folders name, for those adapters: with its layers
// replicated where they need it. Says so when it takes long. Returns an exit
// code; prints what went wrong.
int OpenBase(const Args& args, const std::vector<std::string>& adapters,
             peft_model_options_t options, Model* out_model);

// The option that OpenActiveModel adds.
OptionSpec ScaleOptionSpec();

// Opens --model, or what the adapters name, and loads each --adapter, the last
// of which is active. Returns an exit code; prints what went wrong, and the
// notes of the load reports, to stderr.
int OpenModel(const std::string& command, Args& args, Model* out_model);

// The same with all adapters active together, each with its --scale.
int OpenActiveModel(const std::string& command, Args& args, Model* out_model);

// Writes the adapter `name`, null: the first active one, to --output; over what
// is there with --overwrite, converted with --initial-adapter. Returns an exit
// code; prints what went wrong.
int SaveAdapter(const Args& args, const peft_model_t* model, const char* name);

// Token ids with their mask, row-major.
struct TokenBatch {
  int64_t batch = 0;
  int64_t length = 0;
  std::vector<int64_t> ids;
  std::vector<int64_t> attention_mask;  // empty: none
  std::vector<int64_t> position_ids;    // empty: none
  std::vector<int64_t> token_type_ids;  // empty: none

  peft_forward_input_t Input() const;
};

// Reads "input_ids" (or "ids", or the only tensor) of a safetensors file,
// I64 or I32, (batch, length) or (length), and "attention_mask",
// "position_ids" and "token_type_ids" of the same shape where they are there.
int ReadTokens(const std::string& path, TokenBatch* out_tokens);

}  // namespace peft_tool

#endif  // TOOLS_PEFT_SETUP_H_
