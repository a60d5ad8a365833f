package peft

// #include "peft_go.h"
import "C"

import (
	"runtime/cgo"
	"strings"
	"unsafe"
)

// An arena holds what one call hands to C: memory of C for arrays and texts
// that lie behind pointers in structs, and handles for callbacks. Its err is
// the first text that C cannot have; look at it before the call.
type arena struct {
	blocks  []unsafe.Pointer
	handles []cgo.Handle
	err     error
}

func (a *arena) free() {
	for _, block := range a.blocks {
		C.free(block)
	}
	for _, handle := range a.handles {
		handle.Delete()
	}
}

// alloc returns memory of C that was not written yet.
func (a *arena) alloc(size uintptr) unsafe.Pointer {
	if size == 0 {
		size = 1
	}
	block := C.malloc(C.size_t(size)) // cgo's malloc never returns nil.
	a.blocks = append(a.blocks, block)
	return block
}

// allocate returns memory of C for count values that were not written yet.
func allocate[T any](a *arena, count int) []T {
	var value T
	if count == 0 {
		return nil
	}
	return unsafe.Slice((*T)(a.alloc(unsafe.Sizeof(value)*uintptr(count))), count)
}

// copied returns a copy of values in memory of C; nil of none.
func copied[T any](a *arena, values []T) *T {
	if len(values) == 0 {
		return nil
	}
	block := allocate[T](a, len(values))
	copy(block, values)
	return &block[0]
}

// check keeps the error of a text that C would take for a shorter one.
func (a *arena) check(text string) {
	if a.err == nil && strings.IndexByte(text, 0) >= 0 {
		a.err = argumentError("a text has a NUL inside; leave it out")
	}
}

// arg returns text for an argument of C: it lies in Go's memory.
func (a *arena) arg(text string) *C.char {
	a.check(text)
	bytes := make([]byte, len(text)+1)
	copy(bytes, text)
	return (*C.char)(unsafe.Pointer(&bytes[0]))
}

// optionalArg is arg, but NULL for "".
func (a *arena) optionalArg(text string) *C.char {
	if text == "" {
		return nil
	}
	return a.arg(text)
}

// text returns text for a field of a struct, NULL for "".
func (a *arena) text(text string) *C.char {
	if text == "" {
		return nil
	}
	a.check(text)
	bytes := allocate[byte](a, len(text)+1)
	copy(bytes, text)
	bytes[len(text)] = 0
	return (*C.char)(unsafe.Pointer(&bytes[0]))
}

// texts returns an array of texts, in one block of memory of C.
func (a *arena) texts(texts []string) (**C.char, C.size_t) {
	if len(texts) == 0 {
		return nil, 0
	}
	size := 0
	for _, text := range texts {
		a.check(text)
		size += len(text) + 1
	}
	const width = unsafe.Sizeof(uintptr(0))
	block := a.alloc(width*uintptr(len(texts)) + uintptr(size))
	array := unsafe.Slice((**C.char)(block), len(texts))
	bytes := unsafe.Slice((*byte)(unsafe.Add(block, width*uintptr(len(texts)))), size)
	for i, text := range texts {
		array[i] = (*C.char)(unsafe.Pointer(&bytes[0]))
		copy(bytes, text)
		bytes[len(text)] = 0
		bytes = bytes[len(text)+1:]
	}
	return &array[0], C.size_t(len(texts))
}

// userData returns what a callback finds value with.
func (a *arena) userData(value any) unsafe.Pointer {
	handle := cgo.NewHandle(value)
	a.handles = append(a.handles, handle)
	return unsafe.Pointer(copied(a, []cgo.Handle{handle}))
}

// fromUserData is the inverse of userData.
func fromUserData[T any](userData unsafe.Pointer) T {
	return (*(*cgo.Handle)(userData)).Value().(T)
}

// pointer returns the address of the first of values for an argument of C; nil
// of none.
func pointer[To, From any](values []From) *To {
	if len(values) == 0 {
		return nil
	}
	return (*To)(unsafe.Pointer(&values[0]))
}

func flag(value bool) C.int32_t {
	if value {
		return 1
	}
	return 0
}

// Ptr returns a pointer to value, for fields of options whose zero is a value:
//
//	options := peft.GenerateOptions{DoSample: true, TopK: peft.Ptr[int64](0)}
func Ptr[T any](value T) *T {
	return &value
}
