package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"runtime"
)

// LoadOptions say how an adapter is loaded. The default is strict: whatever
// would make the result differ from Python's is an error that names it.
type LoadOptions struct {
	// A folder below the adapter's own.
	Subfolder string
	// Missing tensors (they act as zero; for those of saved modules and trained
	// tokens and biases the base's own stand), unexpected tensors, unknown config
	// keys and another base than the one that the file was saved over are lines of
	// the report instead of errors.
	Lenient bool
	// Of the Hub.
	Hub HubOptions
	// Marks the adapter as trainable; a limit never evicts it.
	IsTrainable bool
	// Takes a file whose initialisation changed the base by factors that neither
	// file nor base tell (pissa_niter_n, corda, loftq, lora_ga) and that was not
	// converted: it acts on the base as it is.
	AllowUnconvertedInit bool
	// Of ReplaceAdapter: the generation that must be there. Default: any.
	ExpectedGeneration uint64
	// Maps the file of the tensors instead of copying it. Truncating it then
	// kills the process with SIGBUS, and writing to it changes the adapter: for
	// files that are only ever replaced, as those of the Hub's cache.
	MapFile bool
	// The files of the adapter's folder, wherever they are. The path must then be
	// "", and options that say where an adapter comes from are refused. MapFile
	// decides whether a FileOfPart is mapped. Default: none.
	Files []File
}

// c returns the options in memory of C, and what their callbacks need.
func (o *LoadOptions) c(ctx context.Context, a *arena) (*C.peft_load_options_t, *call) {
	if o == nil {
		o = &LoadOptions{}
	}
	options := (*C.peft_load_options_t)(a.alloc(C.sizeof_peft_load_options_t))
	C.peft_load_options_init(options, C.sizeof_peft_load_options_t)
	options.subfolder = a.text(o.Subfolder)
	options.lenient = flag(o.Lenient)
	options.is_trainable = flag(o.IsTrainable)
	options.allow_unconverted_init = flag(o.AllowUnconvertedInit)
	options.expected_generation = C.uint64_t(o.ExpectedGeneration)
	options.map_file = flag(o.MapFile)
	call := o.Hub.toLoad(ctx, a, options)
	options.files, options.num_files = filesInC(a, o.Files, call)
	return options, call
}

// toLoad sets the Hub's part of options.
func (h *HubOptions) toLoad(ctx context.Context, a *arena, options *C.peft_load_options_t) *call {
	options.revision = a.text(h.Revision)
	options.token = a.text(h.Token)
	options.cache_dir = a.text(h.CacheDir)
	options.proxies, options.num_proxies = a.texts(h.Proxies)
	options.local_files_only = flag(h.LocalFilesOnly)
	options.force_download = flag(h.ForceDownload)
	options.endpoint = a.text(h.Endpoint)
	call, listens := h.newCall(ctx)
	if listens {
		options.on_download = C.peft_download_fn(C.peftGoDownload)
		options.user_data = a.userData(call)
	}
	if h.Transport != nil {
		options.transport = C.peft_transport_fn(C.peft_go_transport)
		options.transport_user_data = a.userData(call)
	}
	return call
}

// A loader is a function of the library that loads, but for its last two
// arguments.
type loader func(options *C.peft_load_options_t, report **C.peft_load_report_t) *C.peft_status_t

// load calls loader, whose texts are the arena's, and frees the arena.
func (m *Model) load(ctx context.Context, a *arena, options *LoadOptions, load loader) (*LoadReport, error) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(options)
	defer a.free()
	if err := begin(ctx); err != nil {
		return nil, err
	}
	cOptions, call := options.c(ctx, a)
	if a.err != nil {
		return nil, a.err
	}
	var report *C.peft_load_report_t
	if err := call.finish(m.toError(load(cOptions, &report))); err != nil {
		return nil, err
	}
	return takeLoadReport(report)
}

// LoadAdapter loads the PEFT folder, or the Hub id, path under name ("":
// "default") and makes it the only active adapter. After a failure the model is
// unchanged. The context ends a download; reading local files cannot be
// cancelled. options may be nil.
func (m *Model) LoadAdapter(ctx context.Context, name, path string, options *LoadOptions) (*LoadReport, error) {
	var a arena
	cName, cPath := a.optionalArg(name), a.optionalArg(path)
	return m.load(ctx, &a, options, func(options *C.peft_load_options_t, report **C.peft_load_report_t) *C.peft_status_t {
		return C.peft_model_load_adapter(m.c(), cName, cPath, options, report)
	})
}

// LoadAdapterFromMemory is LoadAdapter from the text of an adapter_config.json
// and the tensors that would lie beside it, as strictly. Options that say where
// an adapter comes from are refused. The tensors are shared, not copied; the
// state dict may be changed and closed afterwards. It cannot be cancelled.
func (m *Model) LoadAdapterFromMemory(name, configJSON string, tensors *StateDict, options *LoadOptions) (*LoadReport, error) {
	defer runtime.KeepAlive(tensors)
	var a arena
	cName, cConfig := a.optionalArg(name), a.arg(configJSON)
	return m.load(context.Background(), &a, options, func(options *C.peft_load_options_t, report **C.peft_load_report_t) *C.peft_status_t {
		return C.peft_model_load_adapter_from_memory(m.c(), cName, cConfig, tensors.c(), options, report)
	})
}

// ReplaceAdapter puts the adapter in the folder, or of the Hub id, path in the
// place of adapter name, which must be loaded: under its name, among the active
// ones where it is one, with its scales, pinned where it is. Rank, alpha,
// targets and method may be others. Forwards that run, and activations, keep
// the old generation. Cancelling is that of LoadAdapter.
func (m *Model) ReplaceAdapter(ctx context.Context, name, path string, options *LoadOptions) (*LoadReport, error) {
	var a arena
	cName, cPath := a.arg(name), a.optionalArg(path)
	return m.load(ctx, &a, options, func(options *C.peft_load_options_t, report **C.peft_load_report_t) *C.peft_status_t {
		return C.peft_model_replace_adapter(m.c(), cName, cPath, options, report)
	})
}

// ReplaceAdapterFromMemory is ReplaceAdapter with an adapter as
// LoadAdapterFromMemory takes it.
func (m *Model) ReplaceAdapterFromMemory(name, configJSON string, tensors *StateDict, options *LoadOptions) (*LoadReport, error) {
	defer runtime.KeepAlive(tensors)
	var a arena
	cName, cConfig := a.arg(name), a.arg(configJSON)
	return m.load(context.Background(), &a, options, func(options *C.peft_load_options_t, report **C.peft_load_report_t) *C.peft_status_t {
		return C.peft_model_replace_adapter_from_memory(m.c(), cName, cConfig, tensors.c(), options, report)
	})
}

// FetchAdapter returns the folder that LoadAdapter would load path from,
// options.Subfolder included, fetched where it is of the Hub. Of options only
// what says where the adapter is matters.
func FetchAdapter(ctx context.Context, path string, options *LoadOptions) (string, error) {
	defer runtime.KeepAlive(options)
	if err := begin(ctx); err != nil {
		return "", err
	}
	var a arena
	defer a.free()
	cPath := a.arg(path)
	cOptions, call := options.c(ctx, &a)
	if a.err != nil {
		return "", a.err
	}
	var folder *C.peft_string_t
	if err := call.finish(toError(C.peft_fetch_adapter(cPath, cOptions, &folder))); err != nil {
		return "", err
	}
	return takeString(folder), nil
}
