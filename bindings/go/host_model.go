package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// A Layer is a layer of a host model.
type Layer struct {
	// As torch's named_modules() has it, or named_parameters() for a parameter.
	Name string
	Kind LayerKind
	// The head that gives logits, which "all-linear" leaves out.
	IsOutputEmbedding bool
	// F32, BF16 or F16. None for LayerOther. ViewAt(nil, ...) keeps the weight to
	// the program: of such a layer there are LayerRunner.AddDelta and LowerLayer.
	Weight View
	// One number per output. Default: none.
	Bias View
	// Weight and bias are used where they are, not copied: in memory that is not
	// Go's (ViewAt), and neither changes nor goes before the model was closed and
	// all calls on it have returned. Rows of a weight may lie apart, and so may the
	// columns of a matrix that is stored by these; all else is contiguous.
	ShareWeights bool
	// With ShareWeights: MergeAdapter writes into weight and bias themselves, and
	// UnmergeAdapter writes back what was there, bit by bit, so that the program's
	// own code runs the merged layer. Their memory must not be a part of another
	// layer's, and be read meanwhile by nobody. While adapters are merged so, calls
	// that read the base's weights are ErrMerged. Closing the model leaves them
	// merged.
	WritableWeights bool
	// Of a parameter with experts: its matrices are stored (in, out).
	IsTransposed bool
	// Of a convolution, for each axis of its kernel in torch's order; the others
	// are not read. Padding is zeros before the first element, PaddingEnd after
	// the last. Defaults: 0 in Stride and Dilation is 1; PaddingEnd nil is as
	// Padding.
	Stride, Padding, Dilation [3]int64
	PaddingEnd                *[3]int64
	// Of a convolution. Default 0: 1.
	Groups int64
	// Of a norm: what is added under the root. Default nil: 1e-5.
	Epsilon *float64
}

// NewModel makes a model of the program's own layers, for programs that run
// their own forward. All verbs for adapters work on it; sessions are refused.
// The layers are listed in the order of named_modules(); modules that only hold
// others need no entry. Weights in Go's memory are copied twice, one copy for
// the time of the call. Of options ReadMode and the Hub have no effect, and
// LayerReplication only tells adapters how these layers were made. It cannot be
// cancelled.
func NewModel(layers []Layer, options *ModelOptions) (*Model, error) {
	if err := checkVersion(); err != nil {
		return nil, err
	}
	var a arena
	defer a.free()
	cLayers := allocate[C.peft_layer_t](&a, len(layers))
	for i := range layers {
		if err := layers[i].c(&a, &cLayers[i]); err != nil {
			return nil, err
		}
	}
	cOptions, call, pool := options.c(context.Background(), &a)
	if a.err != nil {
		return nil, a.err
	}
	var handle *C.peft_model_t
	status := C.peft_model_create(pointer[C.peft_layer_t](cLayers), C.size_t(len(layers)), cOptions, &handle)
	if err := call.finish(pool.explain(toError(status))); err != nil {
		return nil, err
	}
	return newModel(handle, pool), nil
}

// c writes the layer to memory of C.
func (l *Layer) c(a *arena, layer *C.peft_layer_t) error {
	C.peft_layer_init(layer, C.sizeof_peft_layer_t)
	layer.name = a.text(l.Name)
	layer.kind = C.int32_t(l.Kind)
	layer.is_output_embedding = flag(l.IsOutputEmbedding)
	layer.copy_weights = flag(!l.ShareWeights)
	layer.is_transposed = flag(l.IsTransposed)
	layer.writable_weights = flag(l.WritableWeights)
	for axis := 0; axis < 3; axis++ {
		layer.padding[axis] = C.int64_t(l.Padding[axis])
		if l.Stride[axis] != 0 {
			layer.stride[axis] = C.int64_t(l.Stride[axis])
		}
		if l.Dilation[axis] != 0 {
			layer.dilation[axis] = C.int64_t(l.Dilation[axis])
		}
		if l.PaddingEnd != nil {
			layer.padding_end[axis] = C.int64_t(l.PaddingEnd[axis])
		}
	}
	if l.Groups != 0 {
		layer.groups = C.int64_t(l.Groups)
	}
	if l.Epsilon != nil {
		layer.epsilon = C.double(*l.Epsilon)
	}
	var err error
	if layer.weight, err = l.Weight.inC(a, l.ShareWeights); err != nil {
		return err
	}
	layer.bias, err = l.Bias.inC(a, l.ShareWeights)
	return err
}

// inC returns the view in memory of C, and its elements with it unless they are
// to be shared; NULL for an empty view.
func (v View) inC(a *arena, shared bool) (*C.peft_tensor_view_t, error) {
	if v.dtype == 0 {
		return nil, nil
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	if shared && !v.foreign {
		return nil, argumentError("ShareWeights with memory of Go's, which C must not keep; use ViewAt, or let it be copied")
	}
	data := v.data
	if !v.foreign {
		bytes, err := v.span()
		if err != nil {
			return nil, err
		}
		data = unsafe.Pointer(copied(a, bytes))
	}
	view := (*C.peft_tensor_view_t)(a.alloc(C.sizeof_peft_tensor_view_t))
	C.peft_tensor_view_init(view, C.sizeof_peft_tensor_view_t)
	view.data = data
	view.dtype = C.int32_t(v.dtype)
	view.device_type, view.device_index = C.PEFT_DEVICE_CPU, 0
	view.rank = C.int32_t(len(v.sizes))
	view.sizes = (*C.int64_t)(copied(a, v.sizes))
	view.strides = (*C.int64_t)(copied(a, v.strides))
	return view, nil
}

// RunLayerOptions say how a layer is run.
type RunLayerOptions struct {
	// Which matrix of a parameter with experts. Default nil: the layer has none.
	Expert *int64
	// Under what each row, that is each index along the first axis of x, runs.
	Rows
	// Of a runner on a CUDA device: the CUstream or cudaStream_t that the work is
	// put on. Default nil: the default stream.
	Stream unsafe.Pointer
}

// RunLayer returns what layer name computes from x under the adapters that are
// active when the call begins, as its torch module would, in F32. x is (..., in),
// F32, BF16 or F16; for a convolution (batch, channels, ...) or (channels, ...);
// for an embedding I64 or I32 ids of any shape. It works on opened models, too,
// but not for their norms. It cannot be cancelled. options may be nil.
func (m *Model) RunLayer(name string, x View, options *RunLayerOptions) (*Tensor, error) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(x.lender)
	if options == nil {
		options = &noRunLayerOptions
	}
	defer runtime.KeepAlive(options.Activations)
	var a arena
	defer a.free()
	cName := a.arg(name)
	names, numNames := a.texts(options.AdapterNames)
	if a.err != nil {
		return nil, a.err
	}
	if err := x.check(); err != nil {
		return nil, err
	}
	if err := x.lend(); err != nil {
		return nil, err
	}
	defer x.giveBack()
	expert := C.int64_t(-1)
	if options.Expert != nil {
		expert = C.int64_t(*options.Expert)
	}
	activations := handles(options.Activations)
	data, dtype, rank, sizes, strides := x.c()
	var handle *C.peft_tensor_t
	var view C.peft_tensor_view_t
	status := C.peft_go_run_layer(m.number(), cName, data, dtype, rank, sizes, strides, expert,
		names, numNames, pointer[*C.peft_activation_t](activations), C.size_t(len(activations)), options.Stream,
		&handle, &view)
	if err := m.toError(status); err != nil {
		return nil, err
	}
	return newTensor(handle, &view), nil
}
