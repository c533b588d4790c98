// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func seed(f *testing.F, files ...string) {
	for _, file := range files {
		line, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte("go-plugin/2 {}\n"))
	f.Add([]byte("\x15\x03\x01\x00\x02\x02\x46"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
}

// FuzzReadRequest feeds anything to a plugin's port. What is accepted must be
// writable again and mean the same; what is not consumed must still be there.
func FuzzReadRequest(f *testing.F) {
	seed(f, "request.golden")
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), len(data)+16)
		req, err := ReadRequest(r)
		if errors.Is(err, ErrNotHello) && r.Buffered() != len(data) {
			t.Fatalf("a stranger's bytes were consumed: %d of %d left", r.Buffered(), len(data))
		}
		if err != nil {
			return
		}
		if used := data[:len(data)-r.Buffered()]; bytes.IndexByte(used, '\n') != len(used)-1 {
			t.Fatalf("consumed %q, not one line", used)
		}
		if len(data) > MaxRequest/6 {
			return // escaping, six bytes for one at worst, may exceed the bound
		}
		var line bytes.Buffer
		if err := WriteRequest(&line, req); err != nil {
			t.Fatalf("accepted but not writable: %v", err)
		}
		again, err := ReadRequest(bufio.NewReader(&line))
		if err != nil {
			t.Fatalf("written but not readable: %v", err)
		}
		if diff := cmp.Diff(req, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("-first, +second:\n%s", diff)
		}
	})
}

// FuzzReadAnswer feeds anything to a host. Whatever comes, the host gets an
// answer it can use or an error it can show.
func FuzzReadAnswer(f *testing.F) {
	seed(f, "answer.golden", "refusal.golden")
	f.Fuzz(func(t *testing.T, data []byte) {
		answer, err := ReadAnswer(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			if !canBeShown(err.Error()) {
				t.Fatalf("an error that cannot be shown: %q", err)
			}
			return
		}
		var line bytes.Buffer
		if err := WriteAnswer(&line, answer); err != nil {
			t.Fatalf("accepted but not writable: %v", err)
		}
		if _, err := ReadAnswer(bufio.NewReader(&line)); err != nil {
			t.Fatalf("written but not readable: %v", err)
		}
	})
}
