// Ctrl-C, for commands that have something to clean up.
#ifndef TOOLS_PEFT_INTERRUPT_H_
#define TOOLS_PEFT_INTERRUPT_H_

namespace peft_tool {

// From now on Ctrl-C does not end the process; the command asks for it.
void CatchInterrupts();

// Whether Ctrl-C was pressed since then.
bool Interrupted();

}  // namespace peft_tool

#endif  // TOOLS_PEFT_INTERRUPT_H_
