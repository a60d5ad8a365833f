// What calls cost from Go: does what benchmarks/ffi_overhead.c does.
// benchmarks/ffi.py runs both in turns.
//
// usage: ffi_overhead SCENARIO
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"peft"
)

// Where results go, so that no call is left out.
var sink float32

// A bench has what the calls need.
type bench struct {
	model   *peft.Model
	session *peft.Session
	x       []float32
	logits  []float32
}

func (b *bench) version() error {
	sink = float32(peft.APIVersion())
	return nil
}

func (b *bench) hasAdapter() error {
	has, err := b.model.HasAdapter("plain")
	if has {
		sink = 1
	}
	return err
}

func (b *bench) runLayer() error {
	x := peft.ViewOf(b.x, 1, 16)
	y, err := b.model.RunLayer("model.layers.0.self_attn.q_proj", x, nil)
	if err != nil {
		return err
	}
	defer y.Close()
	values, err := y.Float32s()
	sink = values[0]
	return err
}

func (b *bench) forward() error {
	if err := b.session.Reset(); err != nil {
		return err
	}
	logits, err := b.session.Logits(peft.Tokens(5), nil)
	if err != nil {
		return err
	}
	_, err = logits.CopyFloat32s(b.logits)
	sink = b.logits[0]
	return err
}

// measure returns how long count calls take.
func (b *bench) measure(name string, count int) (time.Duration, error) {
	calls := map[string]func() error{
		"version":     b.version,
		"has_adapter": b.hasAdapter,
		"run_layer":   b.runLayer,
		"forward":     b.forward,
	}
	call, start := calls[name], time.Now()
	for i := 0; i < count; i++ {
		if err := call(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func open(scenario string) (*bench, error) {
	ctx := context.Background()
	model, err := peft.Open(ctx, scenario+"/base", &peft.ModelOptions{NumThreads: 1})
	if err != nil {
		return nil, err
	}
	if _, err = model.LoadAdapter(ctx, "plain", scenario+"/adapters/plain", nil); err != nil {
		return nil, err
	}
	session, err := model.NewSession(nil)
	return &bench{model, session, append([]float32{1, 2, 3, 4}, make([]float32, 12)...), make([]float32, 32)}, err
}

func main() {
	b, err := open(os.Args[1])
	for err == nil {
		var name string
		var count int
		if _, err = fmt.Scanln(&name, &count); err != nil {
			break
		}
		var elapsed time.Duration
		if elapsed, err = b.measure(name, count); err == nil {
			fmt.Println(elapsed.Nanoseconds())
		}
	}
	if !errors.Is(err, io.EOF) {
		log.Fatal(err)
	}
}
