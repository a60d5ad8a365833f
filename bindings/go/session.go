package peft

// #include "peft_go.h"
import "C"

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// A Session is a KV cache with its workspace: one conversation, or one batch of
// them. It takes one call at a time; any number of sessions of one model run at
// the same time.
type Session struct {
	guard  guard
	handle *C.peft_session_t
	// What the library writes to, which must lie alone, and the views that are
	// returned: made once, so that a forward allocates nothing.
	out   *C.peft_tensor_view_t
	views [3]View
	busy  atomic.Bool // A call uses these.
	pool  *pool
}

// SessionOptions say how a session is made.
type SessionOptions struct {
	// How many positions the cache may hold; more is ErrSequenceTooLong. Default
	// 0: it grows as memory allows.
	MaxLength int64
	// RoundActivations: where the base's weights are bf16 and the processor
	// multiplies bf16 faster, forwards of more than 8 tokens round what goes into
	// the linear layers to bf16, too. Results are then off by some thousandths of
	// their size. Default: they are not rounded.
	RoundActivations bool
}

// NewSession makes an empty session. It fails with ErrModelNotRunnable on a
// host model. options may be nil.
func (m *Model) NewSession(options *SessionOptions) (*Session, error) {
	defer runtime.KeepAlive(m)
	var cOptions C.peft_session_options_t
	C.peft_session_options_init(&cOptions, C.sizeof_peft_session_options_t)
	if options != nil {
		cOptions.max_length = C.int64_t(options.MaxLength)
		cOptions.round_activations = flag(options.RoundActivations)
	}
	session := &Session{out: new(C.peft_tensor_view_t)}
	C.peft_tensor_view_init(session.out, C.sizeof_peft_tensor_view_t)
	if err := toError(C.peft_session_create(m.c(), &cOptions, &session.handle)); err != nil {
		return nil, err
	}
	session.pool = m.pool
	runtime.SetFinalizer(session, (*Session).Close)
	return session, nil
}

// number is the handle without a pointer's type.
func (s *Session) number() C.uintptr_t {
	return C.uintptr_t(uintptr(unsafe.Pointer(s.handle)))
}

// enter is for calls of which there is one at a time; leave ends it.
func (s *Session) enter() error {
	if s.busy.CompareAndSwap(false, true) {
		return nil
	}
	return &Error{
		Code:    FailedPrecondition,
		ID:      ErrSessionBusy,
		Message: "another call is using the session; make one for each conversation",
	}
}

func (s *Session) leave() {
	s.busy.Store(false)
}

// Close frees the session and returns nil. A call that uses it goes on to its
// end.
func (s *Session) Close() error {
	if s != nil && s.guard.close() {
		C.peft_session_free(s.handle)
		runtime.SetFinalizer(s, nil)
	}
	return nil
}

// Reset empties the cache.
func (s *Session) Reset() error {
	defer runtime.KeepAlive(s)
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.guard.newLoan()
	return toError(C.peft_session_reset(s.handle))
}

// CacheLength returns the number of positions in the cache; 0 when the session
// is closed, and while another call uses it.
func (s *Session) CacheLength() int64 {
	defer runtime.KeepAlive(s)
	return int64(C.peft_session_cache_length(s.handle))
}

// An Input is token ids, row by row, borrowed for the call.
type Input struct {
	// Batch * Length ids.
	IDs []int64
	// Rows and columns. Default: one row, of all ids.
	Batch, Length int
	// As many as ids: 0 for padding, which nothing attends to, else 1. Default
	// nil: no padding.
	AttentionMask []int64
	// As many. Default nil: counted on from the tokens in the cache. Generate
	// does not read them.
	PositionIDs []int64
	// As many, of models that have token types. Default nil: all 0, or none.
	TokenTypeIDs []int64
}

// Tokens returns an input of one row.
func Tokens(ids ...int64) Input {
	return Input{IDs: ids}
}

// PadLeft returns an input of rows that may differ in length: pad, masked, is
// put before the shorter ones.
func PadLeft(rows [][]int64, pad int64) Input {
	length := 0
	for _, row := range rows {
		if len(row) > length {
			length = len(row)
		}
	}
	input := Input{
		IDs:           make([]int64, 0, len(rows)*length),
		Batch:         len(rows),
		Length:        length,
		AttentionMask: make([]int64, 0, len(rows)*length),
	}
	for _, row := range rows {
		for i := len(row); i < length; i++ {
			input.IDs = append(input.IDs, pad)
			input.AttentionMask = append(input.AttentionMask, 0)
		}
		input.IDs = append(input.IDs, row...)
		for range row {
			input.AttentionMask = append(input.AttentionMask, 1)
		}
	}
	return input
}

// shape returns rows and columns when the arrays are as long as they say.
func (i *Input) shape() (batch, length C.int64_t, err error) {
	rows, columns := i.Batch, i.Length
	if rows == 0 {
		rows = 1
	}
	if columns == 0 {
		columns = len(i.IDs) / rows
	}
	if rows < 1 || columns < 1 || len(i.IDs)/rows != columns || len(i.IDs)%rows != 0 {
		return 0, 0, argumentError("%d ids, expected Batch (%d) * Length (%d), both at least 1",
			len(i.IDs), rows, columns)
	}
	for _, array := range [...][]int64{i.AttentionMask, i.PositionIDs, i.TokenTypeIDs} {
		if array != nil && len(array) != len(i.IDs) {
			return 0, 0, argumentError("%d numbers beside %d ids; give one for each", len(array), len(i.IDs))
		}
	}
	return C.int64_t(rows), C.int64_t(columns), nil
}

// ForwardOptions say what a forward does besides.
type ForwardOptions struct {
	// Computes the logits of the last so many positions of each row only.
	// Default 0: of all.
	LogitsToKeep int64
	// Goes on with a cache that was written under other adapters, which is else
	// ErrActivationChanged.
	AllowActivationChange bool
	Rows
	// What to compute besides the logits that Logits returns. Default 0: of
	// Forward what the model's class is for.
	Outputs Outputs
}

// Forward runs the tokens after those in the cache, under the adapters that are
// active when the call begins. Output gives what was computed. The first
// forward after creation or a reset fixes the batch; encoders (BERT) keep no
// cache, and each forward stands for itself. After a failure the cache is as it
// was. It cannot be cancelled. options may be nil.
func (s *Session) Forward(input Input, options *ForwardOptions) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.forward(&input, options, nil)
}

// Logits is Forward for the logits, F32 (batch, positions, vocab_size): in place
// of vocab_size a model that classifies has its labels; one that classifies
// sequences gives (batch, labels). The view ends with the next forward, generate
// or reset of the session.
func (s *Session) Logits(input Input, options *ForwardOptions) (View, error) {
	if err := s.enter(); err != nil {
		return View{}, err
	}
	defer s.leave()
	if err := s.forward(&input, options, s.out); err != nil {
		return View{}, err
	}
	return s.lent(0), nil
}

// Output returns what the last forward gave back as one of the Outputs, F32:
// logits as Logits has them, last_hidden_state (batch, length, hidden_size),
// pooler_output (batch, hidden_size). The view ends with the next forward,
// generate or reset of the session.
func (s *Session) Output(output Outputs) (View, error) {
	defer runtime.KeepAlive(s)
	if err := s.enter(); err != nil {
		return View{}, err
	}
	defer s.leave()
	if err := toError(C.peft_session_get_output(s.handle, C.int32_t(output), s.out)); err != nil {
		return View{}, err
	}
	switch output {
	case OutputLastHiddenState:
		return s.lent(1), nil
	case OutputPoolerOutput:
		return s.lent(2), nil
	}
	return s.lent(0), nil
}

// lent returns what the library wrote as a view, in a place of its own.
func (s *Session) lent(place int) View {
	s.views[place].borrow(s.out)
	view := s.views[place]
	view.lender, view.loan = &s.guard, s.guard.loan
	return view
}

func (s *Session) forward(input *Input, options *ForwardOptions, out *C.peft_tensor_view_t) error {
	defer runtime.KeepAlive(s)
	batch, length, err := input.shape()
	if err != nil {
		return err
	}
	if options == nil {
		options = &noForwardOptions
	}
	defer runtime.KeepAlive(options.Activations)
	var a arena
	defer a.free()
	names, numNames := a.texts(options.AdapterNames)
	if a.err != nil {
		return a.err
	}
	activations := handles(options.Activations)
	s.guard.newLoan()
	status := C.peft_go_forward(s.number(), pointer[C.int64_t](input.IDs), batch, length,
		pointer[C.int64_t](input.AttentionMask), pointer[C.int64_t](input.PositionIDs),
		pointer[C.int64_t](input.TokenTypeIDs), C.int64_t(options.LogitsToKeep),
		flag(options.AllowActivationChange), names, numNames,
		pointer[*C.peft_activation_t](activations), C.size_t(len(activations)),
		C.int32_t(options.Outputs), out)
	return s.pool.explain(toError(status))
}

var noForwardOptions ForwardOptions
