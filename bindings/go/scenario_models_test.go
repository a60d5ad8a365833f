package peft_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"peft"
)

func init() {
	verbs["open_model"] = (*runner).openModel
	verbs["create_session"] = (*runner).createSession
	verbs["forward"] = (*runner).forward
	verbs["get_output"] = (*runner).getOutput
	verbs["generate"] = (*runner).generate
	verbs["reset_session"] = func(r *runner, s *step) (facts, error) {
		return nil, r.session.Reset()
	}
	verbs["cache_length"] = func(r *runner, s *step) (facts, error) {
		return facts{"length": r.session.CacheLength()}, nil
	}
}

func (r *runner) openModel(s *step) (facts, error) {
	return r.open(r.path(s.Path), &peft.ModelOptions{NumThreads: 1})
}

func (r *runner) open(path string, options *peft.ModelOptions) (facts, error) {
	model, err := peft.Open(background, path, options)
	if err != nil {
		return nil, err
	}
	session, err := model.NewSession(nil)
	if err != nil {
		return nil, err
	}
	return r.take(model, session)
}

// take makes these the runner's, instead of those that were.
func (r *runner) take(model *peft.Model, session *peft.Session) (facts, error) {
	r.close()
	r.model, r.session, r.layers = model, session, nil
	info, err := model.Info()
	return fieldsOf(info), err
}

func (r *runner) createSession(s *step) (facts, error) {
	session, err := r.model.NewSession(&peft.SessionOptions{MaxLength: s.MaxLength})
	if err != nil {
		return nil, err
	}
	r.session.Close()
	r.session = session
	return nil, nil
}

func (r *runner) input(s *step) (peft.Input, error) {
	var rows [][]int64
	if err := json.Unmarshal(s.IDs, &rows); err != nil {
		return peft.Input{}, err
	}
	input := peft.Input{Batch: len(rows)}
	for _, row := range rows {
		input.IDs = append(input.IDs, row...)
	}
	for _, row := range s.AttentionMask {
		input.AttentionMask = append(input.AttentionMask, row...)
	}
	return input, nil
}

func (r *runner) rows(s *step) peft.Rows {
	rows := peft.Rows{AdapterNames: s.AdapterNames}
	for _, name := range s.ActivationNames {
		rows.Activations = append(rows.Activations, r.activations[name])
	}
	return rows
}

var outputs = map[string]peft.Outputs{
	"logits":            peft.OutputLogits,
	"last_hidden_state": peft.OutputLastHiddenState,
	"pooler_output":     peft.OutputPoolerOutput,
}

func (r *runner) forward(s *step) (facts, error) {
	if s.KeepCache == 0 {
		if err := r.session.Reset(); err != nil {
			return nil, err
		}
	}
	input, err := r.input(s)
	if err != nil {
		return nil, err
	}
	options := &peft.ForwardOptions{LogitsToKeep: s.LogitsToKeep, Rows: r.rows(s)}
	for _, output := range s.Outputs {
		options.Outputs |= outputs[output]
	}
	if s.Outputs != nil {
		return nil, r.session.Forward(input, options)
	}
	view, err := r.session.Logits(input, options)
	if err != nil {
		return nil, err
	}
	bytes, err := view.Bytes()
	if err != nil {
		return nil, err
	}
	if s.SaveAs != "" {
		r.saved[s.SaveAs] = bytes
	}
	if s.EqualTo != "" && !reflect.DeepEqual(bytes, r.saved[s.EqualTo]) {
		return nil, fmt.Errorf("the logits do not equal %s bit by bit", s.EqualTo)
	}
	logits, err := view.Float32s()
	return facts{"shape": view.Sizes(), "logits": logits}, err
}

func (r *runner) getOutput(s *step) (facts, error) {
	view, err := r.session.Output(outputs[s.Output])
	if err != nil {
		return nil, err
	}
	values, err := view.Float32s()
	return facts{"shape": view.Sizes(), "values": values}, err
}

func (r *runner) generate(s *step) (facts, error) {
	input, err := r.input(s)
	if err != nil {
		return nil, err
	}
	options := &peft.GenerateOptions{
		MaxNewTokens:  s.MaxNewTokens,
		IgnoreEOS:     s.IgnoreEOS != 0,
		EOSTokenIDs:   s.EOSTokenIDs,
		StopSequences: s.StopSequences,
		Rows:          r.rows(s),
	}
	streamed := make([][]int64, input.Batch)
	if s.Stream != 0 || s.CancelAfter != 0 {
		calls := 0
		options.OnToken = func(row int, token int64) error {
			streamed[row] = append(streamed[row], token)
			if calls++; calls == s.CancelAfter {
				return errors.New("enough")
			}
			return nil
		}
	}
	result, err := r.session.Generate(background, input, options)
	if err != nil {
		return nil, err
	}
	if s.Stream != 0 && !reflect.DeepEqual(streamed, result.Tokens) {
		return nil, fmt.Errorf("streamed %v, expected %v", streamed, result.Tokens)
	}
	finish := []string{}
	for _, reason := range result.FinishReasons {
		finish = append(finish, map[peft.FinishReason]string{
			peft.FinishLength: "length",
			peft.FinishEOS:    "eos",
			peft.FinishStop:   "stop",
		}[reason])
	}
	return facts{"tokens": result.Tokens, "finish": finish}, nil
}
