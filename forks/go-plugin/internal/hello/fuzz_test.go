// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
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

// FuzzNegotiate agrees with a host that asks for anything. What is agreed on, both
// sides have; a host is refused only where there is nothing better.
func FuzzNegotiate(f *testing.F) {
	seed(f, "request.golden")
	f.Add([]byte(`go-plugin/1 {"core":1,"versions":[2,1,2],"protocols":["grpc","netrpc","grpc"],"features":["a","goaway","a"]}` + "\n"))
	f.Add([]byte(`go-plugin/1 {"core":1,"cookie":{"key":"K","value":"v"},"versions":[3],"protocols":[]}` + "\n"))
	offers := []Offer{{1, "netrpc", nil}, {2, "netrpc", []string{"goaway"}}, {2, "grpc", []string{"goaway", "mux"}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		want := Offer{Version: -1}
		for _, o := range offers {
			rank, best := slices.Index(req.Protocols, o.Protocol), slices.Index(req.Protocols, want.Protocol)
			if slices.Contains(req.Versions, o.Version) && rank >= 0 && (o.Version > want.Version || rank < best) {
				want = o
			}
		}
		agreed, err := Negotiate(req, Cookie{}, offers)
		if err != nil {
			if !errors.As(err, new(*Refusal)) || want.Version >= 0 || !canBeShown(err.Error()) {
				t.Fatalf("refused with %q, although there is %+v", err, want)
			}
			return
		}
		if agreed.Version != want.Version || agreed.Protocol != want.Protocol {
			t.Fatalf("%+v was chosen, want %+v", agreed, want)
		}
		for i, feature := range agreed.Features {
			if !slices.Contains(req.Features, feature) || !slices.Contains(want.Features, feature) || slices.Contains(agreed.Features[:i], feature) {
				t.Fatalf("features %q of %q and %q", agreed.Features, req.Features, want.Features)
			}
		}
		if _, err := Negotiate(req, Cookie{Key: "K", Value: "v"}, offers); err == nil && req.Cookie != (Cookie{Key: "K", Value: "v"}) {
			t.Fatalf("the cookie %q was taken", req.Cookie)
		}
	})
}

// FuzzRefusal is a plugin's no. It is one line that fits, and says the same on the
// other side, but for what cannot be shown.
func FuzzRefusal(f *testing.F) {
	f.Add("version", "incompatible API version with plugin. Plugin version: 1, Client versions: [2]", "grpc", 2, uint8(1))
	f.Add("busy\x1b", "1000 hosts\u202e are attached", "\n", -1, uint8(200))
	f.Add("", "", "", 0, uint8(0))
	f.Fuzz(func(t *testing.T, code, message, protocol string, version int, times uint8) {
		sent := &Refusal{Code: code, Message: message}
		for range times {
			sent.Versions, sent.Protocols = append(sent.Versions, version), append(sent.Protocols, protocol)
		}
		var line bytes.Buffer
		if err := WriteRefusal(&line, sent); err != nil || line.Len() > MaxAnswer {
			t.Fatalf("a line of %d bytes, %v", line.Len(), err)
		}
		_, err := ReadAnswer(bufio.NewReader(&line))
		var got *Refusal
		if !errors.As(err, &got) {
			t.Fatalf("%+v became %v", sent, err)
		}
		if got.Code != showable(code) || got.Message != showable(message) || got.Temporary() != sent.Temporary() {
			t.Fatalf("%+v became %+v", sent, got)
		}
		if want := min(int(times), maxVersions); len(got.Versions) != want || want > 0 && got.Versions[want-1] != version {
			t.Fatalf("versions %v became %v", sent.Versions, got.Versions)
		}
	})
}
