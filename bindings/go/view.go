package peft

// #include "peft_go.h"
import "C"

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// A View describes elements in memory. It owns nothing. Those that the package
// returns describe memory of the library, as long as their method says; later
// their elements are an error, not a crash. The program makes others with
// ViewOf, ViewOfBytes and ViewAt.
type View struct {
	data    unsafe.Pointer
	dtype   DType
	sizes   []int64
	strides []int64 // in elements; nil: contiguous, the last axis fastest

	count   int64 // the elements that are there; foreign: not known
	foreign bool  // not Go's memory
	// Of what lends the memory: it points into that object, and so keeps it from
	// its finalizer.
	lender *guard
	loan   uint64
}

// An Element is a Go type that a tensor may have.
type Element interface {
	bool | uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 |
		float32 | float64 | complex64
}

func dtypeOf[T Element]() DType {
	var element T
	switch any(element).(type) {
	case bool:
		return DTypeBool
	case uint8:
		return DTypeU8
	case int8:
		return DTypeI8
	case uint16:
		return DTypeU16
	case int16:
		return DTypeI16
	case uint32:
		return DTypeU32
	case int32:
		return DTypeI32
	case uint64:
		return DTypeU64
	case int64:
		return DTypeI64
	case float32:
		return DTypeF32
	case float64:
		return DTypeF64
	default:
		return DTypeC64
	}
}

// ViewOf describes data, contiguous with these sizes; no sizes are those of a
// vector. The call that takes the view borrows data.
func ViewOf[T Element](data []T, sizes ...int64) View {
	if len(sizes) == 0 {
		sizes = []int64{int64(len(data))}
	}
	view := View{dtype: dtypeOf[T](), sizes: sizes, count: int64(len(data))}
	if len(data) > 0 {
		view.data = unsafe.Pointer(&data[0])
	}
	return view
}

// ViewOfBytes describes elements of any type by their bytes, as F16's and
// BF16's, which Go has no types for.
func ViewOfBytes(data []byte, dtype DType, sizes ...int64) View {
	view := View{dtype: dtype, sizes: sizes}
	if bits := int64(dtype.bits()); bits > 0 {
		view.count = int64(len(data)) * 8 / bits
	}
	if len(data) > 0 {
		view.data = unsafe.Pointer(&data[0])
	}
	return view
}

// ViewAt describes memory that is not Go's, such as C's or a mapped file's. It
// must be there, with all that sizes say, as long as the view is in use.
func ViewAt(data unsafe.Pointer, dtype DType, sizes ...int64) View {
	return View{data: data, dtype: dtype, sizes: sizes, foreign: true}
}

// WithStrides returns the view with other strides: from one element to the next
// along each axis, counted in elements.
func (v View) WithStrides(strides ...int64) View {
	v.strides = strides
	return v
}

// DType returns the element type; 0 of an empty View.
func (v View) DType() DType {
	return v.dtype
}

// Sizes returns the number of elements along each axis.
func (v View) Sizes() []int64 {
	return append([]int64(nil), v.sizes...)
}

// Strides returns the steps along each axis, counted in elements; nil where
// the elements are contiguous, the last axis fastest.
func (v View) Strides() []int64 {
	return append([]int64(nil), v.strides...)
}

// Device returns where the memory is, and which of these devices it is.
func (v View) Device() (DeviceType, int) {
	return DeviceCPU, 0
}

// Len returns the number of elements.
func (v View) Len() int {
	count := int64(1)
	for _, size := range v.sizes {
		count *= size
	}
	return int(count)
}

// Float32s returns a copy of the elements, which are F32, F16, BF16 or F64, in
// the order of their indices.
func (v View) Float32s() ([]float32, error) {
	if err := v.readable(); err != nil {
		return nil, err
	}
	result := make([]float32, v.Len())
	if _, err := v.CopyFloat32s(result); err != nil {
		return nil, err
	}
	return result, nil
}

// CopyFloat32s is Float32s into the program's memory, which must have room for
// Len elements. It returns their number.
func (v View) CopyFloat32s(into []float32) (int, error) {
	if err := v.readable(); err != nil {
		return 0, err
	}
	count := v.Len()
	if len(into) < count {
		return 0, argumentError("room for %d elements, expected %d", len(into), count)
	}
	toFloat32 := float32Readers[v.dtype]
	if toFloat32 == nil {
		return 0, &Error{
			Code:     InvalidArgument,
			ID:       ErrTensorDType,
			Message:  "elements of type " + v.dtype.String() + " are no numbers for float32; use Bytes",
			Expected: "F32, F16, BF16 or F64",
			Found:    v.dtype.String(),
		}
	}
	if err := v.lend(); err != nil {
		return 0, err
	}
	defer v.giveBack()
	if v.dtype == DTypeF32 && v.strides == nil && aligned(v.data, 4) {
		copy(into, unsafe.Slice((*float32)(v.data), count))
		return count, nil
	}
	width := uintptr(v.dtype.bits() / 8)
	v.eachOffset(func(i int, offset int64) {
		into[i] = toFloat32(unsafe.Slice((*byte)(unsafe.Add(v.data, offset*int64(width))), width))
	})
	return count, nil
}

// Bytes returns a copy of the bytes of the elements, which must be contiguous.
func (v View) Bytes() ([]byte, error) {
	borrowed, err := v.Borrow()
	if err != nil {
		return nil, err
	}
	if err := v.lend(); err != nil {
		return nil, err
	}
	defer v.giveBack()
	return append([]byte{}, borrowed...), nil
}

// Borrow returns the bytes of the elements, which must be contiguous, where
// they are: nothing is copied. They must not be written to, and not be used
// when the view has ended, which nothing checks; use runtime.KeepAlive with
// what the view is of. Prefer the methods that copy.
func (v View) Borrow() ([]byte, error) {
	if err := v.readable(); err != nil {
		return nil, err
	}
	if v.strides != nil {
		return nil, argumentError("the elements are not contiguous; use Float32s")
	}
	if err := v.lend(); err != nil {
		return nil, err
	}
	defer v.giveBack()
	size := (v.Len()*v.dtype.bits() + 7) / 8
	if size == 0 {
		return nil, nil
	}
	return unsafe.Slice((*byte)(v.data), size), nil
}

// span returns the bytes that the view may reach, of memory that is not foreign.
func (v View) span() ([]byte, error) {
	if v.lender != nil {
		return v.Bytes()
	}
	size := (v.count*int64(v.dtype.bits()) + 7) / 8
	if size == 0 {
		return nil, nil
	}
	return unsafe.Slice((*byte)(v.data), size), nil
}

// lend keeps what the view is of until giveBack.
func (v View) lend() error {
	if v.lender != nil && !v.lender.read(v.loan) {
		return closedError("what the view is of")
	}
	return nil
}

func (v View) giveBack() {
	if v.lender != nil {
		v.lender.done()
	}
}

// eachOffset calls with the index of each element and where it is.
func (v View) eachOffset(visit func(i int, offset int64)) {
	strides := v.strides
	if strides == nil {
		strides = make([]int64, len(v.sizes))
		step := int64(1)
		for axis := len(v.sizes) - 1; axis >= 0; axis-- {
			strides[axis] = step
			step *= v.sizes[axis]
		}
	}
	at := make([]int64, len(v.sizes))
	offset := int64(0)
	for i := 0; i < v.Len(); i++ {
		visit(i, offset)
		for axis := len(at) - 1; axis >= 0; axis-- {
			at[axis]++
			offset += strides[axis]
			if at[axis] < v.sizes[axis] {
				break
			}
			offset -= at[axis] * strides[axis]
			at[axis] = 0
		}
	}
}

// readable fails where the elements cannot be read.
func (v View) readable() error {
	if err := v.check(); err != nil {
		return err
	}
	if v.data == nil && v.Len() > 0 {
		return argumentError("the view is of no memory")
	}
	return nil
}

// check fails where sizes and strides do not fit the memory that Go knows of.
// What else is wrong the library says.
func (v View) check() error {
	if v.strides != nil && len(v.strides) != len(v.sizes) {
		return argumentError("%d strides for %d sizes", len(v.strides), len(v.sizes))
	}
	count, first, last := int64(1), int64(0), int64(0)
	for axis, size := range v.sizes {
		if size < 0 {
			return argumentError("a size of %d; sizes are not negative", size)
		}
		if size > 0 && count > math.MaxInt64/size {
			return argumentError("sizes %v, whose product is too large", v.sizes)
		}
		count *= size
		if v.strides != nil && size > 0 {
			reach := (size - 1) * v.strides[axis]
			if size > 1 && reach/(size-1) != v.strides[axis] {
				return argumentError("strides %v, which are too large", v.strides)
			}
			if reach < 0 {
				first += reach
			} else {
				last += reach
			}
		}
	}
	if v.foreign || v.lender != nil {
		return nil
	}
	if v.strides == nil && count != v.count {
		return argumentError("%d elements for sizes %v", v.count, v.sizes)
	}
	if v.strides != nil && count > 0 && (first < 0 || last < 0 || last >= v.count) {
		return argumentError("sizes %v with strides %v reach beyond %d elements", v.sizes, v.strides, v.count)
	}
	return nil
}

func aligned(data unsafe.Pointer, to uintptr) bool {
	return uintptr(data)%to == 0
}

// bits returns the size of an element; 0 of what is no type.
func (d DType) bits() int {
	switch d {
	case DTypeF4:
		return 4
	case DTypeF6E2M3, DTypeF6E3M2:
		return 6
	case DTypeBool, DTypeU8, DTypeI8, DTypeF8E4M3, DTypeF8E5M2, DTypeF8E8M0, DTypeF8E4M3FNUZ, DTypeF8E5M2FNUZ:
		return 8
	case DTypeU16, DTypeI16, DTypeF16, DTypeBF16:
		return 16
	case DTypeU32, DTypeI32, DTypeF32:
		return 32
	case DTypeU64, DTypeI64, DTypeF64, DTypeC64:
		return 64
	}
	return 0
}

var float32Readers = map[DType]func([]byte) float32{
	DTypeF32: func(b []byte) float32 {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	},
	DTypeF64: func(b []byte) float32 {
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	},
	DTypeBF16: func(b []byte) float32 {
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
	},
	DTypeF16: func(b []byte) float32 {
		return halfToFloat(binary.LittleEndian.Uint16(b))
	},
}

// halfToFloat converts IEEE 754's binary16.
func halfToFloat(half uint16) float32 {
	sign := uint32(half&0x8000) << 16
	exponent, fraction := half>>10&0x1f, uint32(half&0x3ff)
	switch exponent {
	case 0: // zero and subnormal numbers, which are fraction * 2^-24
		value := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(value) | sign)
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (uint32(exponent)+127-15)<<23 | fraction<<13)
}
