package peft_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"peft"
	"peft/internal/counting"
)

const allocatorChild = "PEFT_TEST_ALLOCATOR"

// In a process of its own, since it has to be the first call.
func TestAllocatorGivesTheMemory(t *testing.T) {
	program := must[string](t)(os.Executable())
	child := exec.Command(program, "-test.run=^TestAllocatorChild$", "-test.v")
	child.Env = append(os.Environ(), allocatorChild+"=1", "PEFT_TEST_ROOT=.")
	output, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

func TestAllocatorChild(t *testing.T) {
	if os.Getenv(allocatorChild) == "" {
		t.Skip("runs in a process of its own")
	}
	allocator := peft.Allocator{}
	allocator.Allocate, allocator.Deallocate = counting.Functions()
	check(t, peft.SetAllocator(allocator))
	model := adapted(t)
	now, ever := counting.Bytes()
	if now < 1000 || ever < now {
		t.Errorf("%d bytes now, %d ever", now, ever)
	}
	session := sessionOf(t, model)
	logits(t, session, nil)
	session.Close()
	model.Close()
	after, _ := counting.Bytes()
	equal(t, after < now, true)
	equal(t, errors.Is(peft.SetAllocator(allocator), peft.ErrAllocator), true)
	collected(t)
}

// collected fails where what is forgotten is not freed, whatever refers to what.
func collected(t *testing.T) {
	adapted(t).Close() // What the library keeps for good is there now.
	before, _ := counting.Bytes()
	for i := 0; i < 20; i++ {
		forget(t)
	}
	forgotten, _ := counting.Bytes()
	for i := 0; i < 100; i++ {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		if after, _ := counting.Bytes(); after-before < (forgotten-before)/10 {
			return
		}
	}
	after, _ := counting.Bytes()
	t.Errorf("of %d bytes %d were not freed", forgotten-before, after-before)
}

// forget makes one of everything.
func forget(t *testing.T) {
	model := must[*peft.Model](t)(peft.Open(background, smallBase, nil))
	must[*peft.LoadReport](t)(model.LoadAdapter(background, "plain", smallAdapter, nil))
	session := must[*peft.Session](t)(model.NewSession(nil))
	view := must[peft.View](t)(session.Logits(manyTokens(), nil))
	must[[]float32](t)(view.Float32s())
	activation := must[*peft.Activation](t)(model.NewActivation([]string{"plain"}, nil))
	runner := must[*peft.LayerRunner](t)(model.NewLayerRunner())
	layer := must[peft.LayerID](t)(model.FindLayer("model.layers.0.self_attn.q_proj", nil))
	x, y := peft.ViewOf(weights(16), 1, 16), peft.ViewOf(weights(16), 1, 16)
	check(t, runner.Run(layer, x, y, nil))
	lowered := must[*peft.Lowered](t)(model.LowerLayer(layer, activation))
	must[peft.View](t)(lowered.Tensor(0, peft.FormTensorA))
	dict := must[*peft.StateDict](t)(peft.NewStateDict())
	check(t, dict.Set("x", peft.ViewOf(weights(1000))))
	tensor := must[*peft.Tensor](t)(dict.Get("x"))
	must[[]float32](t)(tensor.Float32s())
}

func TestAllocatorComesTooLate(t *testing.T) {
	small(t)
	allocator := peft.Allocator{}
	allocator.Allocate, allocator.Deallocate = counting.Functions()
	err := peft.SetAllocator(allocator)
	equal(t, errors.Is(err, peft.ErrAllocator), true)
}
