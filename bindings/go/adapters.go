package peft

// #include "peft_go.h"
import "C"

import "runtime"

// AddAdapterOptions say how a new adapter is made.
type AddAdapterOptions struct {
	// Seeds torch's generator, from which the factors are drawn as
	// torch.manual_seed and PEFT do.
	Seed uint64
}

// AddAdapter makes a fresh adapter of any method and kind of layer that can be
// loaded, as get_peft_model does after torch.manual_seed(seed), and makes it the
// only active one. It is trainable. configJSON is the text of an
// adapter_config.json; only peft_type must be there. AdapterConfig gives it
// filled in as PEFT does. options may be nil.
func (m *Model) AddAdapter(name, configJSON string, options *AddAdapterOptions) error {
	defer runtime.KeepAlive(m)
	var a arena
	cName, cConfig := a.optionalArg(name), a.arg(configJSON)
	if a.err != nil {
		return a.err
	}
	var cOptions C.peft_add_adapter_options_t
	C.peft_add_adapter_options_init(&cOptions, C.sizeof_peft_add_adapter_options_t)
	if options != nil {
		cOptions.seed = C.uint64_t(options.Seed)
	}
	return m.toError(C.peft_model_add_adapter(m.c(), cName, cConfig, &cOptions))
}

// SetAdapter makes exactly these adapters active, in this order; their effects
// add up. Without names the base model runs. It does not enable disabled
// adapters.
func (m *Model) SetAdapter(names ...string) error {
	return m.SetAdapterScaled(names, nil)
}

// SetAdapterOptions say how adapters act together.
type SetAdapterOptions struct {
	// One finite number per name, multiplied with the adapter's own scale; 0 and
	// negative ones are allowed. Default nil: all 1.
	Scales []float32
}

// SetAdapterScaled is SetAdapter with options, which may be nil.
func (m *Model) SetAdapterScaled(names []string, options *SetAdapterOptions) error {
	defer runtime.KeepAlive(m)
	var scales []float32
	if options != nil {
		scales = options.Scales
	}
	if err := checkScales(scales, names); err != nil {
		return err
	}
	var a arena
	defer a.free()
	cNames, count := a.texts(names)
	if a.err != nil {
		return a.err
	}
	return toError(C.peft_go_set_adapter(m.c(), cNames, count, pointer[C.float](scales)))
}

// checkScales fails where there are scales, but not as many as names.
func checkScales(scales []float32, names []string) error {
	if scales != nil && len(scales) != len(names) {
		return argumentError("%d scales for %d names; give one for each", len(scales), len(names))
	}
	return nil
}

// DisableAdapters makes forwards run the base model, exactly. Which adapters
// are active is remembered.
func (m *Model) DisableAdapters() error {
	defer runtime.KeepAlive(m)
	return toError(C.peft_model_disable_adapters(m.c()))
}

// EnableAdapters undoes DisableAdapters.
func (m *Model) EnableAdapters() error {
	defer runtime.KeepAlive(m)
	return toError(C.peft_model_enable_adapters(m.c()))
}

// ActiveAdapters returns the active adapters in order, also while they are
// disabled.
func (m *Model) ActiveAdapters() ([]string, error) {
	defer runtime.KeepAlive(m)
	var names *C.peft_string_list_t
	if err := toError(C.peft_model_active_adapters(m.c(), &names)); err != nil {
		return nil, err
	}
	return takeStringList(names), nil
}

// ListAdapters returns all loaded adapters, in load order.
func (m *Model) ListAdapters() ([]string, error) {
	defer runtime.KeepAlive(m)
	var names *C.peft_string_list_t
	if err := toError(C.peft_model_list_adapters(m.c(), &names)); err != nil {
		return nil, err
	}
	return takeStringList(names), nil
}

// AdapterStateDict returns the tensors of adapter name ("": the first active
// one) under the names that get_adapter_state_dict gives them in Python.
func (m *Model) AdapterStateDict(name string) (*StateDict, error) {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.optionalArg(name)
	if a.err != nil {
		return nil, a.err
	}
	var handle *C.peft_state_dict_t
	if err := toError(C.peft_model_get_adapter_state_dict(m.c(), cName, &handle)); err != nil {
		return nil, err
	}
	return newStateDict(handle), nil
}

// DeleteAdapter deletes these adapters, all or none. Active ones among the
// others stay active; forwards that run finish with what they began with.
func (m *Model) DeleteAdapter(names ...string) error {
	defer runtime.KeepAlive(m)
	var a arena
	defer a.free()
	cNames, count := a.texts(names)
	if a.err != nil {
		return a.err
	}
	return toError(C.peft_model_delete_adapter(m.c(), cNames, count))
}

// SaveOptions say how an adapter is saved.
type SaveOptions struct {
	// Replaces the adapter that is at the path; other files in its folder stay.
	Overwrite bool
	// Of an adapter whose init takes something from the base (pissa, olora and
	// others): the folder of the adapter as it was before training. What is
	// written is then a plain LoRA of twice the rank for the base as it was.
	// Default "": the adapter as it is.
	PathInitialModelForWeightConversion string
}

// SaveAdapter writes adapter name ("": the first active one) as the folder
// path, which Python PEFT loads to the same tensors. The folder appears whole
// or not at all; its parent must exist. options may be nil.
func (m *Model) SaveAdapter(name, path string, options *SaveOptions) error {
	defer runtime.KeepAlive(m)
	var a arena
	cName, cPath := a.optionalArg(name), a.arg(path)
	var cOptions C.peft_save_options_t
	C.peft_save_options_init(&cOptions, C.sizeof_peft_save_options_t)
	if options != nil {
		cOptions.overwrite = flag(options.Overwrite)
		cOptions.path_initial_model_for_weight_conversion =
			a.text(options.PathInitialModelForWeightConversion)
	}
	if a.err != nil {
		return a.err
	}
	return toError(C.peft_model_save_adapter(m.c(), cName, cPath, &cOptions))
}

// RenameAdapter gives adapter name another name. What is active stays so, and
// activations keep it.
func (m *Model) RenameAdapter(name, newName string) error {
	defer runtime.KeepAlive(m)
	var a arena
	cName, cNewName := a.arg(name), a.arg(newName)
	if a.err != nil {
		return a.err
	}
	return toError(C.peft_model_rename_adapter(m.c(), cName, cNewName))
}

// SetScale multiplies all that adapter name adds by scale, wherever it is
// active, whatever was set before. The scale of SetAdapterScaled or of an
// activation comes on top; activations that exist keep theirs.
func (m *Model) SetScale(name string, scale float32) error {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.arg(name)
	if a.err != nil {
		return a.err
	}
	return toError(C.peft_model_set_scale(m.c(), cName, C.float(scale)))
}

// SetAdapterLimit limits the loaded adapters: their bytes and their number; 0:
// no limit. A load that would go over it evicts the adapters whose last use is
// longest ago. Those that are active, pinned, trainable or named by an
// activation stay.
func (m *Model) SetAdapterLimit(maxBytes, maxAdapters int64) error {
	defer runtime.KeepAlive(m)
	return toError(C.peft_model_set_adapter_limit(m.c(), C.int64_t(maxBytes), C.int64_t(maxAdapters)))
}

// PinAdapter says whether adapter name is never evicted.
func (m *Model) PinAdapter(name string, pinned bool) error {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.arg(name)
	if a.err != nil {
		return a.err
	}
	return toError(C.peft_model_pin_adapter(m.c(), cName, flag(pinned)))
}
