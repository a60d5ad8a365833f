package peft_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"unsafe"

	"peft"
)

// filesIn returns the files of a folder.
func filesIn(t testing.TB, folder string) []peft.File {
	t.Helper()
	return must[[]peft.File](t)(peft.FilesOf(os.DirFS(folder), "."))
}

func TestModelAndAdapterFromFilesOfAFileSystem(t *testing.T) {
	options := &peft.ModelOptions{Files: filesIn(t, smallBase), NumThreads: 1}
	model := must[*peft.Model](t)(peft.Open(background, "", options))
	defer model.Close()
	load := &peft.LoadOptions{Files: filesIn(t, smallAdapter)}
	must[*peft.LoadReport](t)(model.LoadAdapter(background, "plain", "", load))
	wanted := logits(t, sessionOf(t, adapted(t)), nil)
	equalSlices(t, logits(t, sessionOf(t, model), nil), wanted)
	must[*peft.LoadReport](t)(model.ReplaceAdapter(background, "plain", "", load))
}

func TestAdapterFromAPartOfAFile(t *testing.T) {
	config := must[[]byte](t)(os.ReadFile(smallAdapter + "/adapter_config.json"))
	tensors := must[[]byte](t)(os.ReadFile(smallAdapter + "/adapter_model.safetensors"))
	path := tempPath(t, "assets")
	check(t, os.WriteFile(path, bytes.Join([][]byte{make([]byte, 7), tensors, config}, nil), 0o600))
	for _, mapFile := range []bool{false, true} {
		assets := must[*os.File](t)(os.Open(path))
		model := small(t)
		options := &peft.LoadOptions{MapFile: mapFile, Files: []peft.File{
			peft.FileOfPart("adapter_model.safetensors", assets, 7, int64(len(tensors))),
			peft.FileOfPart("adapter_config.json", assets, 7+int64(len(tensors)), int64(len(config))),
		}}
		must[*peft.LoadReport](t)(model.LoadAdapter(background, "plain", "", options))
		check(t, assets.Close())
		wanted := logits(t, sessionOf(t, adapted(t)), nil)
		equalSlices(t, logits(t, sessionOf(t, model), nil), wanted)
	}
}

func TestAdapterInMemoryOfC(t *testing.T) {
	config := must[[]byte](t)(os.ReadFile(smallAdapter + "/adapter_config.json"))
	tensors := must[[]byte](t)(os.ReadFile(smallAdapter + "/adapter_model.safetensors"))
	holder := roundTrip(t, peft.ViewOf(append(tensors, config...)))
	memory := must[[]byte](t)(holder.View().Borrow())
	at := unsafe.Pointer(&memory[0])
	for _, shared := range []bool{false, true} {
		model := small(t)
		must[*peft.LoadReport](t)(model.LoadAdapter(background, "plain", "", &peft.LoadOptions{Files: []peft.File{
			peft.FileAt("adapter_model.safetensors", at, int64(len(tensors)), shared),
			peft.FileAt("adapter_config.json", unsafe.Add(at, len(tensors)), int64(len(config)), false),
		}}))
		wanted := logits(t, sessionOf(t, adapted(t)), nil)
		equalSlices(t, logits(t, sessionOf(t, model), nil), wanted)
		model.Close()
	}
}

func TestEstimateAndInspectFiles(t *testing.T) {
	files := filesIn(t, smallAdapter)
	equal(t, must[peft.AdapterEstimate](t)(peft.EstimateFiles(files)),
		must[peft.AdapterEstimate](t)(peft.EstimateAdapter(smallAdapter, "")))
	found := must[facts](t)(parsed(peft.InspectFiles(files, small(t))))
	equal(t, found["peft_type"] == "LORA", true)
	equal(t, found["model"] != nil, true)
	_, err := peft.EstimateFiles(nil)
	equal(t, err != nil, true)
}

func TestFilesAndAPathExcludeEachOther(t *testing.T) {
	options := &peft.LoadOptions{Files: filesIn(t, smallAdapter)}
	_, err := small(t).LoadAdapter(background, "plain", smallAdapter, options)
	equal(t, errors.Is(err, peft.ErrArgument), true)
	_, err = small(t).LoadAdapter(background, "plain", "", nil)
	equal(t, errors.Is(err, peft.InvalidArgument), true)
}

// A readerFunc is a function that reads.
type readerFunc func(into []byte, at int64) (int, error)

func (r readerFunc) ReadAt(into []byte, at int64) (int, error) {
	return r(into, at)
}

func TestErrorAndPanicOfAReaderComeOut(t *testing.T) {
	load := func(ctx context.Context, read readerFunc) error {

		files := []peft.File{peft.FileOfReader("adapter_config.json", read, 1000)}
		_, err := small(t).LoadAdapter(ctx, "plain", "", &peft.LoadOptions{Files: files})
		return err
	}
	worn := errors.New("the tape is worn")
	err := load(background, func([]byte, int64) (int, error) { return 0, worn })
	equal(t, errors.Is(err, worn), true)
	equal(t, errors.Is(err, peft.ErrFileRead), true)
	err = load(background, func([]byte, int64) (int, error) { return 0, io.EOF })
	equal(t, errors.Is(err, io.EOF), true)
	ctx, cancel := context.WithCancel(background)
	err = load(ctx, func(into []byte, _ int64) (int, error) {
		cancel()
		return len(into), nil
	})
	equal(t, errors.Is(err, context.Canceled), true)
	expectPanic(t, "no tape", func() {
		load(background, func([]byte, int64) (int, error) { panic("no tape") })
	})
}
