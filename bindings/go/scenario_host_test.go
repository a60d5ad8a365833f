package peft_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"peft"
)

func init() {
	verbs["create_model"] = (*runner).createModel
	verbs["run_layer"] = (*runner).runLayer
	verbs["runner_run"] = func(r *runner, s *step) (facts, error) {
		return r.runWith(s, (*peft.LayerRunner).Run)
	}
	verbs["runner_add_delta"] = func(r *runner, s *step) (facts, error) {
		return r.runWith(s, (*peft.LayerRunner).AddDelta)
	}
	verbs["lower_layer"] = (*runner).lowerLayer
	verbs["host_weight"] = (*runner).hostWeight
}

func init() {
	verbs["open_model_files"] = func(r *runner, s *step) (facts, error) {
		return r.withFiles(s, func(files []peft.File) (facts, error) {
			return r.open("", &peft.ModelOptions{NumThreads: 1, Files: files})
		})
	}
	verbs["load_adapter_files"] = func(r *runner, s *step) (facts, error) {
		return r.withFiles(s, func(files []peft.File) (facts, error) {
			options := loadOptions(s)
			options.Files = files
			return reported(r.model.LoadAdapter(background, s.Name, "", options))
		})
	}
	verbs["estimate_files"] = func(r *runner, s *step) (facts, error) {
		return r.withFiles(s, func(files []peft.File) (facts, error) {
			estimate, err := peft.EstimateFiles(files)
			return fieldsOf(estimate), err
		})
	}
	verbs["inspect_files"] = func(r *runner, s *step) (facts, error) {
		return r.withFiles(s, func(files []peft.File) (facts, error) {
			return parsed(peft.InspectFiles(files, nil))
		})
	}
}

type hostLayer struct {
	Name            string `json:"name"`
	Kind            string `json:"kind"`
	Weight          string `json:"weight"`
	Bias            string `json:"bias"`
	CopyWeights     *int   `json:"copy_weights"`
	WritableWeights int    `json:"writable_weights"`
	NoData          int    `json:"no_data"`
}

type hostFile struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

// outsideGo returns a copy of data that the library may keep.
func outsideGo(data []byte) ([]byte, error) {
	memory, err := syscall.Mmap(-1, 0, len(data),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	copy(memory, data)
	return memory, err
}

// readWeights copies the tensors of a file to memory outside of Go's.
func (r *runner) readWeights(path string) error {
	dict, err := peft.ReadStateDict(r.path(path))
	if err != nil {
		return err
	}
	defer dict.Close()
	r.weights = map[string]peft.View{}
	for _, name := range dict.Names() {
		tensor, err := dict.Get(name)
		if err != nil {
			return err
		}
		data, err := tensor.View().Bytes()
		if err != nil {
			return err
		}
		memory, err := outsideGo(data)
		if err != nil {
			return err
		}
		r.weights[name] = peft.ViewAt(unsafe.Pointer(&memory[0]), tensor.DType(), tensor.Sizes()...)
		tensor.Close()
	}
	return nil
}

func (r *runner) createModel(s *step) (facts, error) {
	if err := r.readWeights(s.Tensors); err != nil {
		return nil, err
	}
	layers := make([]peft.Layer, len(s.Layers))
	for i, layer := range s.Layers {
		layers[i] = peft.Layer{
			Name:            layer.Name,
			Weight:          r.weights[layer.Weight],
			Bias:            r.weights[layer.Bias],
			ShareWeights:    layer.CopyWeights != nil && *layer.CopyWeights == 0,
			WritableWeights: layer.WritableWeights != 0,
		}
		for kind := peft.LayerOther; kind <= peft.LayerParameter; kind++ {
			if kind.String() == strings.ToUpper(layer.Kind) {
				layers[i].Kind = kind
			}
		}
		if layer.NoData != 0 {
			weight := layers[i].Weight
			layers[i].Weight = peft.ViewAt(nil, weight.DType(), weight.Sizes()...)
		}
	}
	model, err := peft.NewModel(layers, &peft.ModelOptions{NumThreads: 1})
	if err != nil {
		return nil, err
	}
	return r.take(model, nil)
}

// layerInput is the array that a layer gets.
func (s *step) layerInput() (peft.View, error) {
	if s.IDs == nil {
		return peft.ViewOf(s.X, s.Shape...), nil
	}
	var ids []int64
	err := json.Unmarshal(s.IDs, &ids)
	return peft.ViewOf(ids, s.Shape...), err
}

func (r *runner) runLayer(s *step) (facts, error) {
	x, err := s.layerInput()
	if err != nil {
		return nil, err
	}
	y, err := r.model.RunLayer(s.Layer, x, nil)
	if err != nil {
		return nil, err
	}
	defer y.Close()
	values, err := y.Float32s()
	return facts{"shape": y.Sizes(), "values": values}, err
}

type layerCall func(*peft.LayerRunner, peft.LayerID, peft.View, peft.View, *peft.RunLayerOptions) error

func (r *runner) runWith(s *step, call layerCall) (facts, error) {
	layer, err := r.model.FindLayer(s.Layer, nil)
	if err != nil {
		return nil, err
	}
	if r.layers == nil {
		if r.layers, err = r.model.NewLayerRunner(); err != nil {
			return nil, err
		}
	}
	x, err := s.layerInput()
	if err != nil {
		return nil, err
	}
	y := s.Y
	if y == nil {
		count := int64(1)
		for _, size := range s.YShape {
			count *= size
		}
		for i := int64(0); i < count; i++ {
			y = append(y, float32(math.NaN()))
		}
	}
	options := &peft.RunLayerOptions{Rows: r.rows(s)}
	err = call(r.layers, layer, x, peft.ViewOf(y, s.YShape...), options)
	if err != nil {
		return nil, err
	}
	return facts{"shape": s.YShape, "values": y}, nil
}

func (r *runner) lowerLayer(s *step) (facts, error) {
	layer, err := r.model.FindLayer(s.Layer, nil)
	if err != nil {
		return nil, err
	}
	lowered, err := r.model.LowerLayer(layer, r.activations[s.Activation])
	if err != nil {
		return nil, err
	}
	defer lowered.Close()
	forms, err := lowered.Forms()
	if err != nil {
		return nil, err
	}
	kinds, scales, tensors := []string{}, []float32{}, []facts{}
	for i, form := range forms {
		kinds = append(kinds, strings.ToLower(form.Kind.String()))
		scales = append(scales, form.Scale)
		found, err := formTensors(lowered, i)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, found...)
	}
	return facts{"kinds": kinds, "shape": []int{len(forms)}, "values": scales, "tensors": tensors}, nil
}

func formTensors(lowered *peft.Lowered, form int) ([]facts, error) {
	var tensors []facts
	for name := peft.FormTensorA; name <= peft.FormTensorBias; name++ {
		view, err := lowered.Tensor(form, name)
		if errors.Is(err, peft.ErrTensorMissing) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := tensorFacts(strings.ToLower(name.String()), view)
		if err != nil {
			return nil, err
		}
		found["form"] = form
		tensors = append(tensors, found)
	}
	return tensors, nil
}

// tensorFacts is what steps expect of a tensor.
func tensorFacts(name string, view peft.View) (facts, error) {
	bytes, err := view.Bytes()
	if err != nil {
		return nil, err
	}
	hash := fnv.New64a()
	hash.Write(bytes)
	dtypes := map[peft.DType]string{
		peft.DTypeF32:  "float32",
		peft.DTypeF16:  "float16",
		peft.DTypeBF16: "bfloat16",
		peft.DTypeI64:  "int64",
	}
	return facts{
		"name":  name,
		"dtype": dtypes[view.DType()],
		"shape": view.Sizes(),
		"fnv1a": fmt.Sprintf("%016x", hash.Sum64()),
	}, nil
}

func (r *runner) hostWeight(s *step) (facts, error) {
	found, err := tensorFacts(s.Tensor, r.weights[s.Tensor])
	if err != nil {
		return nil, err
	}
	found["values"], err = r.weights[s.Tensor].Float32s()
	return found, err
}

// withFiles calls with the files of a step.
func (r *runner) withFiles(s *step, call func([]peft.File) (facts, error)) (facts, error) {
	var files []peft.File
	for _, described := range s.Files {
		file, err := os.Open(r.path(described.Path))
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if described.Size == 0 {
			info, err := file.Stat()
			if err != nil {
				return nil, err
			}
			described.Size = info.Size() - described.Offset
		}
		made, err := fileOf(s.Kind, described, file)
		if err != nil {
			return nil, err
		}
		files = append(files, made)
	}
	return call(files)
}

func fileOf(kind string, described hostFile, file *os.File) (peft.File, error) {
	name, offset, size := described.Name, described.Offset, described.Size
	data := make([]byte, size)
	if _, err := file.ReadAt(data, offset); err != nil {
		return peft.File{}, err
	}
	switch kind {
	case "fd":
		return peft.FileOfPart(name, file, offset, size), nil
	case "memory":
		memory, err := outsideGo(data)
		return peft.FileAt(name, unsafe.Pointer(&memory[0]), size, false), err
	case "read":
		return peft.FileOfReader(name, readerFunc(func(into []byte, at int64) (int, error) {
			if len(into) > 1000 {
				into = into[:1000]
			}
			return copy(into, data[at:]), nil
		}), size), nil
	}
	return peft.File{}, fmt.Errorf("unknown kind of file %s", kind)
}
