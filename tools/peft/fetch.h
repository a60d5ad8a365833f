// "A folder or a Hub id", for the options of commands.
#ifndef TOOLS_PEFT_FETCH_H_
#define TOOLS_PEFT_FETCH_H_

#include <string>
#include <vector>

#include "peft_c/peft_c.h"
#include "tools/peft/args.h"

namespace peft_tool {

// How the Hub is asked, as peft_load_options_t has it, for every command that
// takes a model or an adapter: FetchModel and FetchAdapter read them.
std::vector<OptionSpec> HubOptionSpecs();

// --model-revision and --model-subfolder, which FetchModel reads.
std::vector<OptionSpec> ModelPlaceSpecs();

// The folder of the model `path`: `path` itself where it is one, else that of
// the repository of that name, fetched where the cache lacks it; shows how far
// that is. With `path` "" it is the model that options.for_adapters name.
// Returns an exit code; prints what went wrong.
int FetchModel(const Args& args, const std::string& path,
               peft_model_options_t options, std::string* out_folder);

// The same for an adapter, of the revision and the subfolder of `options`.
int FetchAdapter(const Args& args, const std::string& path,
                 peft_load_options_t options, std::string* out_folder);

}  // namespace peft_tool

#endif  // TOOLS_PEFT_FETCH_H_
