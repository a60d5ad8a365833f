package peft_test

import (
	"errors"
	"math"
	"testing"
	"unsafe"

	"peft"
)

func newDict(t testing.TB) *peft.StateDict {
	t.Helper()
	dict := must[*peft.StateDict](t)(peft.NewStateDict())
	t.Cleanup(func() { dict.Close() })
	return dict
}

func roundTrip(t testing.TB, view peft.View) *peft.Tensor {
	t.Helper()
	dict := newDict(t)
	check(t, dict.Set("x", view))
	tensor := must[*peft.Tensor](t)(dict.Get("x"))
	t.Cleanup(func() { tensor.Close() })
	return tensor
}

func TestStateDictGoesThroughAFile(t *testing.T) {
	dict := newDict(t)
	check(t, dict.Set("b", peft.ViewOf([]float32{1, 2, 3, 4, 5, 6}, 2, 3)))
	check(t, dict.Set("a", peft.ViewOf([]int64{7})))
	path := tempPath(t, "x.safetensors")
	check(t, dict.Write(path))
	read := must[*peft.StateDict](t)(peft.ReadStateDict(path))
	defer read.Close()
	equalSlices(t, read.Names(), []string{"a", "b"})
	equal(t, read.Len(), 2)
	b := must[*peft.Tensor](t)(read.Get("b"))
	defer b.Close()
	equalSlices(t, b.Sizes(), []int64{2, 3})
	equalSlices(t, must[[]float32](t)(b.Float32s()), []float32{1, 2, 3, 4, 5, 6})
	_, err := read.Get("c")
	equal(t, errors.Is(err, peft.ErrTensorMissing), true)
	_, err = peft.ReadStateDict(path + "x")
	equal(t, errors.Is(err, peft.ErrFileNotFound), true)
}

func TestTensorOutlivesItsStateDict(t *testing.T) {
	dict := newDict(t)
	check(t, dict.Set("x", peft.ViewOf([]float32{1, 2})))
	tensor := must[*peft.Tensor](t)(dict.Get("x"))
	defer tensor.Close()
	check(t, dict.Set("x", peft.ViewOf([]float32{3, 4})))
	dict.Close()
	equalSlices(t, must[[]float32](t)(tensor.Float32s()), []float32{1, 2})
}

func TestElementTypesGoThere(t *testing.T) {
	for wanted, view := range map[peft.DType]peft.View{
		peft.DTypeBool: peft.ViewOf([]bool{true}),
		peft.DTypeU8:   peft.ViewOf([]uint8{1}),
		peft.DTypeI8:   peft.ViewOf([]int8{1}),
		peft.DTypeU16:  peft.ViewOf([]uint16{1}),
		peft.DTypeI16:  peft.ViewOf([]int16{1}),
		peft.DTypeU32:  peft.ViewOf([]uint32{1}),
		peft.DTypeI32:  peft.ViewOf([]int32{1}),
		peft.DTypeU64:  peft.ViewOf([]uint64{1}),
		peft.DTypeI64:  peft.ViewOf([]int64{1}),
		peft.DTypeF32:  peft.ViewOf([]float32{1}),
		peft.DTypeF64:  peft.ViewOf([]float64{1}),
		peft.DTypeC64:  peft.ViewOf([]complex64{1}),
	} {
		tensor := roundTrip(t, view)
		equal(t, tensor.DType(), wanted)
		equalSlices(t, must[[]byte](t)(tensor.View().Bytes()), must[[]byte](t)(view.Bytes()))
	}
}

func TestFloat32sConverts(t *testing.T) {
	halves := []byte{0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x7c, 0xff, 0x03, 0x00, 0x80}
	f16 := roundTrip(t, peft.ViewOfBytes(halves, peft.DTypeF16, 6))
	equalSlices(t, must[[]float32](t)(f16.Float32s()), []float32{
		1, -2, 1.0 / (1 << 24), float32(math.Inf(1)), 1023.0 / (1 << 24), 0})
	bf16 := peft.ViewOfBytes([]byte{0x80, 0x3f, 0x40, 0xc0}, peft.DTypeBF16, 2)
	equalSlices(t, must[[]float32](t)(bf16.Float32s()), []float32{1, -3})
	f64 := peft.ViewOf([]float64{1.5})
	equalSlices(t, must[[]float32](t)(f64.Float32s()), []float32{1.5})
	_, err := peft.ViewOf([]int64{1}).Float32s()
	equal(t, errors.Is(err, peft.ErrTensorDType), true)
	_, err = peft.ViewOf([]float32{1, 2}).CopyFloat32s(make([]float32, 1))
	equal(t, errors.Is(err, peft.ErrArgument), true)
}

func TestStridesAreFollowed(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	transposed := peft.ViewOf(data, 3, 2).WithStrides(1, 3)
	wanted := []float32{1, 4, 2, 5, 3, 6}
	equalSlices(t, must[[]float32](t)(transposed.Float32s()), wanted)
	tensor := roundTrip(t, transposed)
	equalSlices(t, must[[]float32](t)(tensor.Float32s()), wanted)
	_, err := transposed.Bytes()
	equal(t, errors.Is(err, peft.ErrArgument), true)
	equalSlices(t, transposed.Strides(), []int64{1, 3})
}

func TestViewsThatReachTooFarAreRefused(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	dict := newDict(t)
	for i, view := range []peft.View{
		peft.ViewOf(data, 7),
		peft.ViewOf(data, 2, 2),
		peft.ViewOf(data, -1, -6),
		peft.ViewOf(data, math.MaxInt64, math.MaxInt64),
		peft.ViewOf(data, 2, 3).WithStrides(4, 1),
		peft.ViewOf(data, 2, 3).WithStrides(-3, 1),
		peft.ViewOf(data, 2, 3).WithStrides(1),
		peft.ViewOf(data, 3, 2).WithStrides(math.MaxInt64, 1),
		peft.ViewOf(data, 3, 3).WithStrides(1<<62, -(1 << 62)),
		peft.ViewOfBytes([]byte{1, 2, 3}, peft.DTypeF16, 2),
		peft.ViewAt(nil, peft.DTypeF32, 2),
		peft.ViewAt(unsafe.Pointer(&data[0]), peft.DTypeF32, -1),
		{},
	} {
		if err := dict.Set("x", view); !errors.Is(err, peft.InvalidArgument) {
			t.Errorf("%d: %v", i, err)
		}
		if _, err := view.Float32s(); err == nil {
			t.Errorf("%d: its elements are read", i)
		}
	}
	equal(t, dict.Len(), 0)
}

// The elements lie in a struct with Go pointers, which cgo must not look at.
func TestElementsBesidePointersMayBePassed(t *testing.T) {
	var mixed struct {
		pointer *int
		data    [2]float32
	}
	mixed.pointer = new(int)
	mixed.data = [2]float32{1, 2}
	tensor := roundTrip(t, peft.ViewOf(mixed.data[:]))
	equalSlices(t, must[[]float32](t)(tensor.Float32s()), []float32{1, 2})
}

func TestViewAtDescribesMemoryOfOthers(t *testing.T) {
	tensor := roundTrip(t, peft.ViewOf([]float32{1, 2}))
	borrowed := must[[]byte](t)(tensor.View().Borrow())
	again := roundTrip(t, peft.ViewAt(unsafe.Pointer(&borrowed[0]), peft.DTypeF32, 2))
	equalSlices(t, must[[]float32](t)(again.Float32s()), []float32{1, 2})
}

func TestEmptyAndScalarTensors(t *testing.T) {
	empty := roundTrip(t, peft.ViewOf([]float32{}, 0, 3))
	equal(t, len(must[[]float32](t)(empty.Float32s())), 0)
	scalar := roundTrip(t, peft.ViewAt(unsafe.Pointer(&[]float32{5}[0]), peft.DTypeF32))
	equalSlices(t, must[[]float32](t)(scalar.Float32s()), []float32{5})
	device, index := scalar.View().Device()
	equal(t, device, peft.DeviceCPU)
	equal(t, index, 0)
}

// The struct of DLPack: data, device (type, id), ndim, dtype (code, bits,
// lanes), shape, strides, offset; then context and deleter.
func TestDLPackDescribesTheTensor(t *testing.T) {
	tensor := roundTrip(t, peft.ViewOf([]float32{1, 2, 3, 4, 5, 6}, 2, 3))
	managed := must[unsafe.Pointer](t)(tensor.DLPack())
	tensor.Close()
	head := (*struct {
		data               *[6]float32
		deviceType, device int32
		ndim               int32
		code, bits         uint8
		lanes              uint16
		shape              *[2]int64
	})(managed)
	equal(t, *head.data, [6]float32{1, 2, 3, 4, 5, 6})
	equal(t, head.ndim, 2)
	equal(t, head.bits, 32)
	equal(t, *head.shape, [2]int64{2, 3})
}

func TestTensorsOfATorchFile(t *testing.T) {
	dict := must[*peft.StateDict](t)(peft.ReadStateDict(quickRoman + "/adapter_model.bin"))
	defer dict.Close()
	equal(t, dict.Len() > 0, true)
}
