package peft_test

import (
	"errors"
	"math"
	"testing"
	"unsafe"

	"peft"
)

const loraConfig = `{"peft_type": "LORA", "r": 2, "target_modules": ["first", "second"], "init_lora_weights": false}`

// weights are some numbers.
func weights(count int) []float32 {
	values := make([]float32, count)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	return values
}

// perceptron is a program's network of two linear layers, 4 to 3 to 2.
func perceptron(t testing.TB) *peft.Model {
	t.Helper()
	model := must[*peft.Model](t)(peft.NewModel([]peft.Layer{
		{Name: "first", Kind: peft.LayerLinear, Weight: peft.ViewOf(weights(12), 3, 4), Bias: peft.ViewOf(weights(3))},
		{Name: "activation", Kind: peft.LayerOther},
		{Name: "second", Kind: peft.LayerLinear, Weight: peft.ViewOf(weights(6), 2, 3)},
	}, &peft.ModelOptions{NumThreads: 1}))
	t.Cleanup(func() { model.Close() })
	return model
}

func runLayer(t testing.TB, model *peft.Model, name string, x peft.View) []float32 {
	t.Helper()
	y := must[*peft.Tensor](t)(model.RunLayer(name, x, nil))
	defer y.Close()
	return must[[]float32](t)(y.Float32s())
}

func TestHostLayerComputesWithItsWeights(t *testing.T) {
	model := perceptron(t)
	x, w := []float32{1, -2, 0.5, 3}, weights(12)
	wanted := weights(3)
	for row := range wanted {
		for column := range x {
			wanted[row] += w[row*4+column] * x[column]
		}
	}
	near(t, runLayer(t, model, "first", peft.ViewOf(x, 1, 4)), wanted)
}

func TestHostModelTakesAdapters(t *testing.T) {
	model := perceptron(t)
	x := peft.ViewOf(weights(4), 1, 4)
	base := runLayer(t, model, "first", x)
	check(t, model.AddAdapter("a", loraConfig, &peft.AddAdapterOptions{Seed: 3}))
	adapted := runLayer(t, model, "first", x)
	equal(t, adapted[0] == base[0], false)
	check(t, model.DisableAdapters())
	equalSlices(t, runLayer(t, model, "first", x), base)
	_, err := model.NewSession(nil)
	equal(t, errors.Is(err, peft.ErrModelNotRunnable), true)
	_, err = model.RunLayer("third", x, nil)
	equal(t, errors.Is(err, peft.ErrLayerNotFound), true)
}

func TestOutputOfALayerIsInputOfTheNext(t *testing.T) {
	model := perceptron(t)
	y := must[*peft.Tensor](t)(model.RunLayer("first", peft.ViewOf(weights(8), 2, 4), nil))
	z := must[*peft.Tensor](t)(model.RunLayer("second", y.View(), nil))
	equalSlices(t, z.Sizes(), []int64{2, 2})
	y.Close()
	_, err := model.RunLayer("second", y.View(), nil)
	equal(t, errors.Is(err, peft.ErrHandle), true)
}

func TestSharedWeightsMustNotBeGos(t *testing.T) {
	data := weights(12)
	_, err := peft.NewModel([]peft.Layer{{
		Name: "first", Kind: peft.LayerLinear, ShareWeights: true, Weight: peft.ViewOf(data, 3, 4),
	}}, nil)
	equal(t, errors.Is(err, peft.ErrArgument), true)
}

func TestSharedWeightsAreNotCopied(t *testing.T) {
	tensor := roundTrip(t, peft.ViewOf(weights(12), 3, 4))
	memory := must[[]byte](t)(tensor.View().Borrow()) // C's, as ViewAt wants.
	view := peft.ViewAt(unsafe.Pointer(&memory[0]), peft.DTypeF32, 3, 4)
	model := must[*peft.Model](t)(peft.NewModel([]peft.Layer{
		{Name: "first", Kind: peft.LayerLinear, ShareWeights: true, Weight: view},
	}, nil))
	defer model.Close()
	info := must[peft.ModelInfo](t)(model.Info())
	equal(t, info.NumParameters, 12)
	equal(t, info.NumSites, 1)
}

func TestConvolutionHasItsOptions(t *testing.T) {
	kernel := peft.ViewOf([]float32{1, 10, 100}, 1, 1, 3)
	run := func(layer peft.Layer) []float32 {
		layer.Name, layer.Kind, layer.Weight = "conv", peft.LayerConv, kernel
		model := must[*peft.Model](t)(peft.NewModel([]peft.Layer{layer}, nil))
		defer model.Close()
		return runLayer(t, model, "conv", peft.ViewOf([]float32{1, 2, 3, 4, 5}, 1, 1, 5))
	}
	equalSlices(t, run(peft.Layer{}), []float32{321, 432, 543})
	equalSlices(t, run(peft.Layer{Stride: [3]int64{2}}), []float32{321, 543})
	equalSlices(t, run(peft.Layer{Dilation: [3]int64{2}}), []float32{531})
	equalSlices(t, run(peft.Layer{Padding: [3]int64{1}}), []float32{210, 321, 432, 543, 54})
	equalSlices(t, run(peft.Layer{Padding: [3]int64{1}, PaddingEnd: &[3]int64{}}), []float32{210, 321, 432, 543})
}

func TestLayerOptionsReachTheLibrary(t *testing.T) {
	norm := peft.Layer{Name: "norm", Kind: peft.LayerLayerNorm, Weight: peft.ViewOf(weights(4)), Epsilon: peft.Ptr(-1.0)}
	experts := peft.Layer{Name: "mlp.experts", Kind: peft.LayerParameter, Weight: peft.ViewOf(weights(24), 2, 4, 3), IsTransposed: true}
	head := peft.Layer{Name: "head", Kind: peft.LayerLinear, Weight: peft.ViewOf(weights(12), 3, 4), IsOutputEmbedding: true}
	groups := peft.Layer{Name: "conv", Kind: peft.LayerConv, Weight: peft.ViewOf(weights(12), 4, 1, 3), Groups: 3}
	for _, bad := range []peft.Layer{norm, groups, {}, {Name: "x", Kind: 99}} {
		_, err := peft.NewModel([]peft.Layer{bad}, nil)
		if !errors.Is(err, peft.InvalidArgument) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	model := must[*peft.Model](t)(peft.NewModel([]peft.Layer{experts, head}, nil))
	defer model.Close()
	check(t, model.AddAdapter("a", `{"peft_type": "LORA", "target_modules": ["head"], "target_parameters": ["mlp.experts"]}`, nil))
	x := peft.ViewOf(weights(4), 1, 4)
	first := must[*peft.Tensor](t)(model.RunLayer("mlp.experts", x, &peft.RunLayerOptions{Expert: peft.Ptr[int64](0)}))
	second := must[*peft.Tensor](t)(model.RunLayer("mlp.experts", x, &peft.RunLayerOptions{Expert: peft.Ptr[int64](1)}))
	equal(t, must[[]float32](t)(first.Float32s())[0] == must[[]float32](t)(second.Float32s())[0], false)
	_, err := model.RunLayer("mlp.experts", x, nil)
	equal(t, errors.Is(err, peft.ErrArgument), true)
	err = model.AddAdapter("b", `{"peft_type": "LORA", "target_modules": "all-linear"}`, nil)
	equal(t, errors.Is(err, peft.ErrNoTargetMatched), true)
}
