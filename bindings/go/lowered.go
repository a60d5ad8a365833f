package peft

// #include "peft_go.h"
import "C"

import "runtime"

// A FormKind is a kind of form, that is of what adapters do at a layer;
// docs/lowered.md has the formulas.
type FormKind int32

// Kinds of forms, and the tensors that each has.
const (
	// p is computed from x * Factor (in) in place of x.
	FormScaleIn FormKind = C.PEFT_FORM_SCALE_IN
	// p is computed with Weight in place of W, in the layout of the layer's own.
	FormWeight FormKind = C.PEFT_FORM_WEIGHT
	// Outputs IDs (n) of p are x Rows^T, (n, in); of an embedding rows IDs of its
	// table are Rows.
	FormRows FormKind = C.PEFT_FORM_ROWS
	// p = p + scale * ((x A^T) * RankScale) B^T, A (r, in), B (out, r), and
	// RankScale (r), which may be missing. x is the layer's input itself. With
	// Gate, (n) tokens, for a row's tokens only from where these stand in it
	// last.
	FormLowRank FormKind = C.PEFT_FORM_LOW_RANK
	// p = p * Factor (out).
	FormScaleOut FormKind = C.PEFT_FORM_SCALE_OUT
	// The bias is Bias (out), whatever the layer's own is; Bias is missing where
	// it has none any more.
	FormBias FormKind = C.PEFT_FORM_BIAS
)

var formKindNames = map[FormKind]string{
	FormScaleIn:  "SCALE_IN",
	FormWeight:   "WEIGHT",
	FormRows:     "ROWS",
	FormLowRank:  "LOW_RANK",
	FormScaleOut: "SCALE_OUT",
	FormBias:     "BIAS",
}

// String returns the name as the header has it: "SCALE_IN".
func (f FormKind) String() string {
	return nameOf(formKindNames, f, "FormKind")
}

// A FormTensor is one of a form's tensors. They are contiguous; factors,
// RankScale and IDs are F32 and I64, the others of the element type of the
// adapter's file, or F32.
type FormTensor int32

// A form's tensors.
const (
	FormTensorA         FormTensor = C.PEFT_FORM_TENSOR_A
	FormTensorB         FormTensor = C.PEFT_FORM_TENSOR_B
	FormTensorRankScale FormTensor = C.PEFT_FORM_TENSOR_RANK_SCALE
	FormTensorGate      FormTensor = C.PEFT_FORM_TENSOR_GATE // I64
	FormTensorFactor    FormTensor = C.PEFT_FORM_TENSOR_FACTOR
	FormTensorWeight    FormTensor = C.PEFT_FORM_TENSOR_WEIGHT
	FormTensorIDs       FormTensor = C.PEFT_FORM_TENSOR_IDS
	FormTensorRows      FormTensor = C.PEFT_FORM_TENSOR_ROWS
	FormTensorBias      FormTensor = C.PEFT_FORM_TENSOR_BIAS
)

var formTensorNames = map[FormTensor]string{
	FormTensorA:         "A",
	FormTensorB:         "B",
	FormTensorRankScale: "RANK_SCALE",
	FormTensorGate:      "GATE",
	FormTensorFactor:    "FACTOR",
	FormTensorWeight:    "WEIGHT",
	FormTensorIDs:       "IDS",
	FormTensorRows:      "ROWS",
	FormTensorBias:      "BIAS",
}

// String returns the name as the header has it: "RANK_SCALE".
func (f FormTensor) String() string {
	return nameOf(formTensorNames, f, "FormTensor")
}

// A Form is a part of what adapters do at a layer.
type Form struct {
	Kind FormKind
	// Of FormLowRank, all scales of the adapter and of the activation
	// multiplied; else 1.
	Scale float32
}

// A Lowered is what adapters do at a layer, for a program that runs it itself,
// as on its own GPU: forms, in the order in which they act on p = x W^T, where x
// is the layer's input, rows of (in), and W its weight, (out, in); then
// y = p + bias. It does not change, and keeps the generations that it was made
// of.
type Lowered struct {
	guard  guard
	handle *C.peft_lowered_t
}

// LowerLayer returns what activation, or with nil what is active on the model,
// does at a layer; no form: nothing. The tensors are the adapters' own, not
// copies.
func (m *Model) LowerLayer(layer LayerID, activation *Activation) (*Lowered, error) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(activation)
	var cActivation *C.peft_activation_t
	if activation != nil {
		cActivation = activation.handle
	}
	lowered := &Lowered{}
	status := C.peft_model_lower_layer(m.c(), C.int64_t(layer), cActivation, &lowered.handle)
	if err := toError(status); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(lowered, (*Lowered).Close)
	return lowered, nil
}

// Close frees it and returns nil.
func (l *Lowered) Close() error {
	if l != nil && l.guard.close() {
		C.peft_lowered_free(l.handle)
		runtime.SetFinalizer(l, nil)
	}
	return nil
}

// Forms returns the forms, in the order in which they act.
func (l *Lowered) Forms() ([]Form, error) {
	defer runtime.KeepAlive(l)
	forms := make([]Form, C.peft_lowered_size(l.handle))
	for i := range forms {
		var form C.peft_form_t
		form.struct_size = C.sizeof_peft_form_t
		if err := toError(C.peft_lowered_get_form(l.handle, C.size_t(i), &form)); err != nil {
			return nil, err
		}
		forms[i] = Form{Kind: FormKind(form.kind), Scale: float32(form.scale)}
	}
	return forms, nil
}

// Tensor returns a tensor of form index, until l is closed. It fails with
// ErrTensorMissing where the form has no such tensor.
func (l *Lowered) Tensor(index int, tensor FormTensor) (View, error) {
	defer runtime.KeepAlive(l)
	var out C.peft_tensor_view_t
	C.peft_tensor_view_init(&out, C.sizeof_peft_tensor_view_t)
	status := C.peft_lowered_get_tensor(l.handle, C.size_t(index), C.int32_t(tensor), &out)
	if err := toError(status); err != nil {
		return View{}, err
	}
	view := View{lender: &l.guard}
	if !l.guard.read(0) { // The sizes are l's, too.
		return View{}, closedError("the lowered layer")
	}
	defer l.guard.done()
	view.borrow(&out)
	return view, nil
}
