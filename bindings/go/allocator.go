package peft

// #include "peft_go.h"
import "C"

import "unsafe"

// An Allocator is where the library's memory comes from: functions of C, since
// Go's memory must not be kept there.
type Allocator struct {
	// Handed to both functions: memory of C that is there to the end of the
	// process, or nil.
	UserData unsafe.Pointer
	// A peft_allocate_fn and a peft_deallocate_fn.
	Allocate, Deallocate unsafe.Pointer
}

// SetAllocator takes all memory of the library from these functions, to the end
// of the process. It must be the first call of the package, and be made once:
// else it fails with ErrAllocator.
func SetAllocator(allocator Allocator) error {
	var a arena
	defer a.free()
	cAllocator := (*C.peft_allocator_t)(a.alloc(C.sizeof_peft_allocator_t))
	C.peft_allocator_init(cAllocator, C.sizeof_peft_allocator_t)
	cAllocator.user_data = allocator.UserData
	cAllocator.allocate = C.peft_allocate_fn(allocator.Allocate)
	cAllocator.deallocate = C.peft_deallocate_fn(allocator.Deallocate)
	return toError(C.peft_set_allocator(cAllocator))
}
