// "A folder or a Hub id", for the options of commands.
#ifndef TOOLS_PEFT_FETCH_H_
#define TOOLS_PEFT_FETCH_H_

#include <string>

namespace peft_tool {

// The folder of the model `path`: `path` itself where it is one, else the
// repository of that name at `revision` ("": main), which is fetched where the
// cache lacks it; shows how far that is. Returns an exit code; prints what went
// wrong.
int FetchModel(const std::string& path, const std::string& revision,
               std::string* out_folder);

// The same for an adapter.
int FetchAdapter(const std::string& path, const std::string& revision,
                 std::string* out_folder);

}  // namespace peft_tool

#endif  // TOOLS_PEFT_FETCH_H_
