package peft

// #include "peft_go.h"
import "C"

import "strings"

// A DType is an element type, with the name that safetensors gives it. Elements
// of less than a byte (F4, F6) are packed.
type DType int32

// Element types.
const (
	DTypeBool       DType = C.PEFT_DTYPE_BOOL
	DTypeU8         DType = C.PEFT_DTYPE_U8
	DTypeI8         DType = C.PEFT_DTYPE_I8
	DTypeU16        DType = C.PEFT_DTYPE_U16
	DTypeI16        DType = C.PEFT_DTYPE_I16
	DTypeU32        DType = C.PEFT_DTYPE_U32
	DTypeI32        DType = C.PEFT_DTYPE_I32
	DTypeU64        DType = C.PEFT_DTYPE_U64
	DTypeI64        DType = C.PEFT_DTYPE_I64
	DTypeF16        DType = C.PEFT_DTYPE_F16
	DTypeBF16       DType = C.PEFT_DTYPE_BF16
	DTypeF32        DType = C.PEFT_DTYPE_F32
	DTypeF64        DType = C.PEFT_DTYPE_F64
	DTypeF8E4M3     DType = C.PEFT_DTYPE_F8_E4M3
	DTypeF8E5M2     DType = C.PEFT_DTYPE_F8_E5M2
	DTypeC64        DType = C.PEFT_DTYPE_C64
	DTypeF8E8M0     DType = C.PEFT_DTYPE_F8_E8M0
	DTypeF8E4M3FNUZ DType = C.PEFT_DTYPE_F8_E4M3FNUZ
	DTypeF8E5M2FNUZ DType = C.PEFT_DTYPE_F8_E5M2FNUZ
	DTypeF4         DType = C.PEFT_DTYPE_F4
	DTypeF6E2M3     DType = C.PEFT_DTYPE_F6_E2M3
	DTypeF6E3M2     DType = C.PEFT_DTYPE_F6_E3M2
)

var dtypeNames = map[DType]string{
	DTypeBool:       "BOOL",
	DTypeU8:         "U8",
	DTypeI8:         "I8",
	DTypeU16:        "U16",
	DTypeI16:        "I16",
	DTypeU32:        "U32",
	DTypeI32:        "I32",
	DTypeU64:        "U64",
	DTypeI64:        "I64",
	DTypeF16:        "F16",
	DTypeBF16:       "BF16",
	DTypeF32:        "F32",
	DTypeF64:        "F64",
	DTypeF8E4M3:     "F8_E4M3",
	DTypeF8E5M2:     "F8_E5M2",
	DTypeC64:        "C64",
	DTypeF8E8M0:     "F8_E8M0",
	DTypeF8E4M3FNUZ: "F8_E4M3FNUZ",
	DTypeF8E5M2FNUZ: "F8_E5M2FNUZ",
	DTypeF4:         "F4",
	DTypeF6E2M3:     "F6_E2M3",
	DTypeF6E3M2:     "F6_E3M2",
}

// String returns the name as the header has it: "BOOL".
func (d DType) String() string {
	return nameOf(dtypeNames, d, "DType")
}

// A ReadMode says how base weights are read. Truncating a mapped file kills the
// process with SIGBUS: where others may write to the folder, copy.
type ReadMode int32

// How base weights are read; 0 is the default, ReadModeMap.
const (
	ReadModeMap  ReadMode = C.PEFT_READ_MODE_MAP  // map the files: nothing is copied
	ReadModeRead ReadMode = C.PEFT_READ_MODE_READ // copy them to memory
)

var readModeNames = map[ReadMode]string{
	ReadModeMap:  "MAP",
	ReadModeRead: "READ",
}

// String returns the name as the header has it: "MAP".
func (r ReadMode) String() string {
	return nameOf(readModeNames, r, "ReadMode")
}

// A WeightFormat says what the weights of a model's linear layers are made to.
type WeightFormat int32

// What weights are made to; 0 is the default, WeightFormatAsStored.
const (
	WeightFormatAsStored WeightFormat = C.PEFT_WEIGHT_FORMAT_AS_STORED // nothing: they stay mapped
	WeightFormatQ8       WeightFormat = C.PEFT_WEIGHT_FORMAT_Q8        // 8 bits, and 32 for each 32 weights
	WeightFormatQ4       WeightFormat = C.PEFT_WEIGHT_FORMAT_Q4        // 4 bits, and 32 for each 32 weights
)

var weightFormatNames = map[WeightFormat]string{
	WeightFormatAsStored: "AS_STORED",
	WeightFormatQ8:       "Q8",
	WeightFormatQ4:       "Q4",
}

// String returns the name as the header has it: "Q8".
func (w WeightFormat) String() string {
	return nameOf(weightFormatNames, w, "WeightFormat")
}

// A Task says what a model is for.
type Task int32

// What a model is for.
const (
	TaskBase                   Task = C.PEFT_TASK_BASE                    // no head: hidden states only
	TaskCausalLM               Task = C.PEFT_TASK_CAUSAL_LM               // logits of the next token
	TaskMaskedLM               Task = C.PEFT_TASK_MASKED_LM               // logits of the token itself
	TaskSequenceClassification Task = C.PEFT_TASK_SEQUENCE_CLASSIFICATION // of labels, per sequence
	TaskTokenClassification    Task = C.PEFT_TASK_TOKEN_CLASSIFICATION    // of labels, per token
	TaskQuestionAnswering      Task = C.PEFT_TASK_QUESTION_ANSWERING      // of an answer's start and end
)

var taskNames = map[Task]string{
	TaskBase:                   "BASE",
	TaskCausalLM:               "CAUSAL_LM",
	TaskMaskedLM:               "MASKED_LM",
	TaskSequenceClassification: "SEQUENCE_CLASSIFICATION",
	TaskTokenClassification:    "TOKEN_CLASSIFICATION",
	TaskQuestionAnswering:      "QUESTION_ANSWERING",
}

// String returns the name as the header has it: "BASE".
func (t Task) String() string {
	return nameOf(taskNames, t, "Task")
}

// A ReportKind says what a line of a [LoadReport] is about.
type ReportKind int32

// Kinds of lines of a load report.
const (
	ReportMatched    ReportKind = C.PEFT_REPORT_MATCHED     // a tensor in use; detail: its module
	ReportMissing    ReportKind = C.PEFT_REPORT_MISSING     // asked for by the config, not in the file
	ReportUnexpected ReportKind = C.PEFT_REPORT_UNEXPECTED  // in the file, used by nothing
	ReportMismatched ReportKind = C.PEFT_REPORT_MISMATCHED  // of the wrong shape or dtype
	ReportIgnoredKey ReportKind = C.PEFT_REPORT_IGNORED_KEY // a config key that was not understood
	ReportNote       ReportKind = C.PEFT_REPORT_NOTE        // anything else worth knowing
)

var reportKindNames = map[ReportKind]string{
	ReportMatched:    "MATCHED",
	ReportMissing:    "MISSING",
	ReportUnexpected: "UNEXPECTED",
	ReportMismatched: "MISMATCHED",
	ReportIgnoredKey: "IGNORED_KEY",
	ReportNote:       "NOTE",
}

// String returns the name as the header has it: "MATCHED".
func (r ReportKind) String() string {
	return nameOf(reportKindNames, r, "ReportKind")
}

// A Combination says how adapters become one, as PEFT's combination_type. d_i is
// the change that adapter i makes to a layer's weight, and w_i its weight; with
// "SVD" the result is cut to a rank.
type Combination int32

// How adapters become one; 0 is the default, CombineSVD.
const (
	CombineSVD               Combination = C.PEFT_COMBINE_SVD    // the sum of w_i d_i
	CombineLinear            Combination = C.PEFT_COMBINE_LINEAR // sums of A and of B: has cross terms
	CombineCat               Combination = C.PEFT_COMBINE_CAT    // the sum of w_i d_i exactly; ranks add up
	CombineTies              Combination = C.PEFT_COMBINE_TIES   // largest elements, then a vote on signs
	CombineTiesSVD           Combination = C.PEFT_COMBINE_TIES_SVD
	CombineDareLinear        Combination = C.PEFT_COMBINE_DARE_LINEAR // random elements, the others scaled up
	CombineDareLinearSVD     Combination = C.PEFT_COMBINE_DARE_LINEAR_SVD
	CombineDareTies          Combination = C.PEFT_COMBINE_DARE_TIES // both
	CombineDareTiesSVD       Combination = C.PEFT_COMBINE_DARE_TIES_SVD
	CombineMagnitudePrune    Combination = C.PEFT_COMBINE_MAGNITUDE_PRUNE // largest elements, summed
	CombineMagnitudePruneSVD Combination = C.PEFT_COMBINE_MAGNITUDE_PRUNE_SVD
)

var combinationNames = map[Combination]string{
	CombineSVD:               "SVD",
	CombineLinear:            "LINEAR",
	CombineCat:               "CAT",
	CombineTies:              "TIES",
	CombineTiesSVD:           "TIES_SVD",
	CombineDareLinear:        "DARE_LINEAR",
	CombineDareLinearSVD:     "DARE_LINEAR_SVD",
	CombineDareTies:          "DARE_TIES",
	CombineDareTiesSVD:       "DARE_TIES_SVD",
	CombineMagnitudePrune:    "MAGNITUDE_PRUNE",
	CombineMagnitudePruneSVD: "MAGNITUDE_PRUNE_SVD",
}

// String returns the name as the header has it: "SVD".
func (c Combination) String() string {
	return nameOf(combinationNames, c, "Combination")
}

// A MajoritySign says how signs are voted on.
type MajoritySign int32

// How signs are voted on; 0 is the default, MajoritySignTotal.
const (
	MajoritySignTotal     MajoritySign = C.PEFT_MAJORITY_SIGN_TOTAL     // of the sum
	MajoritySignFrequency MajoritySign = C.PEFT_MAJORITY_SIGN_FREQUENCY // of the larger number
)

var majoritySignNames = map[MajoritySign]string{
	MajoritySignTotal:     "TOTAL",
	MajoritySignFrequency: "FREQUENCY",
}

// String returns the name as the header has it: "TOTAL".
func (m MajoritySign) String() string {
	return nameOf(majoritySignNames, m, "MajoritySign")
}

// A FinishReason says why a row of a [GenerateResult] ended.
type FinishReason int32

// Why a row ended.
const (
	FinishLength FinishReason = C.PEFT_FINISH_LENGTH // MaxNewTokens were made
	FinishEOS    FinishReason = C.PEFT_FINISH_EOS    // a token that ends a row
	FinishStop   FinishReason = C.PEFT_FINISH_STOP   // a stop sequence
)

var finishReasonNames = map[FinishReason]string{
	FinishLength: "LENGTH",
	FinishEOS:    "EOS",
	FinishStop:   "STOP",
}

// String returns the name as the header has it: "LENGTH".
func (f FinishReason) String() string {
	return nameOf(finishReasonNames, f, "FinishReason")
}

// A LayerKind says what a layer of a host model computes.
type LayerKind int32

// What a layer computes.
const (
	LayerOther              LayerKind = C.PEFT_LAYER_OTHER               // a module that nothing attaches to: a name
	LayerLinear             LayerKind = C.PEFT_LAYER_LINEAR              // weight (out, in)
	LayerConv1DHF           LayerKind = C.PEFT_LAYER_CONV1D_HF           // transformers' Conv1D: weight (in, out)
	LayerEmbedding          LayerKind = C.PEFT_LAYER_EMBEDDING           // weight (rows, width); no bias
	LayerLayerNorm          LayerKind = C.PEFT_LAYER_LAYER_NORM          // torch's LayerNorm
	LayerRMSNorm            LayerKind = C.PEFT_LAYER_RMS_NORM            // torch's RMSNorm
	LayerConv               LayerKind = C.PEFT_LAYER_CONV                // torch's Conv1d, 2d or 3d: weight (out, in / groups, kernel ...)
	LayerMultiheadAttention LayerKind = C.PEFT_LAYER_MULTIHEAD_ATTENTION // torch's in_proj of one; its "out_proj" is a layer of its own
	LayerParameter          LayerKind = C.PEFT_LAYER_PARAMETER           // a matrix (out, in), or (experts, out, in), that its module multiplies with
)

var layerKindNames = map[LayerKind]string{
	LayerOther:              "OTHER",
	LayerLinear:             "LINEAR",
	LayerConv1DHF:           "CONV1D_HF",
	LayerEmbedding:          "EMBEDDING",
	LayerLayerNorm:          "LAYER_NORM",
	LayerRMSNorm:            "RMS_NORM",
	LayerConv:               "CONV",
	LayerMultiheadAttention: "MULTIHEAD_ATTENTION",
	LayerParameter:          "PARAMETER",
}

// String returns the name as the header has it: "OTHER".
func (l LayerKind) String() string {
	return nameOf(layerKindNames, l, "LayerKind")
}

// A LogLevel says how serious a line of the log is.
type LogLevel int32

// How serious a line is.
const (
	LogInfo    LogLevel = C.PEFT_LOG_INFO    // worth knowing once
	LogWarning LogLevel = C.PEFT_LOG_WARNING // a mistake of the program that did no harm
	LogError   LogLevel = C.PEFT_LOG_ERROR   // something was lost
	LogNone    LogLevel = C.PEFT_LOG_NONE    // of no line: SetLogLevel
)

var logLevelNames = map[LogLevel]string{
	LogInfo:    "INFO",
	LogWarning: "WARNING",
	LogError:   "ERROR",
	LogNone:    "NONE",
}

// String returns the name as the header has it: "INFO".
func (l LogLevel) String() string {
	return nameOf(logLevelNames, l, "LogLevel")
}

// A TransportResult is what a [Transport] returns.
type TransportResult int32

// What a transport returns.
const (
	TransportOK      TransportResult = C.PEFT_TRANSPORT_OK      // the answer is complete
	TransportConnect TransportResult = C.PEFT_TRANSPORT_CONNECT // no connection, or it broke: ErrHubConnect
	TransportTimeout TransportResult = C.PEFT_TRANSPORT_TIMEOUT // nothing came for too long: ErrHubTimeout
	TransportTLS     TransportResult = C.PEFT_TRANSPORT_TLS     // the server is not trusted: ErrHubTLS
)

var transportResultNames = map[TransportResult]string{
	TransportOK:      "OK",
	TransportConnect: "CONNECT",
	TransportTimeout: "TIMEOUT",
	TransportTLS:     "TLS",
}

// String returns the name as the header has it: "OK".
func (t TransportResult) String() string {
	return nameOf(transportResultNames, t, "TransportResult")
}

// Outputs are what a forward can give back; values that add up.
type Outputs int32

// What a forward can give back.
const (
	OutputLogits          Outputs = C.PEFT_OUTPUT_LOGITS            // of models with a head
	OutputLastHiddenState Outputs = C.PEFT_OUTPUT_LAST_HIDDEN_STATE // after the last layer and its norm, of all positions
	OutputPoolerOutput    Outputs = C.PEFT_OUTPUT_POOLER_OUTPUT     // of models with a pooler
)

var outputsNames = map[Outputs]string{
	OutputLogits:          "LOGITS",
	OutputLastHiddenState: "LAST_HIDDEN_STATE",
	OutputPoolerOutput:    "POOLER_OUTPUT",
}

// String returns the names as the header has them: "LOGITS|POOLER_OUTPUT".
func (o Outputs) String() string {
	names := []string{}
	for bit := OutputLogits; bit <= OutputPoolerOutput; bit <<= 1 {
		if o&bit != 0 {
			names = append(names, outputsNames[bit])
			o &^= bit
		}
	}
	if o != 0 || len(names) == 0 {
		names = append(names, nameOf(outputsNames, o, "Outputs"))
	}
	return strings.Join(names, "|")
}

// A DeviceType says where the memory of a tensor is; numbers as in DLPack.
type DeviceType int32

// Where the memory of a tensor is.
const (
	DeviceCPU  DeviceType = C.PEFT_DEVICE_CPU
	DeviceCUDA DeviceType = C.PEFT_DEVICE_CUDA
)

var deviceTypeNames = map[DeviceType]string{DeviceCPU: "CPU", DeviceCUDA: "CUDA"}

// String returns the name as the header has it: "CPU".
func (d DeviceType) String() string {
	return nameOf(deviceTypeNames, d, "DeviceType")
}
