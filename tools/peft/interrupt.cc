#include "tools/peft/interrupt.h"

#include <signal.h>

namespace peft_tool {
namespace {

// Those that ask a process to end.
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

volatile sig_atomic_t interrupted = 0;

void OnInterrupt(int) { interrupted = 1; }

}  // namespace

void CatchInterrupts() {
  for (const int number : kSignals) {
    struct sigaction action = {};
    // nohup's, or that of a shell's background job.
    if (sigaction(number, nullptr, &action) != 0) continue;
    if (action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = OnInterrupt;
    sigemptyset(&action.sa_mask);
    // The second one ends a process that does not look for the first.
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    sigaction(number, &action, nullptr);
  }
}

bool Interrupted() { return interrupted != 0; }

}  // namespace peft_tool
