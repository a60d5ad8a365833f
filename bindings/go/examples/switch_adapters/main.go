// Opens the quickstart's base model, loads two adapters, switches, generates.
// usage: switch_adapters BASE ADAPTERS
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"peft"
)

// The character that each token of this model stands for.
const text = "???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM"

// Prints how the active adapter writes 1987.
func answer(ctx context.Context, session *peft.Session, name string) {
	prompt := peft.Tokens(1, 4, 12, 11, 10, 13) // <bos> 1 9 8 7 =
	options := &peft.GenerateOptions{MaxNewTokens: 64}
	result, err := session.Generate(ctx, prompt, options)
	check(err)
	line := ""
	for _, token := range result.Tokens[0][:len(result.Tokens[0])-1] {
		line += text[token : token+1]
	}
	fmt.Printf("%s: %s\n", name, line)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx := context.Background()
	model, err := peft.Open(ctx, os.Args[1], nil)
	check(err)
	defer model.Close()
	session, err := model.NewSession(nil)
	check(err)
	defer session.Close()
	answer(ctx, session, "base")
	for _, name := range []string{"german", "roman"} {
		_, err := model.LoadAdapter(ctx, name, filepath.Join(os.Args[2], name), nil)
		check(err)
		answer(ctx, session, name)
	}
	check(model.SetAdapter("german"))
	answer(ctx, session, "german")
	check(model.DisableAdapters())
	answer(ctx, session, "base")
}
