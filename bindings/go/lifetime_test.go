package peft_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"peft"
)

func TestCloseMayBeCalledTwice(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	activation := must[*peft.Activation](t)(model.NewActivation(nil, nil))
	dict := must[*peft.StateDict](t)(model.AdapterStateDict("plain"))
	tensor := must[*peft.Tensor](t)(dict.Get(dict.Names()[0]))
	for i := 0; i < 2; i++ {
		check(t, tensor.Close())
		check(t, dict.Close())
		check(t, activation.Close())
		check(t, session.Close())
		check(t, model.Close())
	}
}

func TestClosedObjectsAreErrors(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	dict := must[*peft.StateDict](t)(model.AdapterStateDict("plain"))
	tensor := must[*peft.Tensor](t)(dict.Get(dict.Names()[0]))
	view := tensor.View()
	lent := must[peft.View](t)(session.Logits(peft.Tokens(1), nil))
	model.Close()
	session.Close()
	dict.Close()
	tensor.Close()
	_, infoErr := model.Info()
	_, logitsErr := session.Logits(peft.Tokens(1), nil)
	_, dictErr := dict.Get("x")
	_, viewErr := view.Float32s()
	_, bytesErr := view.Bytes()
	_, lentErr := lent.Float32s()
	_, dlpackErr := tensor.DLPack()
	errs := []error{infoErr, logitsErr, dictErr, viewErr, bytesErr, lentErr,
		dlpackErr, model.SetAdapter("plain"), dict.Set("x", view)}
	for i, err := range errs {
		if !errors.Is(err, peft.ErrHandle) {
			t.Errorf("%d: %v", i, err)
		}
	}
	equal(t, dict.Len(), 0)
	equal(t, session.CacheLength(), 0)
}

func TestNilObjectsAreErrors(t *testing.T) {
	var model *peft.Model
	_, err := model.Info()
	equal(t, errors.Is(err, peft.ErrHandle), true)
	_, err = small(t).LoadAdapterFromMemory("x", "{}", nil, nil)
	equal(t, errors.Is(err, peft.ErrHandle), true)
	check(t, model.Close())
}

func TestSessionOutlivesItsModel(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	before := logits(t, session, nil)
	model.Close()
	equalSlices(t, logits(t, session, nil), before)
}

func TestClosedActivationIsAnErrorNotTheBase(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	activation := must[*peft.Activation](t)(model.NewActivation([]string{"plain"}, nil))
	activation.Close()
	rows := peft.Rows{Activations: []*peft.Activation{activation}}
	_, err := session.Logits(peft.Tokens(1), &peft.ForwardOptions{Rows: rows})
	equal(t, errors.Is(err, peft.ErrHandle), true)
}

// What nobody holds any more is freed, in any order; a view keeps what it is of.
func TestFinalizersFreeAndViewsKeep(t *testing.T) {
	view := func() peft.View {
		model := must[*peft.Model](t)(peft.Open(background, smallBase, nil))
		must[*peft.LoadReport](t)(model.LoadAdapter(background, "plain", smallAdapter, nil))
		session := must[*peft.Session](t)(model.NewSession(nil))
		return must[peft.View](t)(session.Logits(peft.Tokens(1, 7, 5), nil))
	}()
	wanted := must[[]float32](t)(view.Float32s())
	for i := 0; i < 5; i++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	equalSlices(t, must[[]float32](t)(view.Float32s()), wanted)
}

func TestFinalizerWaitsForARunningCall(t *testing.T) {
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	defer close(stop)
	for i := 0; i < 20; i++ {
		model := must[*peft.Model](t)(peft.Open(background, smallBase, nil))
		session := must[*peft.Session](t)(model.NewSession(nil))
		must[peft.View](t)(session.Logits(peft.Tokens(1, 7, 5), nil))
	}
}

func TestCallsOnOneModelFromManyGoroutines(t *testing.T) {
	model := adapted(t)
	wanted := logits(t, sessionOf(t, model), nil)
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			session, err := model.NewSession(nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			for n := 0; n < 10; n++ {
				view, err := session.Logits(peft.Tokens(1, 7, 5), nil)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := view.Float32s()
				if err != nil {
					t.Error(err)
					return
				}
				equalSlices(t, got, wanted)
				if _, err := model.Info(); err != nil {
					t.Error(err)
				}
				if err := session.Reset(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
}

func TestCloseWhileOthersCall(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < 20; n++ {
				_, err := model.Info()
				if err != nil && !errors.Is(err, peft.ErrHandle) {
					t.Error(err)
				}
				view, err := session.Logits(peft.Tokens(1), nil)
				if err != nil && !errors.Is(err, peft.ErrHandle) &&
					!errors.Is(err, peft.ErrSessionBusy) {
					t.Error(err)
				}
				if err == nil {
					view.Float32s() // Ends with the next call, whosever it is.
				}
			}
		}()
	}
	model.Close()
	session.Close()
	group.Wait()
}
