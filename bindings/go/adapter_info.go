package peft

// #include "peft_go.h"
import "C"

import "runtime"

// AdapterInfo has the facts of a loaded adapter.
type AdapterInfo struct {
	PEFTType string // "LORA"
	// Tells apart what was ever loaded under the name; over 0.
	Generation uint64
	// The largest rank of a layer; 0 for methods without one.
	Rank int64
	// The elements of its tensors, and the bytes of memory that it takes.
	NumParameters int64
	SizeBytes     int64
	// The number of layers that it changes.
	NumSites int64
	// What SetScale set; at first 1.
	Scale float32
	// It is among the active ones, also while adapters are disabled.
	IsActive bool
	IsPinned bool
	// It was loaded as trainable, or made by AddAdapter.
	IsTrainable bool
}

// AdapterInfo returns the facts of adapter name ("": the first active one).
func (m *Model) AdapterInfo(name string) (AdapterInfo, error) {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.optionalArg(name)
	if a.err != nil {
		return AdapterInfo{}, a.err
	}
	var info C.peft_adapter_info_t
	info.struct_size = C.sizeof_peft_adapter_info_t
	if err := toError(C.peft_model_get_adapter_info(m.c(), cName, &info)); err != nil {
		return AdapterInfo{}, err
	}
	return AdapterInfo{
		PEFTType:      C.GoString(info.peft_type),
		Generation:    uint64(info.generation),
		Rank:          int64(info.rank),
		NumParameters: int64(info.num_parameters),
		SizeBytes:     int64(info.size_bytes),
		NumSites:      int64(info.num_sites),
		Scale:         float32(info.scale),
		IsActive:      info.is_active != 0,
		IsPinned:      info.is_pinned != 0,
		IsTrainable:   info.is_trainable != 0,
	}, nil
}

// AdapterSource returns the folder that adapter name ("": the first active one)
// was loaded from, that in the cache for one of the Hub, "" for one that came
// from memory.
func (m *Model) AdapterSource(name string) (string, error) {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.optionalArg(name)
	if a.err != nil {
		return "", a.err
	}
	var source *C.peft_string_t
	if err := toError(C.peft_model_get_adapter_source(m.c(), cName, &source)); err != nil {
		return "", err
	}
	return takeString(source), nil
}

// AdapterConfig returns the adapter_config.json that SaveAdapter writes for
// adapter name ("": the first active one).
func (m *Model) AdapterConfig(name string) (string, error) {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.optionalArg(name)
	if a.err != nil {
		return "", a.err
	}
	var json *C.peft_string_t
	if err := toError(C.peft_model_get_adapter_config(m.c(), cName, &json)); err != nil {
		return "", err
	}
	return takeString(json), nil
}

// HasAdapter tells whether an adapter name is loaded.
func (m *Model) HasAdapter(name string) (bool, error) {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.arg(name)
	if a.err != nil {
		return false, a.err
	}
	var has C.int32_t
	err := toError(C.peft_model_has_adapter(m.c(), cName, &has))
	return has != 0, err
}

// AdapterEstimate says what an adapter will take before it is loaded.
type AdapterEstimate struct {
	// The bytes of memory once it is loaded, at most.
	SizeBytes int64
	// The bytes of the file that holds its tensors.
	FileBytes int64
	// Of all tensors: their elements and their number.
	NumParameters int64
	NumTensors    int64
}

// EstimateAdapter returns what the adapter in the PEFT folder, or of the Hub
// id, path would take, from the index of its tensors alone. subfolder may be
// "". Options of the Hub are those of the environment: others are
// FetchAdapter's, which gives a folder. It cannot be cancelled.
func EstimateAdapter(path, subfolder string) (AdapterEstimate, error) {
	var a arena
	cPath, cSubfolder := a.arg(path), a.optionalArg(subfolder)
	if a.err != nil {
		return AdapterEstimate{}, a.err
	}
	var estimate C.peft_adapter_estimate_t
	estimate.struct_size = C.sizeof_peft_adapter_estimate_t
	if err := toError(C.peft_estimate_adapter(cPath, cSubfolder, &estimate)); err != nil {
		return AdapterEstimate{}, err
	}
	return newEstimate(&estimate), nil
}

func newEstimate(estimate *C.peft_adapter_estimate_t) AdapterEstimate {
	return AdapterEstimate{
		SizeBytes:     int64(estimate.size_bytes),
		FileBytes:     int64(estimate.file_bytes),
		NumParameters: int64(estimate.num_parameters),
		NumTensors:    int64(estimate.num_tensors),
	}
}

// InspectAdapter returns a JSON object that describes the PEFT folder, or the
// adapter of the Hub id, path, of any method, also of those that cannot run
// yet; docs/c-api.md has its fields. With model not nil it says also which of
// its modules match. subfolder may be "". It cannot be cancelled.
func InspectAdapter(path, subfolder string, model *Model) (string, error) {
	defer runtime.KeepAlive(model)
	var a arena
	cPath, cSubfolder := a.arg(path), a.optionalArg(subfolder)
	if a.err != nil {
		return "", a.err
	}
	var json *C.peft_string_t
	if err := toError(C.peft_inspect_adapter(cPath, cSubfolder, model.c(), &json)); err != nil {
		return "", err
	}
	return takeString(json), nil
}
