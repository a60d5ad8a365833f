package peft_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"

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
}

func TestAllocatorComesTooLate(t *testing.T) {
	small(t)
	allocator := peft.Allocator{}
	allocator.Allocate, allocator.Deallocate = counting.Functions()
	err := peft.SetAllocator(allocator)
	equal(t, errors.Is(err, peft.ErrAllocator), true)
}
