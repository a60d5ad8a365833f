package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"fmt"
)

// A Code says what kind of failure an error is, with absl's numbers. As an
// error it is what errors.Is compares with.
type Code int32

// Codes of errors.
const (
	OK                 Code = C.PEFT_OK                  // no error
	Cancelled          Code = C.PEFT_CANCELLED           // a callback or the context asked to stop
	Unknown            Code = C.PEFT_UNKNOWN             // not of the library
	InvalidArgument    Code = C.PEFT_INVALID_ARGUMENT    // fix the argument or the file
	DeadlineExceeded   Code = C.PEFT_DEADLINE_EXCEEDED   // the network was too slow
	NotFound           Code = C.PEFT_NOT_FOUND           // no such file, adapter or repository
	AlreadyExists      Code = C.PEFT_ALREADY_EXISTS      // the name is taken
	PermissionDenied   Code = C.PEFT_PERMISSION_DENIED   // the system or the Hub does not allow it
	ResourceExhausted  Code = C.PEFT_RESOURCE_EXHAUSTED  // out of memory, or over a limit
	FailedPrecondition Code = C.PEFT_FAILED_PRECONDITION // the state is wrong; do what it says
	Unimplemented      Code = C.PEFT_UNIMPLEMENTED       // this version cannot do it
	Internal           Code = C.PEFT_INTERNAL            // a bug of the library: report it
	Unavailable        Code = C.PEFT_UNAVAILABLE         // not now: the network, a full disk
	DataLoss           Code = C.PEFT_DATA_LOSS           // a file could not be read to its end
	Unauthenticated    Code = C.PEFT_UNAUTHENTICATED     // a token or a certificate is not good
)

var codeNames = map[Code]string{
	OK:                 "OK",
	Cancelled:          "CANCELLED",
	Unknown:            "UNKNOWN",
	InvalidArgument:    "INVALID_ARGUMENT",
	DeadlineExceeded:   "DEADLINE_EXCEEDED",
	NotFound:           "NOT_FOUND",
	AlreadyExists:      "ALREADY_EXISTS",
	PermissionDenied:   "PERMISSION_DENIED",
	ResourceExhausted:  "RESOURCE_EXHAUSTED",
	FailedPrecondition: "FAILED_PRECONDITION",
	Unimplemented:      "UNIMPLEMENTED",
	Internal:           "INTERNAL",
	Unavailable:        "UNAVAILABLE",
	DataLoss:           "DATA_LOSS",
	Unauthenticated:    "UNAUTHENTICATED",
}

// String returns the name of the code as the header has it: "NOT_FOUND".
func (c Code) String() string {
	return nameOf(codeNames, c, "Code")
}

// Error returns String.
func (c Code) Error() string {
	return c.String()
}

// An ID is the stable name of an error; the list with causes and cures is
// docs/errors.md. As an error it is what errors.Is compares with.
type ID string

// Error returns the id.
func (id ID) Error() string {
	return string(id)
}

// An Error is a failure of the library.
type Error struct {
	Code    Code
	ID      ID     // ErrTensorShapeMismatch
	Message string // a sentence that names the thing and says what to do
	Subject string // the tensor, config key or file that is wrong, or ""
	// What was expected of the subject, as "[8, 128]", and what was found
	// instead, or "".
	Expected, Found string

	cause error
}

// Error returns the message.
func (e *Error) Error() string {
	return "peft: " + e.Message
}

// Is tells whether target is the ID or the Code of the error.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case ID:
		return e.ID == target
	case Code:
		return e.Code == target
	}
	return false
}

// Unwrap returns why a call was cancelled: the error of its context, or the one
// that a callback returned. Else nil.
func (e *Error) Unwrap() error {
	return e.cause
}

// toError frees status; NULL is nil.
func toError(status *C.peft_status_t) error {
	if status == nil {
		return nil
	}
	defer C.peft_status_free(status)
	return &Error{
		Code:     Code(C.peft_status_code(status)),
		ID:       ID(C.GoString(C.peft_status_id(status))),
		Message:  C.GoString(C.peft_status_message(status)),
		Subject:  C.GoString(C.peft_status_subject(status)),
		Expected: C.GoString(C.peft_status_expected(status)),
		Found:    C.GoString(C.peft_status_found(status)),
	}
}

// argumentError is for what the library cannot check itself.
func argumentError(format string, values ...any) error {
	return &Error{
		Code:    InvalidArgument,
		ID:      ErrArgument,
		Message: fmt.Sprintf(format, values...),
	}
}

// begin returns the error of a call whose context is done before it begins.
func begin(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	return &Error{
		Code:    Cancelled,
		ID:      ErrCancelled,
		Message: "the context was done before the call: " + err.Error(),
		cause:   err,
	}
}

// nameOf returns the name of a constant, or its type with its number.
func nameOf[T ~int32](names map[T]string, value T, kind string) string {
	if name, found := names[value]; found {
		return name
	}
	return fmt.Sprintf("%s(%d)", kind, int32(value))
}
