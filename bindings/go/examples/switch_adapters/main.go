// Opens the quickstart's base model, loads two adapters, switches, generates.
// usage: switch_adapters BASE ADAPTERS
package main

// #cgo LDFLAGS: -lpeft
// #include <stdlib.h>
// #include "peft_c/peft_c.h"
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// The character that each token of this model stands for.
const text = "???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM"

func check(status *C.peft_status_t) {
	if status != nil {
		fmt.Fprintln(os.Stderr, C.GoString(C.peft_status_message(status)))
		os.Exit(1)
	}
}

// Prints how the active adapter writes 1987.
func answer(session *C.peft_session_t, name string) {
	// C memory: Go's may not lie behind a pointer inside of a struct.
	ids := (*[6]C.int64_t)(C.malloc(6 * C.sizeof_int64_t))
	defer C.free(unsafe.Pointer(ids))
	*ids = [6]C.int64_t{1, 4, 12, 11, 10, 13} // <bos> 1 9 8 7 =
	var input C.peft_forward_input_t
	C.peft_forward_input_init(&input, C.sizeof_peft_forward_input_t)
	input.ids, input.batch, input.length = &ids[0], 1, 6
	var options C.peft_generate_options_t
	C.peft_generate_options_init(&options, C.sizeof_peft_generate_options_t)
	options.max_new_tokens = 64
	var result *C.peft_generate_result_t
	check(C.peft_session_generate(session, &input, &options, &result))
	defer C.peft_generate_result_free(result)
	var size C.size_t
	tokens := C.peft_generate_result_tokens(result, 0, &size)
	line := ""
	for _, token := range unsafe.Slice(tokens, int(size)-1) {
		line += text[token : token+1]
	}
	fmt.Printf("%s: %s\n", name, line)
}

func main() {
	var model *C.peft_model_t
	var session *C.peft_session_t
	check(C.peft_model_open(C.CString(os.Args[1]), nil, &model))
	defer C.peft_model_free(model)
	check(C.peft_session_create(model, nil, &session))
	defer C.peft_session_free(session)
	answer(session, "base")
	for _, name := range []string{"german", "roman"} {
		path := C.CString(os.Args[2] + "/" + name)
		check(C.peft_model_load_adapter(model, C.CString(name), path, nil, nil))
		answer(session, name)
	}
	german := C.CString("german")
	check(C.peft_model_set_adapter(model, &german, 1, nil))
	answer(session, "german")
	check(C.peft_model_disable_adapters(model))
	answer(session, "base")
}
