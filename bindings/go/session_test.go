package peft_test

import (
	"errors"
	"math"
	"testing"

	"peft"
)

func TestLogitsHaveTheirSizes(t *testing.T) {
	session := sessionOf(t, small(t))
	input := peft.Input{IDs: []int64{1, 7, 5, 1, 30, 22}, Batch: 2}
	view := must[peft.View](t)(session.Logits(input, &peft.ForwardOptions{LogitsToKeep: 1}))
	equalSlices(t, view.Sizes(), []int64{2, 1, 32})
	equal(t, view.DType(), peft.DTypeF32)
	equal(t, session.CacheLength(), 3)
}

func TestAModelGetsTheHeadThatIsAskedFor(t *testing.T) {
	padding := int64(0)
	options := &peft.ModelOptions{
		Task: peft.TaskSequenceClassification, NumLabels: 3, PadTokenID: &padding,
	}
	model := must[*peft.Model](t)(peft.Open(background, smallBase, options))
	t.Cleanup(func() { model.Close() })
	input := peft.Input{IDs: []int64{1, 7, 5, 1, 30, 22}, Batch: 2}
	view := must[peft.View](t)(sessionOf(t, model).Logits(input, nil))
	equalSlices(t, view.Sizes(), []int64{2, 3})
}

func TestForwardGivesWhatIsAskedFor(t *testing.T) {
	session := sessionOf(t, small(t))
	options := &peft.ForwardOptions{Outputs: peft.OutputLogits | peft.OutputLastHiddenState}
	check(t, session.Forward(peft.Tokens(1, 7, 5), options))
	hidden := must[peft.View](t)(session.Output(peft.OutputLastHiddenState))
	logits := must[peft.View](t)(session.Output(peft.OutputLogits))
	equalSlices(t, hidden.Sizes(), []int64{1, 3, 16})
	equalSlices(t, logits.Sizes(), []int64{1, 3, 32})
	_, err := session.Output(peft.OutputPoolerOutput)
	equal(t, errors.Is(err, peft.ErrOutputNotComputed), true)
}

func TestViewEndsWithTheNextCall(t *testing.T) {
	session := sessionOf(t, small(t))
	view := must[peft.View](t)(session.Logits(peft.Tokens(1, 7, 5), nil))
	must[[]byte](t)(view.Bytes())
	must[peft.View](t)(session.Logits(peft.Tokens(2), nil))
	_, err := view.Float32s()
	equal(t, errors.Is(err, peft.ErrHandle), true)
}

func TestInputsThatAreTooShortAreRefused(t *testing.T) {
	session := sessionOf(t, small(t))
	ids := []int64{1, 7, 5, 3}
	for _, input := range []peft.Input{
		{},
		{IDs: ids, Batch: 3},
		{IDs: ids, Batch: 2, Length: 3},
		{IDs: ids, Batch: -1},
		{IDs: ids, Batch: math.MaxInt, Length: math.MaxInt},
		{IDs: ids, AttentionMask: []int64{1}},
		{IDs: ids, PositionIDs: []int64{1}},
		{IDs: ids, TokenTypeIDs: []int64{0, 0, 0, 0, 0}},
	} {
		_, err := session.Logits(input, nil)
		if !errors.Is(err, peft.ErrArgument) {
			t.Errorf("%+v: %v", input, err)
		}
	}
}

func TestPositionsAreTheProgramsOwn(t *testing.T) {
	session := sessionOf(t, small(t))
	input := peft.Tokens(1, 7, 5)
	usual := must[[]float32](t)(must[peft.View](t)(session.Logits(input, nil)).Float32s())
	check(t, session.Reset())
	input.PositionIDs = []int64{0, 2, 5}
	other := must[[]float32](t)(must[peft.View](t)(session.Logits(input, nil)).Float32s())
	if usual[40] == other[40] {
		t.Error("positions have no effect")
	}
}

func TestPadLeftIsWhatEachRowAloneGives(t *testing.T) {
	model := small(t)
	session := sessionOf(t, model)
	rows := [][]int64{{1, 7, 5}, {1, 30}}
	options := &peft.GenerateOptions{MaxNewTokens: 4, IgnoreEOS: true}
	both := must[*peft.GenerateResult](t)(session.Generate(background, peft.PadLeft(rows, 0), options))
	for i, row := range rows {
		one := must[*peft.GenerateResult](t)(session.Generate(background, peft.Tokens(row...), options))
		equalSlices(t, both.Tokens[i], one.Tokens[0])
	}
}

func TestRowsRunUnderTheirOwnAdapters(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	active := logits(t, session, nil)
	check(t, model.SetAdapter())
	base := logits(t, session, nil)
	half := must[*peft.Activation](t)(model.NewActivation([]string{"plain"}, []float32{0.5}))
	defer half.Close()
	run := func(rows peft.Rows) []float32 {
		check(t, session.Reset())
		input := peft.Input{IDs: []int64{1, 7, 5, 1, 7, 5}, Batch: 2}
		view := must[peft.View](t)(session.Logits(input, &peft.ForwardOptions{Rows: rows}))
		return must[[]float32](t)(view.Float32s())
	}
	named := run(peft.Rows{AdapterNames: []string{"plain", peft.BaseModel}})
	near(t, named[:len(active)], active)
	near(t, named[len(active):], base)
	mixed := run(peft.Rows{Activations: []*peft.Activation{nil, half}})
	near(t, mixed[:len(base)], base)
	if mixed[len(base)] == base[0] {
		t.Error("the activation has no effect")
	}
}

// near is for sums that may be added in another order.
func near(t testing.TB, got, wanted []float32) {
	t.Helper()
	for i := range wanted {
		if math.Abs(float64(got[i]-wanted[i])) > 1e-5 {
			t.Fatalf("element %d is %v, expected %v", i, got[i], wanted[i])
		}
	}
}

func TestForwardAllocatesNothing(t *testing.T) {
	session := sessionOf(t, small(t))
	input, into := peft.Tokens(1), make([]float32, 32)
	allocations := testing.AllocsPerRun(20, func() {
		view, err := session.Logits(input, nil)
		if err == nil {
			_, err = view.CopyFloat32s(into)
		}
		check(t, err)
	})
	equal(t, allocations, 0)
}

func TestNoOutputBeforeAForward(t *testing.T) {
	_, err := sessionOf(t, small(t)).Output(peft.OutputLogits)
	equal(t, errors.Is(err, peft.FailedPrecondition), true)
}

func TestSessionHasAMaximalLength(t *testing.T) {
	session := must[*peft.Session](t)(small(t).NewSession(&peft.SessionOptions{MaxLength: 2}))
	defer session.Close()
	_, err := session.Logits(peft.Tokens(1, 2, 3), nil)
	equal(t, errors.Is(err, peft.ErrSequenceTooLong), true)
}

func TestCacheOfOtherAdapters(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	check(t, session.Forward(peft.Tokens(1), nil))
	check(t, model.SetAdapter())
	err := session.Forward(peft.Tokens(2), nil)
	equal(t, errors.Is(err, peft.ErrActivationChanged), true)
	check(t, session.Forward(peft.Tokens(2), &peft.ForwardOptions{AllowActivationChange: true}))
}
