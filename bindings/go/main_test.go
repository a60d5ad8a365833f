package peft_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"peft"
)

var background = context.Background()

const (
	quickstart   = "examples/quickstart/"
	quickBase    = quickstart + "base"
	quickGerman  = quickstart + "adapters/german"
	quickRoman   = quickstart + "adapters/roman"
	scenario     = "testing/scenario/"
	smallBase    = scenario + "base"
	smallAdapter = scenario + "adapters/plain"
)

// Tests run in the root of the repository, so that paths are those of its
// README: the first folder upwards that has the quickstart's files, or the one
// that PEFT_TEST_ROOT names.
func TestMain(m *testing.M) {
	root := os.Getenv("PEFT_TEST_ROOT")
	if root == "" {
		root = "../.."
	}
	if err := os.Chdir(root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, err := os.Stat(quickBase); err != nil {
		fmt.Fprintf(os.Stderr, "%v: set PEFT_TEST_ROOT to the repository's root\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// must returns value, or ends the test.
func must[T any](t testing.TB) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		check(t, err)
		return value
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Errorf("got %v, expected %v", got, wanted)
	}
}

func equalSlices[T comparable](t testing.TB, got, wanted []T) {
	t.Helper()
	if len(got) != len(wanted) {
		t.Errorf("got %v, expected %v", got, wanted)
		return
	}
	for i := range got {
		if got[i] != wanted[i] {
			t.Errorf("got %v, expected %v", got, wanted)
			return
		}
	}
}

// small opens the scenario's model, without adapters.
func small(t testing.TB) *peft.Model {
	t.Helper()
	options := &peft.ModelOptions{NumThreads: 1}
	model := must[*peft.Model](t)(peft.Open(background, smallBase, options))
	t.Cleanup(func() { model.Close() })
	return model
}

// adapted is small with the adapter "plain".
func adapted(t testing.TB) *peft.Model {
	t.Helper()
	model := small(t)
	must[*peft.LoadReport](t)(model.LoadAdapter(background, "plain", smallAdapter, nil))
	return model
}

func sessionOf(t testing.TB, model *peft.Model) *peft.Session {
	t.Helper()
	session := must[*peft.Session](t)(model.NewSession(nil))
	t.Cleanup(func() { session.Close() })
	return session
}

func logits(t testing.TB, session *peft.Session, options *peft.ForwardOptions) []float32 {
	t.Helper()
	check(t, session.Reset())
	view := must[peft.View](t)(session.Logits(peft.Tokens(1, 7, 5), options))
	return must[[]float32](t)(view.Float32s())
}

// tempPath returns a path where nothing is.
func tempPath(t testing.TB, name string) string {
	return filepath.Join(t.TempDir(), name)
}
