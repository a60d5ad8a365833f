package peft

import "sync"

// A guard says whether an object is closed, and keeps Close away while what
// the library lends is being read.
type guard struct {
	mu     sync.RWMutex
	closed bool
	// Counts the calls that end what was lent before them.
	loan uint64
}

// close returns whether this is the first time.
func (g *guard) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.closed
	g.closed = true
	return first
}

// newLoan ends what was lent, when nobody is reading it any more.
func (g *guard) newLoan() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loan++
	return g.loan
}

// read returns whether the loan is good; if so it stays until done.
func (g *guard) read(loan uint64) bool {
	g.mu.RLock()
	if g.closed || g.loan != loan {
		g.mu.RUnlock()
		return false
	}
	return true
}

func (g *guard) done() {
	g.mu.RUnlock()
}

// closedError is for what was lent by an object that is closed or went on.
func closedError(what string) error {
	return &Error{
		Code:    InvalidArgument,
		ID:      ErrHandle,
		Message: what + " is closed, or a later call ended what it lent",
	}
}
