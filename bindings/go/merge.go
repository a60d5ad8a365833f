package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// MergeOptions say how adapters are merged.
type MergeOptions struct {
	// One finite number per name, multiplied with the adapter's own scale.
	// Default nil: those that active adapters act with now, 1 for the others.
	Scales []float32
	// A merged weight that is NaN or infinite is ErrMergeNotFinite, and nothing
	// has changed.
	SafeMerge bool
}

// MergeAdapter writes what these adapters do into new weights, which stand for
// those of the base until UnmergeAdapter; the base's own are kept. Without
// names those that are active are merged. Other active adapters act on top.
// While adapters are merged SetAdapter, and a load, unmerge first and log a
// warning; deleting one of them, and naming adapters for single rows, is
// ErrMerged. options may be nil. It cannot be cancelled.
func (m *Model) MergeAdapter(names []string, options *MergeOptions) error {
	defer runtime.KeepAlive(m)
	if options == nil {
		options = &MergeOptions{}
	}
	if err := checkScales(options.Scales, names); err != nil {
		return err
	}
	var a arena
	defer a.free()
	cNames, count := a.texts(names)
	if a.err != nil {
		return a.err
	}
	return m.toError(C.peft_go_merge_adapter(m.c(), cNames, count,
		pointer[C.float](options.Scales), flag(options.SafeMerge)))
}

// UnmergeAdapter goes back to the base's own weights, bit by bit and at once.
// It does nothing when nothing is merged.
func (m *Model) UnmergeAdapter() error {
	defer runtime.KeepAlive(m)
	return m.toError(C.peft_model_unmerge_adapter(m.c()))
}

// MergedAdapters returns the merged adapters in order, also while adapters are
// disabled.
func (m *Model) MergedAdapters() ([]string, error) {
	defer runtime.KeepAlive(m)
	var names *C.peft_string_list_t
	if err := toError(C.peft_model_merged_adapters(m.c(), &names)); err != nil {
		return nil, err
	}
	return takeStringList(names), nil
}

// MergeAndUnloadOptions say how a merged model is written.
type MergeAndUnloadOptions struct {
	// The adapters to merge, in this order. Default: those that are merged now
	// and those that are active.
	Names []string
	// As in MergeOptions.
	Scales    []float32
	SafeMerge bool
	// Called after each tensor that was written, with the bytes that are done
	// and those of all. An error ends the call, which wraps it.
	OnProgress func(done, total int64) error
}

// MergeAndUnload writes the model with these adapters merged as the Hugging
// Face folder path, which transformers and Open open like any other. The model
// itself does not change. The folder appears whole or not at all; its parent
// must exist. The context ends it between two tensors. options may be nil.
func (m *Model) MergeAndUnload(ctx context.Context, path string, options *MergeAndUnloadOptions) error {
	defer runtime.KeepAlive(m)
	if err := begin(ctx); err != nil {
		return err
	}
	if options == nil {
		options = &MergeAndUnloadOptions{}
	}
	if err := checkScales(options.Scales, options.Names); err != nil {
		return err
	}
	var a arena
	defer a.free()
	cPath := a.arg(path)
	cOptions := (*C.peft_merge_and_unload_options_t)(a.alloc(C.sizeof_peft_merge_and_unload_options_t))
	C.peft_merge_and_unload_options_init(cOptions, C.sizeof_peft_merge_and_unload_options_t)
	cOptions.names, cOptions.num_names = a.texts(options.Names)
	cOptions.scales = (*C.float)(copied(&a, options.Scales))
	cOptions.safe_merge = flag(options.SafeMerge)
	call := newCall(ctx)
	cOptions.on_progress, cOptions.user_data = call.watch(&a, options.OnProgress)
	if a.err != nil {
		return a.err
	}
	return call.finish(m.toError(C.peft_model_merge_and_unload(m.c(), cPath, cOptions)))
}

// WriteQuantized writes the base of a model that was opened with a WeightFormat
// as the folder path, which Open opens with the same numbers. Adapters are no
// part of it. The folder appears whole or not at all; its parent must exist.
// onProgress, which may be nil, is called as that of MergeAndUnloadOptions. The
// context ends it between two tensors.
func (m *Model) WriteQuantized(ctx context.Context, path string, onProgress func(done, total int64) error) error {
	defer runtime.KeepAlive(m)
	if err := begin(ctx); err != nil {
		return err
	}
	var a arena
	defer a.free()
	cPath := a.arg(path)
	call := newCall(ctx)
	progress, userData := call.watch(&a, onProgress)
	if a.err != nil {
		return a.err
	}
	return call.finish(m.toError(C.peft_model_write_quantized(m.c(), cPath, progress, userData)))
}

// watch returns what has the library tell onProgress, which may be nil, and the
// context end the call: nothing where neither can.
func (c *call) watch(a *arena, onProgress func(done, total int64) error) (C.peft_progress_fn, unsafe.Pointer) {
	if onProgress == nil && c.ctx.Done() == nil {
		return nil, nil
	}
	c.onProgress = onProgress
	return C.peft_progress_fn(C.peftGoProgress), a.userData(c)
}

// Unload deletes all adapters and keeps the base: what is merged is unmerged.
func (m *Model) Unload() error {
	defer runtime.KeepAlive(m)
	return toError(C.peft_model_unload(m.c()))
}

// CombineOptions say how adapters are combined.
type CombineOptions struct {
	// Default CombineSVD, PEFT's own.
	CombinationType Combination
	// Default MajoritySignTotal.
	MajoritySignMethod MajoritySign
	// The rank of the types with "SVD"; default 0: the largest of the sources.
	SVDRank int64
	// The quantile of their elements that they are clamped to, over 0 and up to
	// 1; default 0: they are not.
	SVDClamp float32
	// The part of the elements that ties, dare and magnitude_prune keep, over 0
	// and up to 1. Default 0: not set, which these types refuse.
	Density float32
	// Seeds torch's generator for dare.
	Seed uint64
	// PEFT hands these two on to torch's decomposition. They choose an
	// algorithm, not a result, and are without effect here. Default true.
	SVDFullMatrices *bool
	// "", the default, or "gesvd", "gesvdj", "gesvda".
	SVDDriver string
}

// AddWeightedAdapter makes adapter newName of loaded ones with as many finite
// weights, as PEFT's add_weighted_adapter does. Its scale is 1; it is frozen and
// not activated. options may be nil. It cannot be cancelled.
func (m *Model) AddWeightedAdapter(newName string, names []string, weights []float32, options *CombineOptions) error {
	defer runtime.KeepAlive(m)
	if options == nil {
		options = &CombineOptions{}
	}
	if len(weights) != len(names) {
		return argumentError("%d weights for %d names; give one for each", len(weights), len(names))
	}
	var a arena
	defer a.free()
	cNewName := a.arg(newName)
	cNames, count := a.texts(names)
	cOptions := options.c(&a)
	if a.err != nil {
		return a.err
	}
	return m.toError(C.peft_model_add_weighted_adapter(m.c(), cNewName, cNames,
		pointer[C.float](weights), count, cOptions))
}

func (o *CombineOptions) c(a *arena) *C.peft_combine_options_t {
	options := (*C.peft_combine_options_t)(a.alloc(C.sizeof_peft_combine_options_t))
	C.peft_combine_options_init(options, C.sizeof_peft_combine_options_t)
	if o.CombinationType != 0 {
		options.combination_type = C.int32_t(o.CombinationType)
	}
	if o.MajoritySignMethod != 0 {
		options.majority_sign_method = C.int32_t(o.MajoritySignMethod)
	}
	options.svd_rank = C.int64_t(o.SVDRank)
	options.svd_clamp = C.float(o.SVDClamp)
	options.density = C.float(o.Density)
	options.seed = C.uint64_t(o.Seed)
	if o.SVDFullMatrices != nil {
		options.svd_full_matrices = flag(*o.SVDFullMatrices)
	}
	options.svd_driver = a.text(o.SVDDriver)
	return options
}
