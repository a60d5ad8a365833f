// Command lines: "--name value", "--name=value", flags and positional words.
#ifndef TOOLS_PEFT_ARGS_H_
#define TOOLS_PEFT_ARGS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace peft_tool {

// One option that a command accepts.
struct OptionSpec {
  const char* name;   // "--model"
  const char* value;  // what follows, "DIR"; null for a flag
  const char* help;
};

// A parsed command line. Values are checked when they are read.
class Args {
 public:
  // Parses `words` (without program and command). Sets error() for an option
  // that is not in `specs`, or one that lacks its value.
  Args(const std::vector<std::string>& words,
       const std::vector<OptionSpec>& specs);

  const std::string& error() const { return error_; }
  const std::vector<std::string>& positional() const { return positional_; }

  bool Has(const std::string& name) const;
  // The last value given, or `fallback`.
  std::string Get(const std::string& name,
                  const std::string& fallback = "") const;
  std::vector<std::string> GetAll(const std::string& name) const;
  // Numbers set error() when the text is not one, or out of range.
  int64_t GetInt(const std::string& name, int64_t fallback, int64_t low,
                 int64_t high);
  double GetDouble(const std::string& name, double fallback);

 private:
  // Adds the option `word`, whose value may be `next`. Returns how many of the
  // two it took.
  size_t AddOption(const std::string& word, const std::string& next,
                   const std::vector<OptionSpec>& specs);

  std::vector<std::string> positional_;
  std::map<std::string, std::vector<std::string>> values_;
  std::string error_;
};

// The options of all `parts`, in their order.
std::vector<OptionSpec> Joined(
    const std::vector<std::vector<OptionSpec>>& parts);

// Usage line, one line per option, then `notes`.
std::string HelpText(const std::string& usage, const std::string& summary,
                     const std::vector<OptionSpec>& specs,
                     const std::string& notes);

// "1,2,3" as numbers; false when a part is not a number.
bool ParseIntList(const std::string& text, std::vector<int64_t>* out);

// A finite number; false when the text is anything else.
bool ParseDouble(const std::string& text, double* out);

}  // namespace peft_tool

#endif  // TOOLS_PEFT_ARGS_H_
