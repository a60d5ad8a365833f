package peft_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"peft"
)

func TestErrorSaysWhatIsWrong(t *testing.T) {
	_, err := peft.Open(background, "no/such/folder/here", nil)
	var failure *peft.Error
	if !errors.As(err, &failure) {
		t.Fatalf("%v is no *peft.Error", err)
	}
	if !strings.Contains(failure.Message, "no/such/folder/here") {
		t.Errorf("the message does not name the folder: %s", failure.Message)
	}
	if failure.Code == peft.OK || failure.ID == "" {
		t.Errorf("no code or id: %+v", failure)
	}
}

func TestErrorIsItsIDAndItsCode(t *testing.T) {
	err := adapted(t).SetAdapter("nobody")
	equal(t, errors.Is(err, peft.ErrAdapterNotFound), true)
	equal(t, errors.Is(err, peft.NotFound), true)
	equal(t, errors.Is(err, peft.ErrAdapterExists), false)
	equal(t, errors.Is(err, peft.AlreadyExists), false)
}

func TestErrorHasExpectedAndFound(t *testing.T) {
	_, err := small(t).LoadAdapter(background, "", scenario+"adapters/wrong_shape", nil)
	var failure *peft.Error
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	equal(t, failure.ID, peft.ErrTensorShapeMismatch)
	if failure.Subject == "" || failure.Expected == "" || failure.Found == "" {
		t.Errorf("incomplete: %+v", failure)
	}
}

func TestEachDocumentedIDHasASentinel(t *testing.T) {
	text := must[[]byte](t)(os.ReadFile("docs/errors.md"))
	source := string(must[[]byte](t)(os.ReadFile("bindings/go/error_ids.go")))
	rows := regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)`").FindAllSubmatch(text, -1)
	if len(rows) < 50 {
		t.Fatalf("%d ids in docs/errors.md", len(rows))
	}
	for _, row := range rows {
		if !strings.Contains(source, ` ID = "`+string(row[1])+`"`) {
			t.Errorf("no sentinel for %s", row[1])
		}
	}
}

func TestTextWithANULIsRefused(t *testing.T) {
	model := adapted(t)
	for _, err := range []error{
		model.SetAdapter("plain\x00more"),
		model.SetScale("plain\x00", 1),
		model.SaveAdapter("plain", "a\x00b", nil),
	} {
		equal(t, errors.Is(err, peft.ErrArgument), true)
	}
	_, err := peft.Open(background, "", &peft.ModelOptions{Subfolder: "a\x00"})
	equal(t, errors.Is(err, peft.ErrArgument), true)
}

func TestTextThatIsNotUTF8IsRefused(t *testing.T) {
	err := adapted(t).SetAdapter("\xff")
	equal(t, errors.Is(err, peft.ErrUTF8), true)
}

func TestDoneContextEndsACallBeforeItBegins(t *testing.T) {
	model := adapted(t)
	session := sessionOf(t, model)
	cancelled, cancel := context.WithCancel(background)
	cancel()
	late, cancel := context.WithDeadline(background, time.Unix(0, 0))
	defer cancel()
	_, openErr := peft.Open(cancelled, smallBase, nil)
	_, loadErr := model.LoadAdapter(cancelled, "x", smallAdapter, nil)
	_, generateErr := session.Generate(cancelled, peft.Tokens(1), nil)
	mergeErr := model.MergeAndUnload(cancelled, tempPath(t, "merged"), nil)
	for _, err := range []error{openErr, loadErr, generateErr, mergeErr} {
		equal(t, errors.Is(err, context.Canceled), true)
		equal(t, errors.Is(err, peft.Cancelled), true)
	}
	_, err := peft.FetchModel(late, smallBase, nil)
	equal(t, errors.Is(err, context.DeadlineExceeded), true)
}
