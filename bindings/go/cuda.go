package peft

// #include "peft_go.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// CUDAOptions say how layers run on a CUDA device.
type CUDAOptions struct {
	// CUDA's number of the device.
	DeviceIndex int32
	// Of x, y and weights: F32, F16 or BF16. Default 0: BF16.
	DType DType
	// Adapters are kept in it on the device: one of the same three. Default 0:
	// BF16.
	AdapterDType DType
	// Sums of cuBLASLt are never split, so that results depend on shapes alone.
	Deterministic bool
	// Adapters that act together, at most, and the largest sum of their ranks at
	// a layer. Default 0: 2 and 64.
	MaxAdapters, MaxRank int32
	// Different activations that rows of calls may name before one that was used
	// last must make room: up to 1024. Default 0: 8.
	MaxActivations int32
	// Bytes of device memory for adapters, at least enough for one. They stay
	// there until others need the room. Default 0: 256 MiB.
	AdapterBytes int64
	// Libraries to open in place of libcuda.so.1 and of the cuBLASLt that the
	// dynamic linker finds.
	DriverPath, CuBLASLtPath string
	// A file with the machine code of the kernels, for a library that was built
	// without. It is run: it must be one that you trust.
	KernelsPath string
}

func (o *CUDAOptions) c(a *arena) C.peft_cuda_options_t {
	var c C.peft_cuda_options_t
	C.peft_cuda_options_init(&c, C.sizeof_peft_cuda_options_t)
	if o == nil {
		return c
	}
	c.device_index = C.int32_t(o.DeviceIndex)
	c.deterministic = flag(o.Deterministic)
	orDefault(&c.dtype, C.int32_t(o.DType))
	orDefault(&c.adapter_dtype, C.int32_t(o.AdapterDType))
	orDefault(&c.max_adapters, C.int32_t(o.MaxAdapters))
	orDefault(&c.max_rank, C.int32_t(o.MaxRank))
	orDefault(&c.max_activations, C.int32_t(o.MaxActivations))
	orDefault(&c.adapter_bytes, C.int64_t(o.AdapterBytes))
	c.driver_path = a.text(o.DriverPath)
	c.cublaslt_path = a.text(o.CuBLASLtPath)
	c.kernels_path = a.text(o.KernelsPath)
	return c
}

// orDefault sets field, unless value is zero.
func orDefault[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

// A CUDAView describes elements in the memory of a CUDA device. It owns
// nothing, and nothing here can check it: a wrong one is undefined behavior of
// the call that takes it.
type CUDAView struct {
	// A CUdeviceptr.
	Address uintptr
	// CUDA's number of the device.
	DeviceIndex int32
	DType       DType
	// The number of elements along each axis.
	Sizes []int64
	// From one element to the next along each axis, counted in elements. Default
	// nil: contiguous, the last axis fastest.
	Strides []int64
}

func (v *CUDAView) check() error {
	if v.Strides != nil && len(v.Strides) != len(v.Sizes) {
		return argumentError("%d strides for %d sizes", len(v.Strides), len(v.Sizes))
	}
	return nil
}

func (v *CUDAView) c() (address C.uintptr_t, device, dtype, rank C.int32_t, sizes, strides *C.int64_t) {
	return C.uintptr_t(v.Address), C.int32_t(v.DeviceIndex), C.int32_t(v.DType), C.int32_t(len(v.Sizes)),
		pointer[C.int64_t](v.Sizes), pointer[C.int64_t](v.Strides)
}

// NewCUDALayerRunner returns a runner of the layers of the model on a CUDA
// device, with the device's primary context: its calls are RunOnCUDA and
// AddDeltaOnCUDA. Linear layers, Conv1D, MultiheadAttention's in_proj and
// parameters run. It fails with ErrCUDADriver or ErrCuBLASLt where the driver,
// cuBLASLt or code for the device is missing or too old. options may be nil.
func (m *Model) NewCUDALayerRunner(options *CUDAOptions) (*LayerRunner, error) {
	defer runtime.KeepAlive(m)
	var a arena
	defer a.free()
	cOptions := options.c(&a)
	if a.err != nil {
		return nil, a.err
	}
	var handle *C.peft_layer_runner_t
	if err := toError(C.peft_layer_runner_create_cuda(m.c(), &cOptions, &handle)); err != nil {
		return nil, err
	}
	return m.newLayerRunner(handle), nil
}

// RunOnCUDA is Run in the memory of the runner's CUDA device: it puts the work
// on the stream of the options and returns without waiting for it. x and y must
// be there until the work has ended, and must not overlap. Adapters are copied
// to the device when they first act there. A call on another stream than the
// last waits there for what was put on that.
//
// In a CUDA graph: run the same calls once before, uncaptured, or it fails with
// ErrCUDAGraph. A graph of calls that name no adapters runs what was active on
// the model when Update was last called. Calls share a workspace: launch graphs
// on the stream of the other calls, or put them in order. None may run when the
// runner is closed. More activations than the runner was made for are
// ErrCUDAActivations.
func (r *LayerRunner) RunOnCUDA(layer LayerID, x, y CUDAView, options *RunLayerOptions) error {
	return r.runOnCUDA(layer, &x, &y, options, 0)
}

// AddDeltaOnCUDA is AddDelta in the memory of the runner's CUDA device, as
// RunOnCUDA otherwise. It needs no weight.
func (r *LayerRunner) AddDeltaOnCUDA(layer LayerID, x, y CUDAView, options *RunLayerOptions) error {
	return r.runOnCUDA(layer, &x, &y, options, 1)
}

func (r *LayerRunner) runOnCUDA(layer LayerID, x, y *CUDAView, options *RunLayerOptions, addDelta C.int32_t) error {
	defer runtime.KeepAlive(r)
	if options == nil {
		options = &noRunLayerOptions
	}
	defer runtime.KeepAlive(options.Activations)
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
	activations := handles(options.Activations)
	xAddress, xDevice, xDType, xRank, xSizes, xStrides := x.c()
	yAddress, yDevice, yDType, yRank, ySizes, yStrides := y.c()
	return toError(C.peft_go_cuda_runner(r.number(), addDelta, C.int64_t(layer),
		xAddress, xDevice, xDType, xRank, xSizes, xStrides, yAddress, yDevice, yDType, yRank, ySizes, yStrides,
		names, numNames, pointer[*C.peft_activation_t](activations), C.size_t(len(activations)), options.Stream))
}

// SetWeight says where a layer has its weight on the runner's CUDA device: (out,
// in), or (in, out) for a Conv1D or a transposed parameter, of the options'
// DType, with any distance between rows. It must be the model's own, where that
// has one. It is not copied: its memory must not go before the runner was
// closed, which waits for its work. RunOnCUDA needs it.
func (r *LayerRunner) SetWeight(layer LayerID, weight CUDAView) error {
	defer runtime.KeepAlive(r)
	if err := weight.check(); err != nil {
		return err
	}
	address, device, dtype, rank, sizes, strides := weight.c()
	return toError(C.peft_go_set_weight(r.number(), C.int64_t(layer), address, device, dtype, rank, sizes, strides))
}

// Update makes what is active on the model now act in all work that is put on
// stream (a CUstream, or nil) afterwards, CUDA graphs that were captured before
// included. Calls that are not captured do this by themselves. It fails with
// ErrCUDAGraph, and nothing has changed, where a captured graph lacks a step
// that it would need.
func (r *LayerRunner) Update(stream unsafe.Pointer) error {
	defer runtime.KeepAlive(r)
	return toError(C.peft_layer_runner_update(r.handle, stream))
}
