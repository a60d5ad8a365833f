package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
)

// A ThreadPool is the program's own goroutines, for a model's work.
type ThreadPool struct {
	// Calls piece once with each index below pieces, on any goroutines and in
	// any order, and returns when all these calls have returned. What it leaves
	// out the goroutine that called the library does; that call, and one for
	// which it returns an error, fails with ErrThreadPool. Called from several
	// goroutines at once where the program calls the library so.
	ParallelFor func(pieces int64, piece func(index int64)) error
	// How many goroutines work on one call, the one that calls included: 1 to
	// 4096. Decides how finely work is cut, and nothing else. Default 0: 1.
	NumThreads int32
}

// A pool is what the library has of a ThreadPool, as long as something that may
// use it is there: models, sessions and runners keep it.
type pool struct {
	arena arena
	state *call
}

// newPool returns nil of nil.
func newPool(threads *ThreadPool) (*pool, *C.peft_thread_pool_t) {
	if threads == nil {
		return nil, nil
	}
	p := &pool{state: newCall(context.Background())}
	p.state.parallelFor = threads.ParallelFor
	options := (*C.peft_thread_pool_t)(p.arena.alloc(C.sizeof_peft_thread_pool_t))
	C.peft_thread_pool_init(options, C.sizeof_peft_thread_pool_t)
	options.user_data = p.arena.userData(p.state)
	if threads.ParallelFor != nil {
		options.parallel_for = C.peft_parallel_for_fn(C.peftGoParallelFor)
	}
	if threads.NumThreads != 0 {
		options.num_threads = C.int32_t(threads.NumThreads)
	}
	runtime.SetFinalizer(p, func(p *pool) { p.arena.free() })
	return p, options
}

// explain returns the error of a call that may have used the pool, with what
// ParallelFor returned; its panic goes on here.
func (p *pool) explain(err error) error {
	if err == nil || p == nil || !errors.Is(err, ErrThreadPool) {
		return err
	}
	defer p.state.reset()
	return p.state.finish(err)
}
