package peft_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"peft"
)

// A facts is what a verb gives, by the names of the scenario.
type facts map[string]any

// A step is a verb with its arguments; testing/scenario/README.md has them.
type step struct {
	Verb   string `json:"verb"`
	Expect facts  `json:"expect"`

	Activation      string          `json:"activation"`
	ActivationNames []string        `json:"activations"`
	AdapterNames    []string        `json:"adapter_names"`
	AttentionMask   [][]int64       `json:"attention_mask"`
	CancelAfter     int             `json:"cancel_after"`
	CombinationType string          `json:"combination_type"`
	Config          string          `json:"config"`
	Density         float32         `json:"density"`
	EOSTokenIDs     []int64         `json:"eos_token_ids"`
	EqualTo         string          `json:"equal_to"`
	IDs             json.RawMessage `json:"ids"` // rows; of run_layer flat
	IgnoreEOS       int             `json:"ignore_eos"`
	IsTrainable     int             `json:"is_trainable"`
	KeepCache       int             `json:"keep_cache"`
	Layer           string          `json:"layer"`
	Layers          []hostLayer     `json:"layers"`
	Lenient         int             `json:"lenient"`
	LogitsToKeep    int64           `json:"logits_to_keep"`
	MaxAdapters     int64           `json:"max_adapters"`
	MaxBytes        int64           `json:"max_bytes"`
	MaxLength       int64           `json:"max_length"`
	MaxNewTokens    int64           `json:"max_new_tokens"`
	Name            string          `json:"name"`
	Names           []string        `json:"names"`
	NewName         string          `json:"new_name"`
	Output          string          `json:"output"`
	Outputs         []string        `json:"outputs"`
	Overwrite       int             `json:"overwrite"`
	Path            string          `json:"path"`
	Pinned          int             `json:"pinned"`
	SafeMerge       int             `json:"safe_merge"`
	SaveAs          string          `json:"save_as"`
	Scale           float32         `json:"scale"`
	Scales          []float32       `json:"scales"`
	Seed            uint64          `json:"seed"`
	Shape           []int64         `json:"shape"`
	StopSequences   [][]int64       `json:"stop_sequences"`
	Stream          int             `json:"stream"`
	SVDRank         int64           `json:"svd_rank"`
	Tensors         string          `json:"tensors"`
	Weights         []float32       `json:"weights"`
	X               []float32       `json:"x"`
	Y               []float32       `json:"y"`
	YShape          []int64         `json:"y_shape"`
	Kind            string          `json:"kind"`
	Files           []hostFile      `json:"files"`
	Tensor          string          `json:"tensor"`
}

// A runner has the state that steps share.
type runner struct {
	temporary   string
	model       *peft.Model
	session     *peft.Session
	layers      *peft.LayerRunner
	weights     map[string]peft.View // of a program's own layers
	activations map[string]*peft.Activation
	saved       map[string][]byte
}

var verbs = map[string]func(*runner, *step) (facts, error){}

func TestScenario(t *testing.T) {
	runScenario(t, "scenario.json")
}

func TestScenarioOfHostModels(t *testing.T) {
	runScenario(t, "host_scenario.json")
}

func runScenario(t *testing.T, name string) {
	text := must[[]byte](t)(os.ReadFile(scenario + name))
	var all struct {
		Format    int
		Tolerance float64
		Steps     []json.RawMessage
	}
	check(t, json.Unmarshal(text, &all))
	equal(t, all.Format, 1)
	r := &runner{
		temporary:   t.TempDir(),
		activations: map[string]*peft.Activation{},
		saved:       map[string][]byte{},
	}
	defer r.close()
	for i, raw := range all.Steps {
		if err := r.run(raw, all.Tolerance); err != nil {
			t.Fatalf("step %d, %.200s: %v", i, raw, err)
		}
	}
	if len(all.Steps) == 0 {
		t.Error("no steps")
	}
}

func (r *runner) close() {
	r.layers.Close()
	r.session.Close()
	r.model.Close()
}

// run runs one step and compares what it gives.
func (r *runner) run(raw json.RawMessage, tolerance float64) error {
	var s step
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return err
	}
	verb := verbs[s.Verb]
	if verb == nil {
		return fmt.Errorf("unknown verb %s", s.Verb)
	}
	found, err := verb(r, &s)
	if wanted, fails := s.Expect["error"]; fails {
		var failure *peft.Error
		if !errors.As(err, &failure) {
			return fmt.Errorf("%v, expected %s", err, wanted)
		}
		found = facts{"error": string(failure.ID), "code": int(failure.Code)}
	} else if err != nil {
		return err
	}
	for key, wanted := range s.Expect {
		if err := compare(key, plain(found[key]), wanted, tolerance); err != nil {
			return err
		}
	}
	return nil
}

// plain returns value as it is after a way through JSON.
func plain(value any) (result any) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &result)
	}
	if err != nil {
		return err
	}
	return result
}

func compare(key string, found, wanted any, tolerance float64) error {
	if key != "logits" && key != "values" {
		if !reflect.DeepEqual(found, wanted) {
			return fmt.Errorf("%s is %v, expected %v", key, found, wanted)
		}
		return nil
	}
	numbers, isList := found.([]any)
	expected := wanted.([]any)
	if !isList || len(numbers) != len(expected) {
		return fmt.Errorf("%d %s, expected %d", len(numbers), key, len(expected))
	}
	difference, largest := 0.0, 0.0
	for i := range expected {
		number := expected[i].(float64)
		difference = math.Max(difference, math.Abs(numbers[i].(float64)-number))
		largest = math.Max(largest, math.Abs(number))
	}
	if !(difference <= tolerance*largest) {
		return fmt.Errorf("%s are %g off", key, difference/largest)
	}
	return nil
}

// path returns the place of a path of the scenario.
func (r *runner) path(text string) string {
	if strings.HasPrefix(text, "$TMP/") {
		return filepath.Join(r.temporary, strings.TrimPrefix(text, "$TMP/"))
	}
	return scenario + text
}

// fieldsOf returns the fields of a struct by C's names, flags as 0 and 1.
func fieldsOf(value any) facts {
	found := facts{}
	fields := reflect.ValueOf(value)
	for i := 0; i < fields.NumField(); i++ {
		field := fields.Field(i).Interface()
		if is, isFlag := field.(bool); isFlag {
			field = 0
			if is {
				field = 1
			}
		}
		found[snakeCase(fields.Type().Field(i).Name)] = field
	}
	return found
}

// snakeCase turns "PEFTType" into "peft_type".
func snakeCase(name string) string {
	var words strings.Builder
	letters := []rune(name)
	for i, letter := range letters {
		begins := i > 0 && unicode.IsUpper(letter) &&
			(unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if begins {
			words.WriteByte('_')
		}
		words.WriteRune(unicode.ToLower(letter))
	}
	return words.String()
}

// endOf returns path without what comes before the expected end.
func endOf(s *step, path string) facts {
	wanted := s.Expect["path"].(string)
	if strings.HasSuffix(path, wanted) {
		path = wanted
	}
	return facts{"path": path}
}

// parsed returns the values of a JSON object.
func parsed(text string, err error) (facts, error) {
	var found facts
	if err == nil {
		err = json.Unmarshal([]byte(text), &found)
	}
	return found, err
}
