// Package peft loads PEFT adapters straight from their folders, or from the
// Hub, over a base model, switches, blends and merges them, and runs the model,
// with what Python's PEFT would compute. It is a layer over the C library
// libpeft and has no other dependencies.
//
//	model, err := peft.Open(ctx, "my-model", nil)
//	...
//	defer model.Close()
//	_, err = model.LoadAdapter(ctx, "german", "my-adapter", nil)
//	session, err := model.NewSession(nil)
//	defer session.Close()
//	result, err := session.Generate(ctx, peft.Tokens(1, 42, 17), nil)
//
// # Errors
//
// What fails returns an *[Error] with a [Code], a stable [ID] and a message
// that names the thing and says what to do. Decide with errors.As, or with
// errors.Is and an ID or a Code:
//
//	if errors.Is(err, peft.ErrAdapterNotFound) { ... }
//	if errors.Is(err, peft.NotFound) { ... }
//
// A failure leaves everything as it was.
//
// # Closing
//
// A [Model], [Session], [LayerRunner], [Activation], [Lowered], [StateDict] and
// [Tensor] hold memory that Go's collector does not see: Close them. One that is
// forgotten is closed by a finalizer, at a time of the collector's choice. They
// may be closed in any order, several times, and while other goroutines use
// them: a call that runs goes on to its end, and a later one fails with
// [ErrHandle].
//
// # Options
//
// The zero value of an options struct, and nil in its place, mean all
// defaults. A field whose zero is a value of its own is a pointer: [Ptr] makes
// one.
//
// # Goroutines
//
// All may be used by any goroutines at once, but a Session and a LayerRunner
// take one call at a time; a second one fails with [ErrSessionBusy] or
// [ErrRunnerBusy].
//
// # Contexts and callbacks
//
// A call that takes a context.Context ends soon after it is done, with an
// error for which errors.Is(err, context.Canceled), or DeadlineExceeded, holds:
// [Session.Generate] between two tokens, a download within a tenth of a second,
// [Model.MergeAndUnload] between two tensors, a load from a [FileOfReader] or
// [FileOfBytes] between two reads. Nothing else can be cancelled: where such a
// call reads local files, or runs the prompt, it looks at the context before it
// begins.
//
// An error that a callback returns ends the call, whose error wraps it. A
// callback that panics ends the call that uses it, which then panics with the
// same value (but a logger's panic goes to stderr). It must not call
// runtime.Goexit, as testing.T.FailNow does.
//
// # Memory
//
// No Go pointer is kept by the library after a call. A [View] that the package
// returns describes memory of the library; its copying methods are safe at any
// time.
package peft
