package peft

// #include "peft_go.h"
import "C"

import (
	"strconv"
	"strings"
)

// HeaderVersion is the API number of the header that this package was compiled
// with. The library must have at least this: Open and NewModel look.
const HeaderVersion = C.PEFT_API_VERSION

// APIVersion returns the API number of the library that is loaded.
func APIVersion() int {
	return int(C.peft_api_version())
}

// BuildInfo says what the library is and can do here.
type BuildInfo struct {
	APIVersion int
	Version    string   // "0.1.0"
	Compiler   string   // "gcc 12.2.0"
	CPUKernels string   // the variant chosen on this machine: "avx512"
	Methods    []string // PEFT methods that can run: "LORA"
	ModelTypes []string // base models that can run: "llama", "mistral"
}

// GetBuildInfo returns what the library is and can do here.
func GetBuildInfo() BuildInfo {
	var info C.peft_build_info_t
	info.struct_size = C.sizeof_peft_build_info_t
	C.peft_get_build_info(&info)
	return BuildInfo{
		APIVersion: int(info.api_version),
		Version:    C.GoString(info.version),
		Compiler:   C.GoString(info.compiler),
		CPUKernels: C.GoString(info.cpu_kernels),
		Methods:    strings.Split(C.GoString(info.methods), ","),
		ModelTypes: strings.Split(C.GoString(info.model_types), ","),
	}
}

// checkVersion fails where the library is older than the header.
func checkVersion() error {
	if APIVersion() >= HeaderVersion {
		return nil
	}
	return &Error{
		Code:     FailedPrecondition,
		ID:       ErrUnimplemented,
		Message:  "libpeft is older than the peft_c.h that this program was compiled with; install a newer one",
		Subject:  "libpeft",
		Expected: strconv.Itoa(HeaderVersion),
		Found:    strconv.Itoa(APIVersion()),
	}
}
