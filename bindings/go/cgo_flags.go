//go:build !peft_pkgconfig

package peft

// The header and the library are where CGO_CFLAGS and CGO_LDFLAGS say, or where
// the compiler looks by itself.

// #cgo LDFLAGS: -lpeft
import "C"
