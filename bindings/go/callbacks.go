package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"errors"
	"sync"
	"unsafe"
)

// A call is what the callbacks of one call of the library share. Its callbacks
// may run on any thread.
type call struct {
	ctx context.Context

	onToken    func(row int, token int64) error
	onProgress func(done, total int64) error
	onDownload func(Download) error
	transport  Transport

	parallelFor func(pieces int64, piece func(index int64)) error

	mu       sync.Mutex
	err      error // why a callback refused
	panicked bool
	panic    any
}

func newCall(ctx context.Context) *call {
	return &call{ctx: ctx}
}

// finish returns the error of the call, with what a callback refused with. A
// callback's panic goes on here.
func (c *call) finish(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.panicked {
		panic(c.panic)
	}
	var failure *Error
	if c.err != nil && errors.As(err, &failure) {
		failure.cause = c.err
	}
	return err
}

// reset forgets what a callback refused or panicked with.
func (c *call) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.panicked, c.panic = nil, false, nil
}

// keep keeps what a callback panicked with; to be deferred.
func (c *call) keep(refuse *C.int32_t) {
	value := recover()
	if value == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panicked, c.panic = true, value
	*refuse = 1
}

// refuse keeps the first error and returns what the library takes for a wish to
// stop.
func (c *call) refuse(err error) C.int32_t {
	if err == nil {
		err = c.ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	if c.err != nil || c.panicked {
		return 1
	}
	return 0
}

//export peftGoToken
func peftGoToken(userData unsafe.Pointer, row, token C.int64_t) (cancel C.int32_t) {
	c := fromUserData[*call](userData)
	defer c.keep(&cancel)
	var err error
	if c.onToken != nil {
		err = c.onToken(int(row), int64(token))
	}
	return c.refuse(err)
}

//export peftGoProgress
func peftGoProgress(userData unsafe.Pointer, done, total C.int64_t) (cancel C.int32_t) {
	c := fromUserData[*call](userData)
	defer c.keep(&cancel)
	var err error
	if c.onProgress != nil {
		err = c.onProgress(int64(done), int64(total))
	}
	return c.refuse(err)
}

//export peftGoDownload
func peftGoDownload(userData unsafe.Pointer, bytes, totalBytes, files, totalFiles C.int64_t) (cancel C.int32_t) {
	c := fromUserData[*call](userData)
	defer c.keep(&cancel)
	var err error
	if c.onDownload != nil {
		err = c.onDownload(Download{
			Bytes:      int64(bytes),
			TotalBytes: int64(totalBytes),
			Files:      int64(files),
			TotalFiles: int64(totalFiles),
		})
	}
	return c.refuse(err)
}

//export peftGoTransport
func peftGoTransport(userData unsafe.Pointer, request *C.peft_http_request_t, exchange *C.peft_exchange_t) (result C.int32_t) {
	c := fromUserData[*call](userData)
	defer c.keep(&result)
	return C.int32_t(c.transport(newHTTPRequest(request), &Exchange{handle: exchange}))
}

//export peftGoRead
func peftGoRead(userData unsafe.Pointer, offset C.int64_t, buffer unsafe.Pointer, size C.int64_t) (count C.int64_t) {
	reader := fromUserData[*fileReader](userData)
	var refused C.int32_t
	defer func() {
		if refused != 0 {
			count = -1
		}
	}()
	defer reader.call.keep(&refused)
	read, err := reader.from.ReadAt(unsafe.Slice((*byte)(buffer), int64(size)), int64(offset))
	if read > 0 {
		err = nil // It comes again where more is missing.
	}
	refused = reader.call.refuse(err)
	return C.int64_t(read)
}

//export peftGoParallelFor
func peftGoParallelFor(userData unsafe.Pointer, pieces C.int64_t, piece C.peft_piece_fn, pieceData unsafe.Pointer) (failed C.int32_t) {
	c := fromUserData[*call](userData)
	defer c.keep(&failed)
	err := c.parallelFor(int64(pieces), func(index int64) {
		C.peft_go_piece(piece, pieceData, C.int64_t(index))
	})
	if err == nil {
		return 0
	}
	return c.refuse(err)
}

//export peftGoLog
func peftGoLog(userData unsafe.Pointer, level C.int32_t, line *C.char) {
	logger := fromUserData[func(LogLevel, string)](userData)
	text := C.GoString(line)
	defer func() {
		if value := recover(); value != nil {
			reportLoggerPanic(value, text)
		}
	}()
	logger(LogLevel(level), text)
}
