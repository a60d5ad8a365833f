package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// A Model is a base model, or a program's own layers, with any number of
// adapters. It may be used by any goroutines at once. Sessions keep what they
// need of it: it may be closed before them.
type Model struct {
	guard  guard
	handle *C.peft_model_t
	pool   *pool
}

func newModel(handle *C.peft_model_t, pool *pool) *Model {
	model := &Model{handle: handle, pool: pool}
	runtime.SetFinalizer(model, (*Model).Close)
	return model
}

// c is the handle; that of nil is NULL, which the library refuses.
func (m *Model) c() *C.peft_model_t {
	if m == nil {
		return nil
	}
	return m.handle
}

// number is the handle without a pointer's type.
func (m *Model) number() C.uintptr_t {
	return C.uintptr_t(uintptr(unsafe.Pointer(m.c())))
}

// toError is for calls that may have used the program's threads.
func (m *Model) toError(status *C.peft_status_t) error {
	err := toError(status)
	if m == nil {
		return err
	}
	return m.pool.explain(err)
}

// Close frees the model and returns nil. Calls that use it go on to their end.
func (m *Model) Close() error {
	if m != nil && m.guard.close() {
		C.peft_model_free(m.handle)
		runtime.SetFinalizer(m, nil)
	}
	return nil
}

// ModelOptions say how a base model is opened.
type ModelOptions struct {
	// How base weights are read; default ReadModeMap.
	ReadMode ReadMode
	// How many threads a forward uses, the one that calls included; the model's
	// sessions share them. Default 0: one per core. The numbers that a forward
	// computes do not depend on it.
	NumThreads int32
	// Replicates layers of the base, as PEFT's layer_replication does: the
	// model's layers are those of these ranges [first, last), one after another.
	// Default: the base's layers.
	LayerReplication [][2]int64
	// Without LayerReplication: adapters that the model is opened for, folders
	// or Hub ids. What the layer_replication of their configs says is done.
	ForAdapters []string
	// A folder below the model's own.
	Subfolder string
	// Of the Hub. All but the revision is for the adapters of ForAdapters, too.
	Hub HubOptions
	// Of the adapters of ForAdapters: their revision, and the folder below their
	// own. Default: main, none.
	AdapterRevision, AdapterSubfolder string
	// Works for the model in place of threads of its own; NumThreads is then not
	// read. Default: none.
	ThreadPool *ThreadPool
	// Of Open: the files of the model's folder, wherever they are. The path is
	// then no more than what the model is called, and Subfolder and the Hub are
	// the adapters' of ForAdapters. Default: none.
	Files []File
	// Of Open: the weights of the linear layers of a model that stores them as
	// numbers are quantised while it is opened. Adapters act on what the codes
	// stand for. With QuantizeHead also those of the head, and the embedding
	// that it is tied to. Default: WeightFormatAsStored.
	WeightFormat WeightFormat
	QuantizeHead bool
	// The processors, as the system numbers them from 0 on, that the model's own
	// threads run on; with NumThreads 0 there are as many threads. Default: all.
	Processors []int32
	// Of Open: the head that the model gets, whatever class config.json names.
	// What the weight files lack of it is made anew, as transformers makes it,
	// and logged: it is untrained, until an adapter brings its own. Default: what
	// the folder says.
	Task Task
	// Of a model that classifies: the number of labels. Default: what config.json
	// says, else, with a Task, what the head of the first of ForAdapters has that
	// has one, else 2.
	NumLabels int64
	// Of a decoder that classifies sequences: the padding token, by which it finds
	// the last token of each row. Default: config.json's.
	PadTokenID *int64
}

// c returns the options in memory of C, and what their callbacks need.
func (o *ModelOptions) c(ctx context.Context, a *arena) (*C.peft_model_options_t, *call, *pool) {
	if o == nil {
		o = &ModelOptions{}
	}
	options := (*C.peft_model_options_t)(a.alloc(C.sizeof_peft_model_options_t))
	C.peft_model_options_init(options, C.sizeof_peft_model_options_t)
	if o.ReadMode != 0 {
		options.read_mode = C.int32_t(o.ReadMode)
	}
	options.num_threads = C.int32_t(o.NumThreads)
	options.layer_replication = (*C.int64_t)(unsafe.Pointer(copied(a, o.LayerReplication)))
	options.num_layer_ranges = C.size_t(len(o.LayerReplication))
	options.for_adapters, options.num_for_adapters = a.texts(o.ForAdapters)
	options.subfolder = a.text(o.Subfolder)
	options.adapter_revision = a.text(o.AdapterRevision)
	options.adapter_subfolder = a.text(o.AdapterSubfolder)
	call := o.Hub.toModel(ctx, a, options)
	options.files, options.num_files = filesInC(a, o.Files, call)
	pool, threads := newPool(o.ThreadPool)
	options.thread_pool = threads
	options.weight_format = C.int32_t(o.WeightFormat)
	options.quantize_head = flag(o.QuantizeHead)
	options.processors = (*C.int32_t)(unsafe.Pointer(copied(a, o.Processors)))
	options.num_processors = C.size_t(len(o.Processors))
	options.task = C.int32_t(o.Task)
	options.num_labels = C.int64_t(o.NumLabels)
	if o.PadTokenID != nil {
		options.pad_token_id = (*C.int64_t)(copied(a, []int64{*o.PadTokenID}))
	}
	return options, call, pool
}

// toModel sets the Hub's part of options.
func (h *HubOptions) toModel(ctx context.Context, a *arena, options *C.peft_model_options_t) *call {
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

// Open opens the model in the Hugging Face folder, or of the Hub id, path.
// path may be "" where options.ForAdapters has adapters: the model is then the
// one that their configs name. The context ends a download; reading local files
// cannot be cancelled. options may be nil.
func Open(ctx context.Context, path string, options *ModelOptions) (*Model, error) {
	defer runtime.KeepAlive(options)
	if err := checkVersion(); err != nil {
		return nil, err
	}
	if err := begin(ctx); err != nil {
		return nil, err
	}
	var a arena
	defer a.free()
	cPath := a.optionalArg(path)
	cOptions, call, pool := options.c(ctx, &a)
	if a.err != nil {
		return nil, a.err
	}
	var handle *C.peft_model_t
	status := C.peft_model_open(cPath, cOptions, &handle)
	if err := call.finish(pool.explain(toError(status))); err != nil {
		return nil, err
	}
	return newModel(handle, pool), nil
}

// FetchModel returns the folder that Open would open, fetched where it is of
// the Hub: for a download ahead of time, and for the tokenizer, which is among
// what is fetched. Of options only what says where models and adapters are
// matters.
func FetchModel(ctx context.Context, path string, options *ModelOptions) (string, error) {
	defer runtime.KeepAlive(options)
	if err := begin(ctx); err != nil {
		return "", err
	}
	var a arena
	defer a.free()
	cPath := a.optionalArg(path)
	cOptions, call, _ := options.c(ctx, &a)
	if a.err != nil {
		return "", a.err
	}
	var folder *C.peft_string_t
	if err := call.finish(toError(C.peft_fetch_model(cPath, cOptions, &folder))); err != nil {
		return "", err
	}
	return takeString(folder), nil
}

// ModelInfo says what a model is.
type ModelInfo struct {
	// transformers' name of the family: "llama"; "" of a host model, which has 0
	// in the next four, too.
	ModelType string
	// Token ids are 0 to VocabSize - 1.
	VocabSize  int64
	HiddenSize int64
	NumLayers  int64
	// What the model was trained for.
	MaxPositionEmbeddings int64
	// The elements of all weights, tied ones once, and their bytes.
	NumParameters int64
	SizeBytes     int64
	// The number of layers that adapters can attach to.
	NumSites int64
	// The adapters that are loaded, and the bytes that they take.
	NumAdapters  int64
	AdapterBytes int64
	// transformers' class: "LlamaForCausalLM".
	Architecture string
	Task         Task
	// Of a model that classifies, else 0.
	NumLabels int64
	// Token type ids are 0 to NumTokenTypes - 1; 0: the model takes none.
	NumTokenTypes int64
}

// Info returns what the model is.
func (m *Model) Info() (ModelInfo, error) {
	defer runtime.KeepAlive(m)
	if m != nil { // The texts are the model's: it must not be closed meanwhile.
		m.guard.mu.RLock()
		defer m.guard.mu.RUnlock()
	}
	var info C.peft_model_info_t
	info.struct_size = C.sizeof_peft_model_info_t
	if err := toError(C.peft_model_get_info(m.c(), &info)); err != nil {
		return ModelInfo{}, err
	}
	return ModelInfo{
		ModelType:             C.GoString(info.model_type),
		VocabSize:             int64(info.vocab_size),
		HiddenSize:            int64(info.hidden_size),
		NumLayers:             int64(info.num_layers),
		MaxPositionEmbeddings: int64(info.max_position_embeddings),
		NumParameters:         int64(info.num_parameters),
		SizeBytes:             int64(info.size_bytes),
		NumSites:              int64(info.num_sites),
		NumAdapters:           int64(info.num_adapters),
		AdapterBytes:          int64(info.adapter_bytes),
		Architecture:          C.GoString(info.architecture),
		Task:                  Task(info.task),
		NumLabels:             int64(info.num_labels),
		NumTokenTypes:         int64(info.num_token_types),
	}, nil
}

// takeString returns the text and frees it.
func takeString(text *C.peft_string_t) string {
	defer C.peft_string_free(text)
	return C.GoStringN(C.peft_string_data(text), C.int(C.peft_string_size(text)))
}

// takeStringList returns the names and frees the list.
func takeStringList(list *C.peft_string_list_t) []string {
	defer C.peft_string_list_free(list)
	names := make([]string, C.peft_string_list_size(list))
	for i := range names {
		names[i] = C.GoString(C.peft_string_list_get(list, C.size_t(i)))
	}
	return names
}
