package peft_test

import (
	"context"
	"errors"
	"testing"

	"peft"
)

var prompt = peft.Tokens(1, 7, 5)

func generate(t testing.TB, session *peft.Session, options *peft.GenerateOptions) *peft.GenerateResult {
	t.Helper()
	return must[*peft.GenerateResult](t)(session.Generate(background, prompt, options))
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	session := sessionOf(t, small(t))
	byNil := generate(t, session, nil)
	equalSlices(t, generate(t, session, &peft.GenerateOptions{}).Tokens[0], byNil.Tokens[0])
	equal(t, len(byNil.Tokens[0]), 20)
	equal(t, byNil.FinishReasons[0], peft.FinishLength)
}

func TestOptionsReachTheLibrary(t *testing.T) {
	session := sessionOf(t, small(t))
	greedy := generate(t, session, &peft.GenerateOptions{MaxNewTokens: 6}).Tokens[0]
	draw := func(options peft.GenerateOptions) []int64 {
		options.DoSample, options.MaxNewTokens = true, 6
		return generate(t, session, &options).Tokens[0]
	}
	// Each of these leaves the best token alone to be drawn.
	equalSlices(t, draw(peft.GenerateOptions{TopK: peft.Ptr[int64](1)}), greedy)
	equalSlices(t, draw(peft.GenerateOptions{TopP: peft.Ptr[float32](0)}), greedy)
	equalSlices(t, draw(peft.GenerateOptions{MinP: 1}), greedy)
	equalSlices(t, draw(peft.GenerateOptions{Temperature: 1e-4}), greedy)
	hot := draw(peft.GenerateOptions{Temperature: 50, TopK: peft.Ptr[int64](0), Seed: 1})
	same := true
	for i := range hot {
		same = same && hot[i] == greedy[i]
	}
	equal(t, same, false)
	equalSlices(t, draw(peft.GenerateOptions{Temperature: 50, TopK: peft.Ptr[int64](0), Seed: 1}), hot)
	for _, bad := range []peft.GenerateOptions{
		{MaxNewTokens: -1}, {RepetitionPenalty: -1}, {DoSample: true, MinP: 2},
		{DoSample: true, TopK: peft.Ptr[int64](-1)},
	} {
		_, err := session.Generate(background, prompt, &bad)
		if !errors.Is(err, peft.ErrArgument) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestRowsEndAtTheirTokens(t *testing.T) {
	session := sessionOf(t, small(t))
	free := generate(t, session, &peft.GenerateOptions{MaxNewTokens: 6, IgnoreEOS: true}).Tokens[0]
	atEOS := generate(t, session, &peft.GenerateOptions{EOSTokenIDs: []int64{free[2]}})
	equal(t, atEOS.FinishReasons[0], peft.FinishEOS)
	stop := [][]int64{{31, 31, 31}, {free[1], free[2]}}
	atStop := generate(t, session, &peft.GenerateOptions{IgnoreEOS: true, StopSequences: stop})
	equal(t, atStop.FinishReasons[0], peft.FinishStop)
	equalSlices(t, atStop.Tokens[0][len(atStop.Tokens[0])-2:], free[1:3])
}

func TestOnTokenSeesEachToken(t *testing.T) {
	session := sessionOf(t, small(t))
	var seen []int64
	result := generate(t, session, &peft.GenerateOptions{OnToken: func(row int, token int64) error {
		equal(t, row, 0)
		seen = append(seen, token)
		return nil
	}})
	equalSlices(t, seen, result.Tokens[0])
}

func TestErrorOfOnTokenEndsGenerate(t *testing.T) {
	session := sessionOf(t, small(t))
	enough := errors.New("enough")
	calls := 0
	_, err := session.Generate(background, prompt, &peft.GenerateOptions{
		OnToken: func(int, int64) error {
			calls++
			if calls == 3 {
				return enough
			}
			return nil
		}})
	equal(t, errors.Is(err, enough), true)
	equal(t, errors.Is(err, peft.ErrCancelled), true)
	equal(t, calls, 3)
	generate(t, session, nil)
}

func TestContextEndsGenerate(t *testing.T) {
	session := sessionOf(t, small(t))
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	calls := 0
	_, err := session.Generate(ctx, prompt, &peft.GenerateOptions{
		MaxNewTokens: 1000,
		OnToken: func(int, int64) error {
			calls++
			if calls == 2 {
				cancel()
			}
			return nil
		}})
	equal(t, errors.Is(err, context.Canceled), true)
	equal(t, calls, 2)
}

func TestContextAloneEndsGenerate(t *testing.T) {
	session := sessionOf(t, small(t))
	ctx, cancel := context.WithTimeout(background, 1)
	defer cancel()
	_, err := session.Generate(ctx, prompt, &peft.GenerateOptions{MaxNewTokens: 1 << 40, IgnoreEOS: true})
	equal(t, errors.Is(err, context.DeadlineExceeded), true)
}

func TestPanicOfOnTokenGoesOn(t *testing.T) {
	session := sessionOf(t, small(t))
	func() {
		defer func() {
			if value := recover(); value != "out of tokens" {
				t.Errorf("recovered %v", value)
			}
		}()
		session.Generate(background, prompt, &peft.GenerateOptions{
			OnToken: func(int, int64) error { panic("out of tokens") }})
		t.Error("no panic")
	}()
	generate(t, session, nil)
}

func TestSessionIsBusyInItsOwnCallback(t *testing.T) {
	session := sessionOf(t, small(t))
	generate(t, session, &peft.GenerateOptions{OnToken: func(int, int64) error {
		_, err := session.Logits(prompt, nil)
		equal(t, errors.Is(err, peft.ErrSessionBusy), true)
		return nil
	}})
}
