package peft

// #include "peft_go.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// A Tensor keeps its memory, whatever else is closed. It does not change.
type Tensor struct {
	guard  guard
	handle *C.peft_tensor_t
	view   View
}

// newTensor owns handle, which view describes.
func newTensor(handle *C.peft_tensor_t, view *C.peft_tensor_view_t) *Tensor {
	tensor := &Tensor{handle: handle}
	runtime.SetFinalizer(tensor, (*Tensor).Close)
	tensor.view.borrow(view)
	return tensor
}

// View describes the tensor, until it is closed.
func (t *Tensor) View() View {
	view := t.view
	view.lender = &t.guard
	return view
}

// DType returns the element type.
func (t *Tensor) DType() DType {
	return t.view.dtype
}

// Sizes returns the number of elements along each axis.
func (t *Tensor) Sizes() []int64 {
	return t.view.Sizes()
}

// Float32s returns a copy of the elements, which are F32, F16, BF16 or F64.
func (t *Tensor) Float32s() ([]float32, error) {
	return t.View().Float32s()
}

// DLPack returns a DLManagedTensor*, as dlpack.h defines it, for another
// library in C. It keeps the memory alive by itself; the consumer ends it with
// its deleter, on any thread. Its memory must not be written to.
func (t *Tensor) DLPack() (unsafe.Pointer, error) {
	defer runtime.KeepAlive(t)
	var managed *C.struct_DLManagedTensor
	if err := toError(C.peft_tensor_to_dlpack(t.handle, &managed)); err != nil {
		return nil, err
	}
	return unsafe.Pointer(managed), nil
}

// Close frees the tensor and returns nil.
func (t *Tensor) Close() error {
	if t != nil && t.guard.close() {
		C.peft_tensor_free(t.handle)
		runtime.SetFinalizer(t, nil)
	}
	return nil
}

// borrow describes the library's memory; the lender is the caller's to set. The
// slices of v are used again.
func (v *View) borrow(view *C.peft_tensor_view_t) {
	v.data, v.dtype = view.data, DType(view.dtype)
	v.sizes = appendInt64s(v.sizes[:0], view.sizes, view.rank)
	if view.strides == nil {
		v.strides = nil
	} else {
		v.strides = appendInt64s(v.strides[:0], view.strides, view.rank)
	}
}

func appendInt64s(to []int64, from *C.int64_t, count C.int32_t) []int64 {
	for _, value := range unsafe.Slice(from, int(count)) {
		to = append(to, int64(value))
	}
	return to
}

// The arguments for a view that functions of peft_go.h take.
func (v View) c() (data *C.char, dtype, rank C.int32_t, sizes, strides *C.int64_t) {
	return (*C.char)(v.data), C.int32_t(v.dtype), C.int32_t(len(v.sizes)),
		pointer[C.int64_t](v.sizes), pointer[C.int64_t](v.strides)
}
