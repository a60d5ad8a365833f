package peft

// #include "peft_go.h"
import "C"

import "runtime"

// A StateDict is tensors by name, in name order. It may be shared by
// goroutines.
type StateDict struct {
	guard  guard // Its lock is held by all calls: the library takes one at a time.
	handle *C.peft_state_dict_t
}

func newStateDict(handle *C.peft_state_dict_t) *StateDict {
	dict := &StateDict{handle: handle}
	runtime.SetFinalizer(dict, (*StateDict).Close)
	return dict
}

// c is the handle; that of nil is NULL, which the library refuses.
func (d *StateDict) c() *C.peft_state_dict_t {
	if d == nil {
		return nil
	}
	return d.handle
}

// NewStateDict returns an empty state dict.
func NewStateDict() (*StateDict, error) {
	var handle *C.peft_state_dict_t
	if err := toError(C.peft_state_dict_create(&handle)); err != nil {
		return nil, err
	}
	return newStateDict(handle), nil
}

// ReadStateDict reads the tensors of a safetensors file or of a torch.save file
// (.bin, .pt), told apart by their contents. It cannot be cancelled.
func ReadStateDict(path string) (*StateDict, error) {
	var a arena
	cPath := a.arg(path)
	if a.err != nil {
		return nil, a.err
	}
	var handle *C.peft_state_dict_t
	if err := toError(C.peft_state_dict_read(cPath, &handle)); err != nil {
		return nil, err
	}
	return newStateDict(handle), nil
}

// Write writes a safetensors file through a temporary file and a rename: after
// a failure what was at path is unchanged.
func (d *StateDict) Write(path string) error {
	defer runtime.KeepAlive(d)
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	var a arena
	cPath := a.arg(path)
	if a.err != nil {
		return a.err
	}
	return toError(C.peft_state_dict_write(d.handle, cPath))
}

// Set adds a copy of the elements of view under name, replacing what was there.
func (d *StateDict) Set(name string, view View) error {
	defer runtime.KeepAlive(d)
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	var a arena
	cName := a.arg(name)
	if a.err != nil {
		return a.err
	}
	if err := view.check(); err != nil {
		return err
	}
	if err := view.lend(); err != nil {
		return err
	}
	defer view.giveBack()
	defer runtime.KeepAlive(view.lender)
	data, dtype, rank, sizes, strides := view.c()
	return toError(C.peft_go_state_dict_set(d.handle, cName, data, dtype, rank, sizes, strides))
}

// Len returns the number of tensors; 0 when the state dict is closed.
func (d *StateDict) Len() int {
	defer runtime.KeepAlive(d)
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	return int(C.peft_state_dict_size(d.handle))
}

// Names returns the names of the tensors, in order.
func (d *StateDict) Names() []string {
	defer runtime.KeepAlive(d)
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	names := make([]string, C.peft_state_dict_size(d.handle))
	for i := range names {
		names[i] = C.GoString(C.peft_state_dict_name(d.handle, C.size_t(i)))
	}
	return names
}

// Get returns the tensor name. It outlives the state dict.
func (d *StateDict) Get(name string) (*Tensor, error) {
	defer runtime.KeepAlive(d)
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	var a arena
	cName := a.arg(name)
	if a.err != nil {
		return nil, a.err
	}
	var handle *C.peft_tensor_t
	if err := toError(C.peft_state_dict_get(d.handle, cName, &handle)); err != nil {
		return nil, err
	}
	var view C.peft_tensor_view_t
	if err := toError(C.peft_go_tensor_get_view(handle, &view)); err != nil {
		C.peft_tensor_free(handle)
		return nil, err
	}
	return newTensor(handle, &view), nil
}

// Close frees the state dict and returns nil. Tensors of it stay.
func (d *StateDict) Close() error {
	if d != nil && d.guard.close() {
		C.peft_state_dict_free(d.handle)
		runtime.SetFinalizer(d, nil)
	}
	return nil
}
