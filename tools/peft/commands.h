// The commands of the `peft` tool. Each takes the words after its name and
// returns the exit code.
#ifndef TOOLS_PEFT_COMMANDS_H_
#define TOOLS_PEFT_COMMANDS_H_

#include <string>
#include <vector>

namespace peft_tool {

int RunCache(const std::vector<std::string>& words);
int RunDownload(const std::vector<std::string>& words);
int RunInspect(const std::vector<std::string>& words);
int RunList(const std::vector<std::string>& words);
int RunSave(const std::vector<std::string>& words);
int RunAdd(const std::vector<std::string>& words);
int RunAddWeighted(const std::vector<std::string>& words);
int RunMerge(const std::vector<std::string>& words);
int RunQuantize(const std::vector<std::string>& words);
int RunProbe(const std::vector<std::string>& words);
int RunForward(const std::vector<std::string>& words);
int RunGenerate(const std::vector<std::string>& words);

// Prints `text` to stdout and returns kExitOk.
int PrintHelp(const std::string& text);

}  // namespace peft_tool

#endif  // TOOLS_PEFT_COMMANDS_H_
