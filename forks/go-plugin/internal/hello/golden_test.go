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
)

func fullRequest() *Request {
	return &Request{
		Core:      Core,
		Cookie:    Cookie{Key: "BASIC_PLUGIN", Value: "hello"},
		Versions:  []int{1, 2},
		Protocols: []string{"grpc", "netrpc"},
		Features:  []string{"goaway", "mux"},
		Host:      "basic on node-1",
	}
}

func fullAnswer() *Answer {
	return &Answer{
		Core:     Core,
		Version:  2,
		Protocol: "grpc",
		Features: []string{"goaway", "mux"},
		Name:     "pluginzh",
		Instance: "pluginzh-7d4b9-x2x4q",
		Kinds: []Kind{
			{Name: "greeter", Methods: []Method{
				{Name: "Greet", Args: "string", Reply: "string"},
				{Name: "Watch", Reply: "<-chan string"},
			}},
			{Name: "pingponger"},
		},
		Build: &Build{
			Go: "go1.26.8", Module: "github.com/reattach/reattach", Version: "v1.0.0",
			Revision: "0123456789abcdef", Modified: true, Fork: "v1.8.0",
		},
	}
}

func fullRefusal() *Refusal {
	return &Refusal{
		Code:     CodeVersion,
		Message:  "incompatible API version with plugin. Plugin version: 1, Client versions: [2]",
		Versions: []int{1},
	}
}

// TestGolden holds the bytes on the wire: what this package writes is what the
// files say, and reading a file gives the value back.
func TestGolden(t *testing.T) {
	cases := map[string]struct {
		reason string
		file   string
		write  func(*bytes.Buffer) error
		read   func(*bufio.Reader) (any, error)
		want   any
	}{
		"Request": {
			reason: "A host's line with every field.",
			file:   "request.golden",
			write:  func(b *bytes.Buffer) error { return WriteRequest(b, fullRequest()) },
			read:   func(r *bufio.Reader) (any, error) { return ReadRequest(r) },
			want:   fullRequest(),
		},
		"Answer": {
			reason: "A plugin's yes with every field.",
			file:   "answer.golden",
			write:  func(b *bytes.Buffer) error { return WriteAnswer(b, fullAnswer()) },
			read:   func(r *bufio.Reader) (any, error) { return ReadAnswer(r) },
			want:   fullAnswer(),
		},
		"Refusal": {
			reason: "A plugin's no comes back as an error of its own type.",
			file:   "refusal.golden",
			write:  func(b *bytes.Buffer) error { return WriteRefusal(b, fullRefusal()) },
			read: func(r *bufio.Reader) (any, error) {
				_, err := ReadAnswer(r)
				var refusal *Refusal
				if !errors.As(err, &refusal) {
					return nil, err
				}
				return refusal, nil
			},
			want: fullRefusal(),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			golden, err := os.ReadFile(filepath.Join("testdata", tc.file))
			if err != nil {
				t.Fatal(err)
			}
			var line bytes.Buffer
			if err := tc.write(&line); err != nil {
				t.Fatalf("%s\nwrite: %v", tc.reason, err)
			}
			if diff := cmp.Diff(string(golden), line.String()); diff != "" {
				t.Errorf("%s\nwrite: -want, +got:\n%s", tc.reason, diff)
			}

			// What follows the line belongs to the next protocol.
			r := bufio.NewReader(bytes.NewReader(append(golden, "\x00\x01next"...)))
			got, err := tc.read(r)
			if err != nil {
				t.Fatalf("%s\nread: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nread: -want, +got:\n%s", tc.reason, diff)
			}
			if rest, _ := r.Peek(r.Buffered()); string(rest) != "\x00\x01next" {
				t.Errorf("%s\nleft in the reader: %q", tc.reason, rest)
			}
		})
	}
}

// TestSpecificationShowsTheGoldenLines keeps PROTOCOL.md and the bytes together.
func TestSpecificationShowsTheGoldenLines(t *testing.T) {
	spec, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "PROTOCOL.md"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("PROTOCOL.md is in the repository, not in the module: this is a copy of the module alone")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"request.golden", "answer.golden", "refusal.golden"} {
		golden, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(spec, append([]byte("\n    "), golden...)) {
			t.Errorf("PROTOCOL.md does not show the line of %s", file)
		}
	}
}

// TestSpecificationListsTheCodes keeps PROTOCOL.md and the codes together.
func TestSpecificationListsTheCodes(t *testing.T) {
	spec, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "PROTOCOL.md"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("PROTOCOL.md is in the repository, not in the module: this is a copy of the module alone")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, spec, _ = bytes.Cut(spec, []byte("### Refusals"))
	for _, code := range []string{
		CodeMalformed, CodeTooLarge, CodeCore, CodeCookie, CodeVersion, CodeProtocol, CodeBusy, CodeDraining,
	} {
		again := "| no |"
		if (&Refusal{Code: code}).Temporary() {
			again = "| yes"
		}
		_, row, _ := bytes.Cut(spec, []byte("\n| `"+code+"` | "))
		row, _, _ = bytes.Cut(row, []byte("\n"))
		if !bytes.Contains(row, []byte(again)) {
			t.Errorf("PROTOCOL.md has no row for %q that ends with %q: %s", code, again, row)
		}
	}
}
