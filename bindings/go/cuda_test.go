package peft_test

import (
	"errors"
	"testing"
	"unsafe"

	"peft"
)

// onDevice describes elements that nothing reads.
func onDevice(sizes ...int64) peft.CUDAView {
	return peft.CUDAView{Address: 4096, DType: peft.DTypeF32, Sizes: sizes}
}

func TestRunnerOnCUDANeedsADriver(t *testing.T) {
	_, err := perceptron(t).NewCUDALayerRunner(&peft.CUDAOptions{DriverPath: "/no/driver"})
	equal(t, errors.Is(err, peft.ErrCUDADriver), true)
}

func TestCUDAOptionsAreCheckedBeforeTheDriverIsOpened(t *testing.T) {
	model := perceptron(t)
	for _, options := range []peft.CUDAOptions{
		{DType: peft.DTypeI32},
		{AdapterDType: peft.DTypeF64},
		{MaxAdapters: -1},
		{MaxRank: -1},
		{MaxActivations: 1025},
		{AdapterBytes: -1},
		{DriverPath: "a\x00b"},
		{CuBLASLtPath: "a\x00b"},
		{KernelsPath: "a\x00b"},
	} {
		_, err := model.NewCUDALayerRunner(&options)
		equal(t, errors.Is(err, peft.ErrArgument), true)
	}
}

func TestRunnerOnTheCPURefusesWhatIsOfCUDA(t *testing.T) {
	model := perceptron(t)
	runner, layer := layerOf(t, model, "first")
	x, y, weight := onDevice(1, 4), onDevice(1, 3), onDevice(3, 4)
	for _, err := range []error{
		runner.RunOnCUDA(layer, x, y, nil),
		runner.AddDeltaOnCUDA(layer, x, y, nil),
		runner.SetWeight(layer, weight),
		runner.Update(nil),
	} {
		equal(t, errors.Is(err, peft.ErrArgument), true)
	}
}

func TestLayersOnTheCPUHaveNoStreams(t *testing.T) {
	model := perceptron(t)
	runner, layer := layerOf(t, model, "first")
	x, y := peft.ViewOf(weights(4), 1, 4), make([]float32, 3)
	options := &peft.RunLayerOptions{Stream: unsafe.Pointer(new(int64))}
	err := runner.Run(layer, x, peft.ViewOf(y, 1, 3), options)
	equal(t, errors.Is(err, peft.ErrArgument), true)
	equalSlices(t, y, make([]float32, 3))
	_, err = model.RunLayer("first", x, options)
	equal(t, errors.Is(err, peft.ErrArgument), true)
}

func TestCUDAViewHasAStrideForEachSize(t *testing.T) {
	model := perceptron(t)
	runner, layer := layerOf(t, model, "first")
	good, bad := onDevice(1, 4), onDevice(1, 4)
	bad.Strides = []int64{4}
	for _, err := range []error{
		runner.RunOnCUDA(layer, bad, good, nil),
		runner.RunOnCUDA(layer, good, bad, nil),
		runner.SetWeight(layer, bad),
	} {
		equal(t, err.Error(), "peft: 1 strides for 2 sizes")
	}
}
