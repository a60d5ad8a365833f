// Adapters for each row of a batch, as the command line names them.
#ifndef TOOLS_PEFT_ROWS_H_
#define TOOLS_PEFT_ROWS_H_

#include <string>
#include <vector>

#include "tools/peft/args.h"
#include "tools/peft/handles.h"
#include "tools/peft/setup.h"

namespace peft_tool {

// An adapter of a row with the scale given to it.
struct RowAdapter {
  std::string name;
  float scale = 1.0f;
};

// Reads "NAME[*SCALE][+NAME[*SCALE]]...", or "__base__" for none at all; false
// for anything else.
bool ParseRow(const std::string& text, std::vector<RowAdapter>* out_adapters);

// The option that Rows reads.
OptionSpec RowOptionSpec();

// A prompt of one row becomes `count` rows, to run once under each --row; with
// less than two it stays.
void RepeatTokens(size_t count, TokenBatch* tokens);

// One activation for each --row; none without one.
class Rows {
 public:
  // Opens the model and loads the adapters as OpenActiveModel does; with --row
  // they need not be able to act together. Returns an exit code; prints what
  // went wrong.
  int Open(const std::string& command, Args& args, Model* out_model);

  // What forward and generate take; null and 0 without any.
  const peft_activation_t* const* data() const {
    return pointers_.empty() ? nullptr : pointers_.data();
  }
  size_t size() const { return pointers_.size(); }

 private:
  int Read(const std::string& command, const Args& args, const Model& model);

  std::vector<Activation> activations_;
  std::vector<const peft_activation_t*> pointers_;
};

}  // namespace peft_tool

#endif  // TOOLS_PEFT_ROWS_H_
