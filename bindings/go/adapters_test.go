package peft_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"peft"
)

func readText(t testing.TB, path string) string {
	t.Helper()
	return string(must[[]byte](t)(os.ReadFile(path)))
}

func TestAContextChangesNothingInAReport(t *testing.T) {
	model := small(t)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	plain := must[*peft.LoadReport](t)(model.LoadAdapter(background, "a", smallAdapter, nil))
	watched := must[*peft.LoadReport](t)(model.LoadAdapter(ctx, "b", smallAdapter, nil))
	equalSlices(t, watched.Lines, plain.Lines)
	equal(t, len(plain.Of(peft.ReportMatched)) > 0, true)
	equal(t, plain.Lines[0].Detail != "", true)
}

func TestEmptyNameIsTheDefault(t *testing.T) {
	model := small(t)
	must[*peft.LoadReport](t)(model.LoadAdapter(background, "", smallAdapter, nil))
	names := must[[]string](t)(model.ListAdapters())
	equalSlices(t, names, []string{"default"})
	info := must[peft.AdapterInfo](t)(model.AdapterInfo(""))
	equal(t, info.PEFTType, "LORA")
	equal(t, info.IsActive, true)
	equal(t, info.Scale, 1)
}

func TestFromMemoryRefusesWhereToLoadFrom(t *testing.T) {
	model := small(t)
	dict := must[*peft.StateDict](t)(peft.ReadStateDict(smallAdapter + "/adapter_model.safetensors"))
	defer dict.Close()
	config := readText(t, smallAdapter+"/adapter_config.json")
	for _, options := range []peft.LoadOptions{
		{Subfolder: "x"}, {Hub: peft.HubOptions{Revision: "main"}},
		{Hub: peft.HubOptions{LocalFilesOnly: true}}, {Hub: peft.HubOptions{ForceDownload: true}},
		{Hub: peft.HubOptions{CacheDir: "x"}}, {ExpectedGeneration: 1},
	} {
		_, err := model.LoadAdapterFromMemory("x", config, dict, &options)
		if !errors.Is(err, peft.ErrArgument) {
			t.Errorf("%+v: %v", options, err)
		}
	}
	must[*peft.LoadReport](t)(model.LoadAdapterFromMemory("x", config, dict, &peft.LoadOptions{IsTrainable: true}))
	equal(t, must[peft.AdapterInfo](t)(model.AdapterInfo("x")).IsTrainable, true)
}

func TestReplaceExpectsAGeneration(t *testing.T) {
	model := adapted(t)
	info := must[peft.AdapterInfo](t)(model.AdapterInfo("plain"))
	options := &peft.LoadOptions{ExpectedGeneration: info.Generation + 1}
	_, err := model.ReplaceAdapter(background, "plain", smallAdapter, options)
	equal(t, errors.Is(err, peft.ErrAdapterGeneration), true)
	options = &peft.LoadOptions{ExpectedGeneration: info.Generation, MapFile: true}
	must[*peft.LoadReport](t)(model.ReplaceAdapter(background, "plain", smallAdapter, options))
}

func TestScalesGoWithNames(t *testing.T) {
	model := adapted(t)
	scaled := &peft.SetAdapterOptions{Scales: []float32{1, 2}}
	_, activationErr := model.NewActivation([]string{"plain"}, []float32{1, 2})
	for i, err := range []error{
		model.SetAdapterScaled([]string{"plain"}, scaled),
		model.SetAdapterScaled([]string{"plain"}, &peft.SetAdapterOptions{Scales: []float32{}}),
		model.MergeAdapter([]string{"plain"}, &peft.MergeOptions{Scales: []float32{1, 2}}),
		model.MergeAndUnload(background, tempPath(t, "x"), &peft.MergeAndUnloadOptions{Scales: []float32{1}}),
		model.AddWeightedAdapter("x", []string{"plain"}, nil, nil),
		activationErr,
	} {
		if !errors.Is(err, peft.ErrArgument) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestMergeAndUnloadTellsHowFarItIs(t *testing.T) {
	model := adapted(t)
	path := tempPath(t, "merged")
	var done, total int64
	options := &peft.MergeAndUnloadOptions{SafeMerge: true, OnProgress: func(d, all int64) error {
		done, total = d, all
		return nil
	}}
	check(t, model.MergeAndUnload(background, path, options))
	equal(t, done > 0 && done == total, true)
	merged := must[*peft.Model](t)(peft.Open(background, path, nil))
	defer merged.Close()
	near(t, logits(t, sessionOf(t, merged), nil), logits(t, sessionOf(t, model), nil))
}

func TestAQuantisedModelIsWritten(t *testing.T) {
	options := &peft.ModelOptions{WeightFormat: peft.WeightFormatQ4, QuantizeHead: true}
	model := must[*peft.Model](t)(peft.Open(background, quickBase, options))
	defer model.Close()
	path := tempPath(t, "quantised")
	var done, total int64
	check(t, model.WriteQuantized(background, path, func(d, all int64) error {
		done, total = d, all
		return nil
	}))
	equal(t, done > 0 && done == total, true)
	written := must[*peft.Model](t)(peft.Open(background, path, nil))
	defer written.Close()
	near(t, logits(t, sessionOf(t, written), nil), logits(t, sessionOf(t, model), nil))
	err := adapted(t).WriteQuantized(background, tempPath(t, "no"), nil)
	equal(t, errors.Is(err, peft.ErrModelQuantized), true)
}

func TestMergeAndUnloadCanBeCancelled(t *testing.T) {
	model := adapted(t)
	path := tempPath(t, "merged")
	ctx, cancel := context.WithCancel(background)
	options := &peft.MergeAndUnloadOptions{OnProgress: func(int64, int64) error {
		cancel()
		return nil
	}}
	err := model.MergeAndUnload(ctx, path, options)
	equal(t, errors.Is(err, context.Canceled), true)
	_, err = os.Stat(path)
	equal(t, errors.Is(err, os.ErrNotExist), true)
	expectPanic(t, "no disk", func() {
		model.MergeAndUnload(background, path, &peft.MergeAndUnloadOptions{
			OnProgress: func(int64, int64) error { panic("no disk") }})
	})
}

func TestCombineOptionsReachTheLibrary(t *testing.T) {
	model := adapted(t)
	must[*peft.LoadReport](t)(model.LoadAdapter(background, "other", smallAdapter, nil))
	names, weights := []string{"plain", "other"}, []float32{0.5, 0.5}
	combine := func(options peft.CombineOptions) error {
		return model.AddWeightedAdapter("new", names, weights, &options)
	}
	for _, bad := range []peft.CombineOptions{
		{CombinationType: 99}, {MajoritySignMethod: 99, CombinationType: peft.CombineTies, Density: 0.5},
		{SVDRank: -1}, {SVDClamp: 2}, {CombinationType: peft.CombineTies},
		{SVDDriver: "none"}, {CombinationType: peft.CombineTies, Density: 2},
	} {
		if err := combine(bad); !errors.Is(err, peft.InvalidArgument) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	check(t, combine(peft.CombineOptions{SVDRank: 1, SVDFullMatrices: peft.Ptr(false), SVDDriver: "gesvd"}))
	equal(t, must[peft.AdapterInfo](t)(model.AdapterInfo("new")).Rank, 1)
}

func TestProbeOptionsReachTheLibrary(t *testing.T) {
	model := adapted(t)
	report := must[*peft.ProbeReport](t)(model.ProbeAdapter("", nil))
	equal(t, int(report.NumSites), len(report.Lines))
	line := report.Lines[0]
	equal(t, line.Name != "" && line.BaseNorm > 0 && line.DeltaNorm > 0 && line.Ratio > 0, true)
	equal(t, report.Ratio > 0 && report.MaxRatio >= report.Ratio, true)
	other := must[*peft.ProbeReport](t)(model.ProbeAdapter("", &peft.ProbeOptions{Seed: 5}))
	equal(t, other.Ratio == report.Ratio, false)
	_, err := model.ProbeAdapter("", &peft.ProbeOptions{Rows: 5000})
	equal(t, errors.Is(err, peft.ErrArgument), true)
}

func TestInspectSaysWhatAModelMatches(t *testing.T) {
	alone := must[string](t)(peft.InspectAdapter(smallAdapter, "", nil))
	with := must[string](t)(peft.InspectAdapter(smallAdapter, "", small(t)))
	var fields map[string]any
	check(t, json.Unmarshal([]byte(alone), &fields))
	equal(t, fields["model"] == nil, true)
	check(t, json.Unmarshal([]byte(with), &fields))
	equal(t, fields["model"] == nil, false)
}

func TestModelOptionsReachTheLibrary(t *testing.T) {
	open := func(options peft.ModelOptions) error {
		model, err := peft.Open(background, smallBase, &options)
		model.Close()
		return err
	}
	for _, bad := range []peft.ModelOptions{
		{ReadMode: 9}, {NumThreads: -1}, {LayerReplication: [][2]int64{{0, 99}}},
		{LayerReplication: [][2]int64{{0, 2}}, ForAdapters: []string{smallAdapter}},
		{Subfolder: "../base"}, {AdapterRevision: "\xff"}, {AdapterSubfolder: "\xff"},
	} {
		if err := open(bad); !errors.Is(err, peft.InvalidArgument) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	check(t, open(peft.ModelOptions{ReadMode: peft.ReadModeRead, ForAdapters: []string{smallAdapter}}))
	model := must[*peft.Model](t)(peft.Open(background, smallBase,
		&peft.ModelOptions{LayerReplication: [][2]int64{{0, 2}, {0, 1}}}))
	defer model.Close()
	info := must[peft.ModelInfo](t)(model.Info())
	equal(t, info.NumLayers, 3)
	equal(t, info.Task, peft.TaskCausalLM)
	parent := must[*peft.Model](t)(peft.Open(background, filepath.Dir(smallBase), &peft.ModelOptions{Subfolder: "base"}))
	parent.Close()
}

func TestSavedAdapterIsNotOverwrittenByItself(t *testing.T) {
	model := adapted(t)
	path := tempPath(t, "saved")
	check(t, model.SaveAdapter("", path, nil))
	equal(t, errors.Is(model.SaveAdapter("", path, nil), peft.ErrFileExists), true)
	check(t, model.SaveAdapter("", path, &peft.SaveOptions{Overwrite: true}))
	// Its init took nothing from the base.
	converted := &peft.SaveOptions{Overwrite: true, PathInitialModelForWeightConversion: path}
	equal(t, errors.Is(model.SaveAdapter("", path, converted), peft.ErrArgument), true)
}
