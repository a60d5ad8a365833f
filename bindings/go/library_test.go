package peft_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"peft"
)

func TestBuildInfoSaysWhatTheLibraryIs(t *testing.T) {
	info := peft.GetBuildInfo()
	equal(t, info.APIVersion, peft.APIVersion())
	equal(t, info.APIVersion >= peft.HeaderVersion, true)
	equal(t, info.Version != "" && info.Compiler != "" && info.CPUKernels != "", true)
	equal(t, strings.Contains(strings.Join(info.Methods, " "), "LORA"), true)
	equal(t, strings.Contains(strings.Join(info.ModelTypes, " "), "llama"), true)
}

func TestConstantsHaveNames(t *testing.T) {
	for wanted, constant := range map[string]fmt.Stringer{
		"NOT_FOUND":            peft.NotFound,
		"F8_E4M3FNUZ":          peft.DTypeF8E4M3FNUZ,
		"READ":                 peft.ReadModeRead,
		"CAUSAL_LM":            peft.TaskCausalLM,
		"IGNORED_KEY":          peft.ReportIgnoredKey,
		"DARE_TIES_SVD":        peft.CombineDareTiesSVD,
		"FREQUENCY":            peft.MajoritySignFrequency,
		"STOP":                 peft.FinishStop,
		"CONV1D_HF":            peft.LayerConv1DHF,
		"WARNING":              peft.LogWarning,
		"TIMEOUT":              peft.TransportTimeout,
		"CPU":                  peft.DeviceCPU,
		"CUDA":                 peft.DeviceCUDA,
		"LOGITS|POOLER_OUTPUT": peft.OutputLogits | peft.OutputPoolerOutput,
		"LOGITS|Outputs(64)":   peft.OutputLogits | 64,
		"Outputs(0)":           peft.Outputs(0),
		"DType(99)":            peft.DType(99),
		"LAST_HIDDEN_STATE":    peft.OutputLastHiddenState,
	} {
		equal(t, constant.String(), wanted)
	}
}

// provoke makes the library log a warning: a set_adapter that unmerges.
func provoke(t testing.TB, model *peft.Model) {
	t.Helper()
	check(t, model.MergeAdapter([]string{"plain"}, nil))
	check(t, model.SetAdapter("plain"))
}

func TestLoggerReceivesLines(t *testing.T) {
	model := adapted(t)
	var mu sync.Mutex
	var lines []string
	peft.SetLogger(func(level peft.LogLevel, line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, level.String()+" "+line)
	})
	defer peft.SetLogger(nil)
	provoke(t, model)
	mu.Lock()
	defer mu.Unlock()
	equal(t, len(lines), 1)
	equal(t, strings.HasPrefix(lines[0], "WARNING "), true)
}

func TestLogLevelDropsLines(t *testing.T) {
	model := adapted(t)
	lines := 0
	peft.SetLogger(func(peft.LogLevel, string) { lines++ })
	defer peft.SetLogger(nil)
	defer peft.SetLogLevel(peft.LogInfo)
	check(t, peft.SetLogLevel(peft.LogError))
	provoke(t, model)
	equal(t, lines, 0)
	check(t, peft.SetLogLevel(peft.LogWarning))
	provoke(t, model)
	equal(t, lines, 1)
	check(t, peft.SetLogLevel(peft.LogNone))
	provoke(t, model)
	equal(t, lines, 1)
	equal(t, errors.Is(peft.SetLogLevel(99), peft.ErrArgument), true)
}

func TestLoggerMayPanic(t *testing.T) {
	model := adapted(t)
	peft.SetLogger(func(peft.LogLevel, string) { panic("no log") })
	defer peft.SetLogger(nil)
	stderr := os.Stderr
	read, write, err := os.Pipe()
	check(t, err)
	os.Stderr = write
	defer func() { os.Stderr = stderr }()
	provoke(t, model)
	write.Close()
	text := make([]byte, 1000)
	size, _ := read.Read(text)
	equal(t, strings.Contains(string(text[:size]), "no log"), true)
}
