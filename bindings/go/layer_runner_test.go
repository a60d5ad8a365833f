package peft_test

import (
	"errors"
	"sync"
	"testing"
	"unsafe"

	"peft"
)

func layerOf(t testing.TB, model *peft.Model, name string) (*peft.LayerRunner, peft.LayerID) {
	t.Helper()
	layer := must[peft.LayerID](t)(model.FindLayer(name, nil))
	runner := must[*peft.LayerRunner](t)(model.NewLayerRunner())
	t.Cleanup(func() { runner.Close() })
	return runner, layer
}

func TestRunnerWritesToTheProgramsMemory(t *testing.T) {
	model := perceptron(t)
	check(t, model.AddAdapter("a", loraConfig, nil))
	runner, layer := layerOf(t, model, "first")
	x := peft.ViewOf(weights(8), 2, 4)
	y := make([]float32, 6)
	check(t, runner.Run(layer, x, peft.ViewOf(y, 2, 3), nil))
	near(t, y, runLayer(t, model, "first", x))
}

func TestDeltaComesOnTop(t *testing.T) {
	model := perceptron(t)
	runner, layer := layerOf(t, model, "first")
	x := peft.ViewOf(weights(8), 2, 4)
	y := runLayer(t, model, "first", x)
	check(t, model.AddAdapter("a", loraConfig, nil))
	check(t, runner.AddDelta(layer, x, peft.ViewOf(y, 2, 3), nil))
	near(t, y, runLayer(t, model, "first", x))
}

func TestRowsOfALayerRunUnderTheirOwnAdapters(t *testing.T) {
	model := perceptron(t)
	x := append(weights(4), weights(4)...)
	base := runLayer(t, model, "first", peft.ViewOf(x, 2, 4))
	check(t, model.AddAdapter("a", loraConfig, nil))
	adapted := runLayer(t, model, "first", peft.ViewOf(x, 2, 4))
	wanted := append(append([]float32{}, base[:3]...), adapted[3:]...)
	activation := must[*peft.Activation](t)(model.NewActivation([]string{"a"}, nil))
	defer activation.Close()
	runner, layer := layerOf(t, model, "first")
	for _, rows := range []peft.Rows{
		{AdapterNames: []string{peft.BaseModel, "a"}},
		{Activations: []*peft.Activation{nil, activation}},
	} {
		options := &peft.RunLayerOptions{Rows: rows}
		y := make([]float32, 6)
		check(t, runner.Run(layer, peft.ViewOf(x, 2, 4), peft.ViewOf(y, 2, 3), options))
		near(t, y, wanted)
		tensor := must[*peft.Tensor](t)(model.RunLayer("first", peft.ViewOf(x, 2, 4), options))
		near(t, must[[]float32](t)(tensor.Float32s()), wanted)
	}
}

func TestRunnerRefusesWhatItMustNotWriteTo(t *testing.T) {
	model := perceptron(t)
	runner, layer := layerOf(t, model, "first")
	x := peft.ViewOf(weights(4), 1, 4)
	lent := must[*peft.Tensor](t)(model.RunLayer("first", x, nil))
	err := runner.Run(layer, x, lent.View(), nil)
	equal(t, errors.Is(err, peft.ErrArgument), true)
	err = runner.Run(layer, x, peft.ViewOf(make([]float32, 2), 1, 3), nil)
	equal(t, errors.Is(err, peft.ErrArgument), true)
	err = runner.Run(layer, x, peft.ViewOf(make([]float32, 4), 1, 4), nil)
	equal(t, errors.Is(err, peft.ErrTensorShapeMismatch), true)
	_, err = model.FindLayer("third", nil)
	equal(t, errors.Is(err, peft.ErrLayerNotFound), true)
	runner.Close()
	err = runner.Run(layer, x, peft.ViewOf(make([]float32, 3), 1, 3), nil)
	equal(t, errors.Is(err, peft.ErrHandle), true)
}

func TestRunnerAllocatesNothing(t *testing.T) {
	model := perceptron(t)
	check(t, model.AddAdapter("a", loraConfig, nil))
	runner, layer := layerOf(t, model, "first")
	x, y := peft.ViewOf(weights(4), 1, 4), peft.ViewOf(make([]float32, 3), 1, 3)
	allocations := testing.AllocsPerRun(20, func() {
		check(t, runner.Run(layer, x, y, nil))
		check(t, runner.AddDelta(layer, x, y, nil))
	})
	equal(t, allocations, 0)
}

func TestLayerWithoutItsWeight(t *testing.T) {
	model := must[*peft.Model](t)(peft.NewModel([]peft.Layer{
		{Name: "first", Kind: peft.LayerLinear, Weight: peft.ViewAt(nil, peft.DTypeF32, 3, 4)},
	}, nil))
	defer model.Close()
	check(t, model.AddAdapter("a", `{"peft_type": "LORA", "target_modules": ["first"], "init_lora_weights": false}`, nil))
	runner, layer := layerOf(t, model, "first")
	x, y := peft.ViewOf(weights(4), 1, 4), make([]float32, 3)
	err := runner.Run(layer, x, peft.ViewOf(y, 1, 3), nil)
	equal(t, errors.Is(err, peft.ErrLayerWeight), true)
	check(t, runner.AddDelta(layer, x, peft.ViewOf(y, 1, 3), nil))
	equal(t, y[0] == 0, false)
}

func TestMergeIntoTheProgramsWeights(t *testing.T) {
	holder := roundTrip(t, peft.ViewOf(weights(12), 3, 4))
	memory := must[[]byte](t)(holder.View().Borrow()) // C's, as ViewAt wants.
	at := unsafe.Pointer(&memory[0])
	model := must[*peft.Model](t)(peft.NewModel([]peft.Layer{{
		Name: "first", Kind: peft.LayerLinear, ShareWeights: true, WritableWeights: true,
		Weight: peft.ViewAt(at, peft.DTypeF32, 3, 4),
	}}, nil))
	defer model.Close()
	check(t, model.AddAdapter("a", `{"peft_type": "LORA", "target_modules": ["first"], "init_lora_weights": false}`, nil))
	before := append([]byte{}, memory...)
	check(t, model.MergeAdapter(nil, nil))
	equal(t, string(memory) == string(before), false)
	check(t, model.UnmergeAdapter())
	equal(t, string(memory) == string(before), true)
}

func TestLoweredFormsAreWhatTheLayerAdds(t *testing.T) {
	model := perceptron(t)
	x := weights(4)
	y := runLayer(t, model, "first", peft.ViewOf(x, 1, 4))
	check(t, model.AddAdapter("a", loraConfig, nil))
	layer := must[peft.LayerID](t)(model.FindLayer("first", nil))
	lowered := must[*peft.Lowered](t)(model.LowerLayer(layer, nil))
	forms := must[[]peft.Form](t)(lowered.Forms())
	equal(t, len(forms), 1)
	equal(t, forms[0].Kind, peft.FormLowRank)
	view := must[peft.View](t)(lowered.Tensor(0, peft.FormTensorA))
	equalSlices(t, view.Sizes(), []int64{2, 4})
	a := must[[]float32](t)(view.Float32s())
	b := must[[]float32](t)(must[peft.View](t)(lowered.Tensor(0, peft.FormTensorB)).Float32s())
	for rank := 0; rank < 2; rank++ {
		sum := float32(0)
		for i := range x {
			sum += x[i] * a[rank*4+i]
		}
		for row := range y {
			y[row] += forms[0].Scale * sum * b[row*2+rank]
		}
	}
	near(t, runLayer(t, model, "first", peft.ViewOf(x, 1, 4)), y)
	_, err := lowered.Tensor(0, peft.FormTensorBias)
	equal(t, errors.Is(err, peft.ErrTensorMissing), true)
	check(t, lowered.Close())
	_, err = view.Float32s()
	equal(t, errors.Is(err, peft.ErrHandle), true)
	_, err = lowered.Tensor(0, peft.FormTensorA)
	equal(t, errors.Is(err, peft.ErrHandle), true)
	base := must[*peft.Activation](t)(model.NewActivation(nil, nil))
	nothing := must[*peft.Lowered](t)(model.LowerLayer(layer, base))
	equal(t, len(must[[]peft.Form](t)(nothing.Forms())), 0)
}

// goroutines is a pool of as many goroutines as there are pieces.
func goroutines(pieces int64, piece func(int64)) error {
	var group sync.WaitGroup
	for i := int64(0); i < pieces; i++ {
		group.Add(1)
		go func(index int64) {
			defer group.Done()
			piece(index)
		}(i)
	}
	group.Wait()
	return nil
}

// pooled opens the quickstart's model, whose forward is large enough to be cut.
func pooled(t testing.TB, parallelFor func(int64, func(int64)) error) *peft.Session {
	t.Helper()
	threads := &peft.ThreadPool{ParallelFor: parallelFor, NumThreads: 4}
	model := must[*peft.Model](t)(peft.Open(background, quickBase, &peft.ModelOptions{ThreadPool: threads}))
	session := sessionOf(t, model)
	model.Close() // The session goes on with the pool.
	return session
}

func manyTokens() peft.Input {
	ids := make([]int64, 64)
	for i := range ids {
		ids[i] = 1 + int64(i%12)
	}
	return peft.Tokens(ids...)
}

func TestProgramsOwnThreadsWork(t *testing.T) {
	var mu sync.Mutex
	calls := 0
	session := pooled(t, func(pieces int64, piece func(int64)) error {
		mu.Lock()
		calls++
		mu.Unlock()
		return goroutines(pieces, piece)
	})
	view := must[peft.View](t)(session.Logits(manyTokens(), nil))
	model := must[*peft.Model](t)(peft.Open(background, quickBase, nil))
	defer model.Close()
	other := must[peft.View](t)(sessionOf(t, model).Logits(manyTokens(), nil))
	equalSlices(t, must[[]float32](t)(view.Float32s()), must[[]float32](t)(other.Float32s()))
	equal(t, calls > 0, true)
}

func TestErrorAndPanicOfAThreadPoolComeOut(t *testing.T) {
	closed := errors.New("the pool is closed")
	_, err := pooled(t, func(int64, func(int64)) error { return closed }).Logits(manyTokens(), nil)
	equal(t, errors.Is(err, closed), true)
	equal(t, errors.Is(err, peft.ErrThreadPool), true)
	_, err = pooled(t, func(int64, func(int64)) error { return nil }).Logits(manyTokens(), nil)
	equal(t, errors.Is(err, peft.ErrThreadPool), true)
	expectPanic(t, "no threads", func() {
		pooled(t, func(int64, func(int64)) error { panic("no threads") }).Logits(manyTokens(), nil)
	})
}

func TestThreadPoolMustHaveAFunction(t *testing.T) {
	_, err := peft.Open(background, smallBase, &peft.ModelOptions{ThreadPool: &peft.ThreadPool{}})
	equal(t, errors.Is(err, peft.ErrArgument), true)
	_, err = peft.Open(background, smallBase, &peft.ModelOptions{
		ThreadPool: &peft.ThreadPool{ParallelFor: goroutines, NumThreads: 5000}})
	equal(t, errors.Is(err, peft.ErrArgument), true)
}
