package peft

// #include "peft_go.h"
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// HubOptions say how something is fetched from the Hugging Face Hub. For a
// local folder they have no effect.
type HubOptions struct {
	// A branch, tag, commit or "refs/pr/1". Default: main; of a model that an
	// adapter names, the one that the adapter's config has.
	Revision string
	// An access token. Default: HF_TOKEN or the token file.
	Token string
	// Where downloads are kept. Default: HF_HUB_CACHE.
	CacheDir string
	// One "scheme=URL" each, as "https=http://10.0.0.1:3128", the scheme http,
	// https or all. They stand for all that the environment says of proxies.
	Proxies []string
	// Makes no request.
	LocalFilesOnly bool
	// Fetches again what is there.
	ForceDownload bool
	// The Hub's address. Default: HF_ENDPOINT.
	Endpoint string
	// Called while something is fetched, when bytes came, and ten times a
	// second or more while none do, on any thread, one call at a time. An error
	// ends the call that fetches, which wraps it; the next one goes on where it
	// was.
	OnDownload func(Download) error
	// Makes the requests in place of the library's own network code; then
	// there are no proxies.
	Transport Transport
}

// A Download is how far a download is. Totals are 0 until the Hub has said
// them. Counts begin anew with each repository, and with the shards of a model.
type Download struct {
	Bytes, TotalBytes int64
	Files, TotalFiles int64
}

// A Transport sends a request to the Hub, hands the answer to the exchange and
// says how it went: first the head, then the parts of the body, decoded (gzip,
// chunked) in order. It follows no redirect, and sends nothing to a server
// whose certificate it has not verified. A connection that ends before the
// whole body is there is TransportConnect. When the exchange says that it ends,
// it returns, whatever value; while nothing arrives it asks IsCancelled ten
// times a second. It is called on several threads at once.
type Transport func(request *HTTPRequest, exchange *Exchange) TransportResult

// An HTTPRequest is what a Transport sends.
type HTTPRequest struct {
	Method string // GET or HEAD
	URL    string // absolute, http or https, already encoded
	// All header fields but Host and Connection. An access token may be among
	// them: send them to no other address, not even after a redirect.
	Fields []HTTPField
	// For connecting, and between any two parts of the answer.
	Timeout time.Duration
}

// An HTTPField is a header field.
type HTTPField struct {
	Name, Value string
}

func newHTTPRequest(request *C.peft_http_request_t) *HTTPRequest {
	result := &HTTPRequest{
		Method:  C.GoString(request.method),
		URL:     C.GoString(request.url),
		Timeout: time.Duration(request.timeout_ms) * time.Millisecond,
	}
	names := unsafe.Slice(request.field_names, request.num_fields)
	values := unsafe.Slice(request.field_values, request.num_fields)
	for i := range names {
		result.Fields = append(result.Fields, HTTPField{C.GoString(names[i]), C.GoString(values[i])})
	}
	return result
}

// An Exchange is where the answer to one request goes, until the Transport that
// got it returns.
type Exchange struct {
	handle *C.peft_exchange_t
}

// Respond hands over the head of the answer. It returns whether to go on; if
// not, the rest is of no use, or an argument was wrong.
func (e *Exchange) Respond(status int, fields []HTTPField) bool {
	var a arena
	defer a.free()
	names := make([]string, len(fields))
	values := make([]string, len(fields))
	for i, field := range fields {
		names[i], values[i] = field.Name, field.Value
	}
	cNames, count := a.texts(names)
	cValues, _ := a.texts(values)
	if a.err != nil {
		return false
	}
	return C.peft_exchange_respond(e.handle, C.int32_t(status), cNames, cValues, count) == 0
}

// Write hands over the next bytes of the body. It is an io.Writer; its error
// says that the exchange is to end.
func (e *Exchange) Write(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	if C.peft_exchange_write(e.handle, unsafe.Pointer(&data[0]), C.size_t(len(data))) != 0 {
		return 0, ErrCancelled
	}
	return len(data), nil
}

// IsCancelled tells whether the exchange is to end.
func (e *Exchange) IsCancelled() bool {
	return C.peft_exchange_is_cancelled(e.handle) != 0
}

// newCall returns what the callbacks of a call that fetches need, and whether
// the library must ask on_download: where nobody listens, and no transport may
// panic, it need not.
func (h *HubOptions) newCall(ctx context.Context) (c *call, listens bool) {
	c = newCall(ctx)
	c.onDownload, c.transport = h.OnDownload, h.Transport
	return c, h.OnDownload != nil || h.Transport != nil || ctx.Done() != nil
}
