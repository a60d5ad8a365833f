package peft

// #include "peft_go.h"
import "C"

import (
	"fmt"
	"os"
	"sync"
)

// The logger that is set: what its user data holds.
var logger struct {
	mu    sync.Mutex
	arena *arena
}

// SetLogger sends the library's log lines to callback instead of stderr; nil
// drops them. The callback may run on any thread, one call at a time, and must
// not call back into the package. SetLogger returns when no line is on its way
// to the old callback any more. A callback that panics loses its line to
// stderr.
func SetLogger(callback func(level LogLevel, line string)) {
	logger.mu.Lock()
	defer logger.mu.Unlock()
	old := logger.arena
	logger.arena = &arena{}
	if callback == nil {
		C.peft_set_logger(nil, nil)
	} else {
		userData := logger.arena.userData(callback)
		C.peft_set_logger(C.peft_log_fn(C.peft_go_log), userData)
	}
	if old != nil {
		old.free()
	}
}

// SetLogLevel drops all lines below level; at first LogInfo, which drops none.
// LogNone drops all.
func SetLogLevel(level LogLevel) error {
	return toError(C.peft_set_log_level(C.int32_t(level)))
}

func reportLoggerPanic(value any, line string) {
	fmt.Fprintf(os.Stderr, "peft: the logger panicked (%v) with: %s\n", value, line)
}
