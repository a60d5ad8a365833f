package peft_test

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"peft"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// A memoryHub is a Hub with one repository, owner/adapter, whose files are
// those of a folder: as little of it as a download needs.
type memoryHub struct {
	folder string
	mu     sync.Mutex
	asked  []*peft.HTTPRequest
}

func (h *memoryHub) send(request *peft.HTTPRequest, exchange *peft.Exchange) peft.TransportResult {
	h.mu.Lock()
	h.asked = append(h.asked, request)
	h.mu.Unlock()
	status, fields, body := h.answer(request)
	if !exchange.Respond(status, fields) || request.Method == "HEAD" {
		return peft.TransportOK
	}
	for len(body) > 0 {
		size := len(body)
		if size > 10000 {
			size = 10000
		}
		if _, err := exchange.Write(body[:size]); err != nil {
			break
		}
		body = body[size:]
	}
	return peft.TransportOK
}

func (h *memoryHub) answer(request *peft.HTTPRequest) (int, []peft.HTTPField, []byte) {
	named := peft.HTTPField{Name: "X-Repo-Commit", Value: commit}
	_, path, isFile := strings.Cut(request.URL, "/owner/adapter/resolve/")
	if strings.HasSuffix(request.URL, "/api/models/owner/adapter/revision/main") {
		return 200, nil, []byte(`{"sha": "` + commit + `"}`)
	}
	if strings.Contains(request.URL, "/api/models/owner/adapter/tree/"+commit) {
		return 200, nil, h.tree()
	}
	if !isFile {
		unknown := peft.HTTPField{Name: "X-Error-Code", Value: "RepoNotFound"}
		return 404, []peft.HTTPField{unknown}, nil
	}
	_, path, _ = strings.Cut(path, "/")
	data, err := os.ReadFile(filepath.Join(h.folder, path))
	if err != nil {
		missing := peft.HTTPField{Name: "X-Error-Code", Value: "EntryNotFound"}
		return 404, []peft.HTTPField{named, missing}, nil
	}
	return 200, []peft.HTTPField{
		named,
		{Name: "ETag", Value: `"` + gitOID(data) + `"`},
		{Name: "Content-Length", Value: fmt.Sprint(len(data))},
	}, data
}

// tree returns what the repository has.
func (h *memoryHub) tree() []byte {
	type file struct {
		Type string `json:"type"`
		OID  string `json:"oid"`
		Size int    `json:"size"`
		Path string `json:"path"`
	}
	files := []file{}
	entries, _ := os.ReadDir(h.folder)
	for _, entry := range entries {
		data, _ := os.ReadFile(filepath.Join(h.folder, entry.Name()))
		files = append(files, file{"file", gitOID(data), len(data), entry.Name()})
	}
	text, _ := json.Marshal(files)
	return text
}

// gitOID is git's name of a file's contents.
func gitOID(data []byte) string {
	return fmt.Sprintf("%x", sha1.Sum(append([]byte(fmt.Sprintf("blob %d\x00", len(data))), data...)))
}

// hubOptions fetch through transport into a folder of the test's own.
func hubOptions(t testing.TB, transport peft.Transport) peft.HubOptions {
	return peft.HubOptions{
		CacheDir:  t.TempDir(),
		Endpoint:  "http://hub.invalid",
		Token:     "hf_secret",
		Transport: transport,
	}
}

func TestTransportFetchesAnAdapter(t *testing.T) {
	hub := &memoryHub{folder: smallAdapter}
	options := hubOptions(t, hub.send)
	var last peft.Download
	options.OnDownload = func(d peft.Download) error {
		last = d
		return nil
	}
	model := small(t)
	must[*peft.LoadReport](t)(model.LoadAdapter(background, "plain", "owner/adapter", &peft.LoadOptions{Hub: options}))
	wanted := logits(t, sessionOf(t, adapted(t)), nil)
	equalSlices(t, logits(t, sessionOf(t, model), nil), wanted)
	if last.TotalFiles == 0 || last.Files != last.TotalFiles || last.Bytes != last.TotalBytes {
		t.Errorf("the last progress is %+v", last)
	}
	sawToken := false
	for _, field := range hub.asked[0].Fields {
		sawToken = sawToken || strings.EqualFold(field.Name, "authorization") && strings.Contains(field.Value, "hf_secret")
	}
	equal(t, sawToken, true)
	equal(t, hub.asked[0].Timeout > 0, true)
	source := must[string](t)(model.AdapterSource("plain"))
	equal(t, strings.Contains(source, commit), true)
}

func TestFetchAdapterGivesTheFolder(t *testing.T) {
	options := hubOptions(t, (&memoryHub{folder: smallAdapter}).send)
	folder := must[string](t)(peft.FetchAdapter(background, "owner/adapter", &peft.LoadOptions{Hub: options}))
	config := must[[]byte](t)(os.ReadFile(filepath.Join(folder, "adapter_config.json")))
	equal(t, json.Valid(config), true)
	options.LocalFilesOnly = true
	again := must[string](t)(peft.FetchAdapter(background, "owner/adapter", &peft.LoadOptions{Hub: options}))
	equal(t, again, folder)
}

func TestErrorsOfTheHub(t *testing.T) {
	missing := hubOptions(t, (&memoryHub{folder: t.TempDir()}).send)
	_, err := peft.FetchAdapter(background, "owner/nothing", &peft.LoadOptions{Hub: missing})
	equal(t, errors.Is(err, peft.NotFound), true)
	_, err = peft.FetchModel(background, "owner/nothing", &peft.ModelOptions{Hub: missing})
	equal(t, errors.Is(err, peft.NotFound), true)
	noTLS := hubOptions(t, func(*peft.HTTPRequest, *peft.Exchange) peft.TransportResult {
		return peft.TransportTLS
	})
	_, err = peft.Open(background, "owner/model", &peft.ModelOptions{Hub: noTLS})
	equal(t, errors.Is(err, peft.ErrHubTLS), true)
	both := hubOptions(t, (&memoryHub{}).send)
	both.Proxies = []string{"all=http://127.0.0.1:1"}
	_, err = peft.Open(background, "owner/model", &peft.ModelOptions{Hub: both})
	equal(t, errors.Is(err, peft.ErrArgument), true)
	offline := hubOptions(t, nil)
	offline.LocalFilesOnly = true
	_, err = peft.Open(background, "owner/model", &peft.ModelOptions{Hub: offline})
	equal(t, errors.Is(err, peft.ErrHubLocalEntryNotFound), true)
}

// waits is a transport to which nothing comes.
func waits(_ *peft.HTTPRequest, exchange *peft.Exchange) peft.TransportResult {
	for !exchange.IsCancelled() {
		time.Sleep(10 * time.Millisecond)
	}
	return peft.TransportOK
}

func TestContextEndsADownload(t *testing.T) {
	options := hubOptions(t, waits)
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := peft.Open(ctx, "owner/model", &peft.ModelOptions{Hub: options})
	equal(t, errors.Is(err, context.DeadlineExceeded), true)
	equal(t, errors.Is(err, peft.ErrCancelled), true)
	if taken := time.Since(begin); taken > 5*time.Second {
		t.Errorf("it took %v", taken)
	}
}

func TestErrorOfOnDownloadEndsADownload(t *testing.T) {
	options := hubOptions(t, waits)
	enough := errors.New("enough")
	options.OnDownload = func(peft.Download) error { return enough }
	_, err := peft.FetchAdapter(background, "owner/adapter", &peft.LoadOptions{Hub: options})
	equal(t, errors.Is(err, enough), true)
}

// The panics happen on threads of the library.
func TestPanicsOfHubCallbacksGoOn(t *testing.T) {
	panicking := hubOptions(t, func(*peft.HTTPRequest, *peft.Exchange) peft.TransportResult {
		panic("no network")
	})
	expectPanic(t, "no network", func() {
		peft.FetchAdapter(background, "owner/adapter", &peft.LoadOptions{Hub: panicking})
	})
	waiting := hubOptions(t, waits)
	waiting.OnDownload = func(peft.Download) error { panic("no progress") }
	expectPanic(t, "no progress", func() {
		peft.FetchAdapter(background, "owner/adapter", &peft.LoadOptions{Hub: waiting})
	})
}

func expectPanic(t testing.TB, wanted string, act func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if value := recover(); value != wanted {
			t.Errorf("recovered %v, expected %s", value, wanted)
		}
	}()
	act()
}

func TestAnExchangeEndsWithItsRequest(t *testing.T) {
	var kept *peft.Exchange
	var mu sync.Mutex // files are asked for on several threads
	hub := &memoryHub{folder: smallAdapter}
	options := hubOptions(t, func(request *peft.HTTPRequest, exchange *peft.Exchange) peft.TransportResult {
		mu.Lock()
		kept = exchange
		mu.Unlock()
		return hub.send(request, exchange)
	})
	must[string](t)(peft.FetchAdapter(background, "owner/adapter", &peft.LoadOptions{Hub: options}))
	equal(t, kept.IsCancelled(), true)
	equal(t, kept.Respond(200, nil), false)
	_, err := kept.Write([]byte("late"))
	equal(t, err != nil, true)
}
