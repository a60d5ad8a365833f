//go:build peft_pkgconfig

package peft

// The header and the library are where pkg-config says.

// #cgo pkg-config: peft
import "C"
