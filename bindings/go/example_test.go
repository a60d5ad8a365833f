package peft_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"testing"

	"peft"
)

func Example() {
	ctx := context.Background()
	model, err := peft.Open(ctx, "examples/quickstart/base", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	_, err = model.LoadAdapter(ctx, "german", "examples/quickstart/adapters/german", nil)
	if err != nil {
		log.Fatal(err)
	}
	session, err := model.NewSession(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	prompt := peft.Tokens(1, 7, 5, 3, 10, 13) // "4207="
	result, err := session.Generate(ctx, prompt, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Tokens[0])
	// Output: [37 24 20 33 35 16 36 34 20 29 19 41 38 20 24 23 36 29 19 20]
}

// The program of README.md is the example above.
func TestReadmeHasTheExample(t *testing.T) {
	_, program, _ := strings.Cut(readText(t, "bindings/go/README.md"), "```go\n")
	program, _, _ = strings.Cut(program, "```\n")
	_, body, _ := strings.Cut(program, "func main() {\n")
	source := readText(t, "bindings/go/example_test.go")
	if body == "" || !strings.Contains(source, "func Example() {\n"+strings.TrimSuffix(body, "}\n")) {
		t.Errorf("the example is not README.md's program:\n%s", body)
	}
}
