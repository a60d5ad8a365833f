package peft

// #include "peft_go.h"
import "C"

import "runtime"

// An Activation is adapters with scales that act together on a row, in this
// order: a small value for a call of its own choice, whatever is active on the
// model. It keeps the generations that it was made with. It may be used by any
// goroutines at once.
type Activation struct {
	guard  guard
	handle *C.peft_activation_t
}

// NewActivation makes an activation of adapters with as many scales (nil: all
// 1); of none it is the base model.
func (m *Model) NewActivation(names []string, scales []float32) (*Activation, error) {
	defer runtime.KeepAlive(m)
	if err := checkScales(scales, names); err != nil {
		return nil, err
	}
	var a arena
	defer a.free()
	cNames, count := a.texts(names)
	if a.err != nil {
		return nil, a.err
	}
	activation := &Activation{}
	status := C.peft_activation_create(m.c(), cNames, pointer[C.float](scales), count, &activation.handle)
	if err := toError(status); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(activation, (*Activation).Close)
	return activation, nil
}

// Close frees the activation and returns nil. A call that uses it goes on to
// its end.
func (a *Activation) Close() error {
	if a != nil && a.guard.close() {
		C.peft_activation_free(a.handle)
		runtime.SetFinalizer(a, nil)
	}
	return nil
}

// Rows says under what each row of a batch runs, whatever is active. While
// adapters are disabled all rows run the base model, as in Python.
type Rows struct {
	// One name for each row, BaseModel for the base model. Default: what is
	// active.
	AdapterNames []string
	// The same with activations of the session's model: one for all rows or one
	// for each; nil among them is the base model. Not together with
	// AdapterNames.
	Activations []*Activation
}

// BaseModel stands for the base model among the names of adapters for rows.
const BaseModel = "__base__"

// handles returns the handles of activations; they are no pointers to Go.
func handles(activations []*Activation) []*C.peft_activation_t {
	if len(activations) == 0 {
		return nil
	}
	result := make([]*C.peft_activation_t, len(activations))
	for i, activation := range activations {
		if activation != nil {
			result[i] = activation.handle
		}
	}
	return result
}
