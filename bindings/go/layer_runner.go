package peft

// #include "peft_go.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// A LayerID is the number of a layer, or of one matrix of a parameter with
// experts, as long as the model lives.
type LayerID int64

// FindLayer returns the number of layer name, or of matrix expert of a parameter
// with experts, else nil.
func (m *Model) FindLayer(name string, expert *int64) (LayerID, error) {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.arg(name)
	if a.err != nil {
		return 0, a.err
	}
	number := C.int64_t(-1)
	if expert != nil {
		number = C.int64_t(*expert)
	}
	var layer C.int64_t
	err := toError(C.peft_model_find_layer(m.c(), cName, number, &layer))
	return LayerID(layer), err
}

// A LayerRunner is workspace in which layers of a model run, for a program's own
// forward: one for each goroutine that runs layers at the same time. It takes
// one call at a time; a second one fails with ErrRunnerBusy. Once calls of a
// shape have been made, further ones allocate nothing, unless they name
// adapters.
type LayerRunner struct {
	guard  guard
	handle *C.peft_layer_runner_t
	pool   *pool
}

// NewLayerRunner returns a runner of the layers of the model.
func (m *Model) NewLayerRunner() (*LayerRunner, error) {
	defer runtime.KeepAlive(m)
	var handle *C.peft_layer_runner_t
	if err := toError(C.peft_layer_runner_create(m.c(), &handle)); err != nil {
		return nil, err
	}
	return m.newLayerRunner(handle), nil
}

func (m *Model) newLayerRunner(handle *C.peft_layer_runner_t) *LayerRunner {
	runner := &LayerRunner{handle: handle, pool: m.pool}
	runtime.SetFinalizer(runner, (*LayerRunner).Close)
	return runner
}

// number is the handle without a pointer's type.
func (r *LayerRunner) number() C.uintptr_t {
	return C.uintptr_t(uintptr(unsafe.Pointer(r.handle)))
}

// Close frees the runner and returns nil. A call that uses it goes on to its
// end.
func (r *LayerRunner) Close() error {
	if r != nil && r.guard.close() {
		C.peft_layer_runner_free(r.handle)
		runtime.SetFinalizer(r, nil)
	}
	return nil
}

// Run writes what RunLayer computes to the program's own memory, which y
// describes: of the result's shape, F32, BF16 or F16. Rows of x and y may lie
// apart (strides), their elements may not; a convolution's are contiguous. x and
// y must not overlap. options may be nil; their Expert is not read. It cannot be
// cancelled.
func (r *LayerRunner) Run(layer LayerID, x, y View, options *RunLayerOptions) error {
	return r.run(layer, &x, &y, options, 0)
}

// AddDelta adds to y, which holds what the program itself computed from x with
// the layer's own weight and bias, what adapters add to it: as Run otherwise. It
// fails with ErrLayerNoDelta where what acts does more than add. It cannot be
// cancelled.
func (r *LayerRunner) AddDelta(layer LayerID, x, y View, options *RunLayerOptions) error {
	return r.run(layer, &x, &y, options, 1)
}

func (r *LayerRunner) run(layer LayerID, x, y *View, options *RunLayerOptions, addDelta C.int32_t) error {
	defer runtime.KeepAlive(r)
	defer runtime.KeepAlive(x.lender)
	if options == nil {
		options = &noRunLayerOptions
	}
	defer runtime.KeepAlive(options.Activations)
	if y.lender != nil {
		return argumentError("y is memory of the library, which must not be written to")
	}
	if err := y.check(); err != nil {
		return err
	}
	if err := x.check(); err != nil {
		return err
	}
	var a arena
	defer a.free()
	names, numNames := a.texts(options.AdapterNames)
	if a.err != nil {
		return a.err
	}
	if err := x.lend(); err != nil {
		return err
	}
	defer x.giveBack()
	activations := handles(options.Activations)
	xData, xDType, xRank, xSizes, xStrides := x.c()
	yData, yDType, yRank, ySizes, yStrides := y.c()
	status := C.peft_go_runner(r.number(), addDelta, C.int64_t(layer),
		xData, xDType, xRank, xSizes, xStrides, yData, yDType, yRank, ySizes, yStrides,
		names, numNames, pointer[*C.peft_activation_t](activations), C.size_t(len(activations)), options.Stream)
	return r.pool.explain(toError(status))
}

var noRunLayerOptions RunLayerOptions
