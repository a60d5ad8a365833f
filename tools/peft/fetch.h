// "A folder or a Hub id", for the options of commands.
#ifndef TOOLS_PEFT_FETCH_H_
#define TOOLS_PEFT_FETCH_H_

#include <string>

#include "peft_c/peft_c.h"

namespace peft_tool {

// The folder of the model `path`: `path` itself where it is one, else that of
// the repository of that name, fetched where the cache lacks it; shows how far
// that is. With `path` "" it is the model that options.for_adapters name.
// `options` say which revision. Returns an exit code; prints what went wrong.
int FetchModel(const std::string& path, peft_model_options_t options,
               std::string* out_folder);

// The same for an adapter, its subfolder included.
int FetchAdapter(const std::string& path, peft_load_options_t options,
                 std::string* out_folder);

}  // namespace peft_tool

#endif  // TOOLS_PEFT_FETCH_H_
