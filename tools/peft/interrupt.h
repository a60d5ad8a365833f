// Ctrl-C and its like, for commands that have something to clean up.
#ifndef TOOLS_PEFT_INTERRUPT_H_
#define TOOLS_PEFT_INTERRUPT_H_

namespace peft_tool {

// From now on Ctrl-C, SIGTERM and SIGHUP do not end the process the first time;
// the command asks for it. The second time each does.
void CatchInterrupts();

// Whether one of them came since then.
bool Interrupted();

}  // namespace peft_tool

#endif  // TOOLS_PEFT_INTERRUPT_H_
