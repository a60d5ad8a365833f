// Package counting has an allocator in C, for a test.
package counting

// #include <stdatomic.h>
// #include <stddef.h>
// #include <stdlib.h>
//
// static atomic_long bytes, total;
//
// static void* Allocate(void* user_data, size_t size, size_t alignment) {
//   void* data = NULL;
//   (void)user_data;
//   if (alignment < sizeof(void*)) alignment = sizeof(void*);
//   if (posix_memalign(&data, alignment, size ? size : 1)) return NULL;
//   atomic_fetch_add(&bytes, (long)size);
//   atomic_fetch_add(&total, (long)size);
//   return data;
// }
//
// static void Deallocate(void* user_data, void* data, size_t size,
//                        size_t alignment) {
//   (void)user_data;
//   (void)alignment;
//   atomic_fetch_sub(&bytes, (long)size);
//   free(data);
// }
//
// static void* AllocateFunction(void) { return (void*)Allocate; }
// static void* DeallocateFunction(void) { return (void*)Deallocate; }
// static long Bytes(void) { return atomic_load(&bytes); }
// static long Total(void) { return atomic_load(&total); }
import "C"

import "unsafe"

// Functions returns the allocator's.
func Functions() (allocate, deallocate unsafe.Pointer) {
	return C.AllocateFunction(), C.DeallocateFunction()
}

// Bytes returns how many are allocated, and how many ever were.
func Bytes() (now, ever int64) {
	return int64(C.Bytes()), int64(C.Total())
}
