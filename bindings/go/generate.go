package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// GenerateOptions have the names and meanings of transformers'
// GenerationConfig.
type GenerateOptions struct {
	// Default 0: 20.
	MaxNewTokens int64
	// Draws a token, and the next four say how. Default: the best token each
	// time.
	DoSample bool
	// Divides the logits; over 0. Default 0: 1.
	Temperature float32
	// Draws from the best so many tokens; 0: from all. Default nil: 50.
	TopK *int64
	// Draws from the best tokens whose probabilities add up to so much; 0 to 1.
	// Default nil: 1, from all.
	TopP *float32
	// Draws from tokens of at least so much of the best one's probability; 0 to
	// 1, default 0: from all.
	MinP float32
	// Makes tokens that the row has already less likely; over 0. Default 0: 1,
	// off. Also without DoSample.
	RepetitionPenalty float32
	// Equal seeds give equal tokens.
	Seed uint64
	// The tokens that end a row. Default: the model's own.
	EOSTokenIDs []int64
	// No token ends a row.
	IgnoreEOS bool
	// A row ends when its new tokens end in one of these.
	StopSequences [][]int64
	// Called for each new token of each row, on the goroutine that called
	// Generate. An error ends the call, which wraps it.
	OnToken func(row int, token int64) error
	Rows
}

// A GenerateResult is what Generate made, row by row.
type GenerateResult struct {
	// The new tokens, the eos or stop tokens included.
	Tokens        [][]int64
	FinishReasons []FinishReason
}

// Generate resets the session, then generates from input under the adapters
// that are active when the call begins, to its end. Rows of different lengths
// are padded on the left (PadLeft). The context ends it after the next token;
// the forward of the prompt cannot be cancelled. options may be nil.
func (s *Session) Generate(ctx context.Context, input Input, options *GenerateOptions) (*GenerateResult, error) {
	defer runtime.KeepAlive(s)
	if err := begin(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	batch, length, err := input.shape()
	if err != nil {
		return nil, err
	}
	if options == nil {
		options = &GenerateOptions{}
	}
	defer runtime.KeepAlive(options.Activations)
	var a arena
	defer a.free()
	call := newCall(ctx)
	call.onToken = options.OnToken
	cOptions := options.c(&a, call)
	if a.err != nil {
		return nil, a.err
	}
	s.guard.newLoan()
	var result *C.peft_generate_result_t
	status := C.peft_go_generate(s.number(), pointer[C.int64_t](input.IDs), batch, length,
		pointer[C.int64_t](input.AttentionMask), pointer[C.int64_t](input.PositionIDs),
		pointer[C.int64_t](input.TokenTypeIDs), cOptions, &result)
	if err := call.finish(s.pool.explain(toError(status))); err != nil {
		return nil, err
	}
	return takeGenerateResult(result), nil
}

// c returns the options in memory of C.
func (o *GenerateOptions) c(a *arena, call *call) *C.peft_generate_options_t {
	options := (*C.peft_generate_options_t)(a.alloc(C.sizeof_peft_generate_options_t))
	C.peft_generate_options_init(options, C.sizeof_peft_generate_options_t)
	if o.MaxNewTokens != 0 {
		options.max_new_tokens = C.int64_t(o.MaxNewTokens)
	}
	o.setSampling(options)
	options.eos_token_ids = (*C.int64_t)(copied(a, o.EOSTokenIDs))
	options.num_eos_token_ids = C.size_t(len(o.EOSTokenIDs))
	options.ignore_eos = flag(o.IgnoreEOS)
	tokens, lengths := flatten(o.StopSequences)
	options.stop_tokens = (*C.int64_t)(copied(a, tokens))
	options.stop_sequence_lengths = copied(a, lengths)
	options.num_stop_sequences = C.size_t(len(lengths))
	options.adapter_names, options.num_adapter_names = a.texts(o.AdapterNames)
	options.activations = copied(a, handles(o.Activations))
	options.num_activations = C.size_t(len(o.Activations))
	if o.OnToken != nil || call.ctx.Done() != nil {
		options.on_token = C.peft_token_fn(C.peftGoToken)
		options.user_data = a.userData(call)
	}
	return options
}

// setSampling sets how tokens are chosen.
func (o *GenerateOptions) setSampling(options *C.peft_generate_options_t) {
	options.do_sample = flag(o.DoSample)
	if o.Temperature != 0 {
		options.temperature = C.float(o.Temperature)
	}
	if o.TopK != nil {
		options.top_k = C.int64_t(*o.TopK)
	}
	if o.TopP != nil {
		options.top_p = C.float(*o.TopP)
	}
	options.min_p = C.float(o.MinP)
	if o.RepetitionPenalty != 0 {
		options.repetition_penalty = C.float(o.RepetitionPenalty)
	}
	options.seed = C.uint64_t(o.Seed)
}

// flatten returns all tokens, one sequence after another, and their lengths.
func flatten(sequences [][]int64) (tokens []int64, lengths []C.size_t) {
	for _, sequence := range sequences {
		tokens = append(tokens, sequence...)
		lengths = append(lengths, C.size_t(len(sequence)))
	}
	return tokens, lengths
}

// takeGenerateResult returns the result and frees it.
func takeGenerateResult(result *C.peft_generate_result_t) *GenerateResult {
	defer C.peft_generate_result_free(result)
	rows := int(C.peft_generate_result_num_rows(result))
	taken := &GenerateResult{
		Tokens:        make([][]int64, rows),
		FinishReasons: make([]FinishReason, rows),
	}
	for row := range taken.Tokens {
		var count C.size_t
		tokens := C.peft_generate_result_tokens(result, C.size_t(row), &count)
		taken.Tokens[row] = append([]int64{}, unsafe.Slice((*int64)(tokens), int(count))...)
		taken.FinishReasons[row] = FinishReason(C.peft_generate_result_finish_reason(result, C.size_t(row)))
	}
	return taken
}
