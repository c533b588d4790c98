// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadRequestRefuses(t *testing.T) {
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }
	names := func(n int) string { return strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") }
	cases := map[string]struct {
		reason string
		line   string
		want   string
	}{
		"NewerMagic":      {"A host of a later handshake learns what is spoken here.", "go-plugin/2 {}\n", CodeCore},
		"NewerMagicAlone": {"The later handshake's line need not look like ours.", "go-plugin/2\n", CodeCore},
		"NewerCore":       {"The core number inside is held to the same.", `go-plugin/1 {"core":2}` + "\n", CodeCore},
		"NoNumber":        {"The number is not optional.", "go-plugin/ {}\n", CodeMalformed},
		"NegativeNumber":  {"Nor can it be negative.", "go-plugin/-1 {}\n", CodeMalformed},
		"NoBody":          {"A line that ends after the number is malformed.", "go-plugin/1\n", CodeMalformed},
		"NotJSON":         {"The body must be JSON.", "go-plugin/1 hello\n", CodeMalformed},
		"TwoObjects":      {"Exactly one object.", `go-plugin/1 {"core":1}{"core":1}` + "\n", CodeMalformed},
		"WrongType":       {"Fields have their type.", `go-plugin/1 {"core":1,"versions":["1"]}` + "\n", CodeMalformed},
		"NegativeVersion": {"Versions are not negative.", `go-plugin/1 {"core":1,"versions":[-1]}` + "\n", CodeMalformed},
		"Control":         {"No escape sequences for our terminals.", `go-plugin/1 {"core":1,"host":"\u001b[2J"}` + "\n", CodeMalformed},
		"LongLine":        {"The line is bounded.", "go-plugin/1 " + strings.Repeat(" ", MaxRequest) + "\n", CodeTooLarge},
		"EndlessLine":     {"So is one that never ends.", "go-plugin/1 " + strings.Repeat("x", 4*MaxRequest), CodeTooLarge},
		"ManyVersions":    {"Lists are bounded.", `go-plugin/1 {"core":1,"versions":[` + many(65) + "]}\n", CodeTooLarge},
		"ManyProtocols":   {"Lists are bounded.", `go-plugin/1 {"core":1,"protocols":[` + names(17) + "]}\n", CodeTooLarge},
		"ManyFeatures":    {"Lists are bounded.", `go-plugin/1 {"core":1,"features":[` + names(17) + "]}\n", CodeTooLarge},
		"LongText":        {"Texts are bounded.", `go-plugin/1 {"core":1,"host":"` + strings.Repeat("h", 1025) + "\"}\n", CodeTooLarge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ReadRequest(bufio.NewReader(strings.NewReader(tc.line)))
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("%s\nwant a refusal, got %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, refusal.Code); diff != "" {
				t.Errorf("%s\ncode: -want, +got:\n%s\nmessage: %s", tc.reason, diff, refusal.Message)
			}
		})
	}
}

func TestReadRequestForward(t *testing.T) {
	line := `go-plugin/1 {"later":{"a":[1]},"core":1,"versions":[1],"protocols":["netrpc"]}` + "\r\n"
	got, err := ReadRequest(bufio.NewReader(strings.NewReader(line)))
	if err != nil {
		t.Fatal(err)
	}
	want := &Request{Core: 1, Versions: []int{1}, Protocols: []string{"netrpc"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields of a later version must be ignored: -want, +got:\n%s", diff)
	}
}

// TestReadAcrossBuffers reads a line that is longer than the reader's buffer
// and comes in single bytes.
func TestReadAcrossBuffers(t *testing.T) {
	req := fullRequest()
	req.Host = strings.Repeat("h", 1000)
	var line bytes.Buffer
	if err := WriteRequest(&line, req); err != nil {
		t.Fatal(err)
	}
	line.WriteString("rest")
	r := bufio.NewReaderSize(onebyte{&line}, 16)
	got, err := ReadRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(req, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "rest" {
		t.Errorf("after the line: %q", rest)
	}
}

type onebyte struct{ r io.Reader }

func (o onebyte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func TestReadAnswerFromStrangers(t *testing.T) {
	cases := map[string]struct {
		reason string
		sent   string
		want   Peer
		quote  string
	}{
		"Closed":   {"Upstream's net/rpc plugin hangs up on a hello.", "", PeerClosed, "closed the connection"},
		"TLSAlert": {"A TLS server answers plaintext with an alert.", "\x15\x03\x01\x00\x02\x02\x46", PeerTLS, "a TLS server that was addressed without TLS"},
		"Yamux":    {"A yamux ping.", "\x00\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07", PeerYamux, "a yamux server"},
		"HTTP2":    {"A gRPC server's SETTINGS.", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", PeerHTTP2, "an HTTP/2 server"},
		"HTTP1":    {"A web server.", "HTTP/1.1 400 Bad Request\r\n\r\n", other("a web server"), "a web server"},
		"SSH":      {"A banner.", "SSH-2.0-OpenSSH_9.9\r\n", other("an SSH server"), "an SSH server"},
		"HTML":     {"An HTTP/0.9 page.", "<html><body>", other("a server that sends a web page"), "a web page"},
		"Almost":   {"A word that starts like ours.", "go-away\n", PeerUnknown, `"go-away\n", which is nothing that this host knows`},
		"Garbage":  {"Escape sequences are quoted, not shown.", "\xff\x1b[2J" + strings.Repeat("A", 500), PeerUnknown, `began with "\xff\x1b[2JAAAA`},
		"Mail":     {"A mail server greets.", "220 mail.example ESMTP\r\n", other("a mail or FTP server"), "check the address"},
		"Redis":    {"It complains about the hello.", "-ERR unknown command 'go-plugin/1'\r\n", other("a Redis server"), "a Redis server"},
		"MySQL":    {"It greets in binary.", "\x4a\x00\x00\x00\x0a8.0.36\x00", other("a MySQL server"), "a MySQL server"},
		"Telnet":   {"It offers options.", "\xff\xfd\x18", other("a telnet server"), "a telnet server"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ReadAnswer(bufio.NewReader(strings.NewReader(tc.sent)))
			if !errors.Is(err, ErrNotHello) {
				t.Fatalf("%s\nwant ErrNotHello, got %v", tc.reason, err)
			}
			var stranger *NotHelloError
			if !errors.As(err, &stranger) || stranger.Guess != tc.want {
				t.Errorf("%s\nguess: want %q, got %q", tc.reason, tc.want, stranger.Guess)
			}
			if strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Errorf("%s\nbytes are shown: %v", tc.reason, err)
			}
			if !strings.Contains(err.Error(), tc.quote) {
				t.Errorf("%s\nwant %s in: %v", tc.reason, tc.quote, err)
			}
			if tc.sent == "" && !errors.Is(err, io.EOF) {
				t.Errorf("%s\nthe end of the connection must stay visible: %v", tc.reason, err)
			}
		})
	}
}

func TestReadAnswerBroken(t *testing.T) {
	cases := map[string]struct{ reason, line, want string }{
		"Neither":    {"One of the two must be there.", "go-plugin/1 {}\n", "neither an answer nor a refusal"},
		"OldCore":    {"The core is checked.", `go-plugin/1 {"answer":{"core":0,"protocol":"grpc"}}` + "\n", "core 0"},
		"NoProtocol": {"Without a protocol nothing can start.", `go-plugin/1 {"answer":{"core":1}}` + "\n", "no protocol"},
		"Long":       {"The line is bounded.", "go-plugin/1 " + strings.Repeat("x", MaxAnswer), "longer than 65536 bytes"},
		"Cut":        {"A line that breaks off is an error.", `go-plugin/1 {"answer":`, "broke off"},
		"Newer":      {"A later magic is named.", "go-plugin/2 {}\n", "go-plugin/2"},
		"BadName":    {"Nothing that could spoil a terminal.", `go-plugin/1 {"answer":{"core":1,"protocol":"grpc","name":"\u001b"}}` + "\n", "cannot be shown"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ReadAnswer(bufio.NewReader(strings.NewReader(tc.line)))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nwant %q in: %v", tc.reason, tc.want, err)
			}
			if errors.As(err, new(*Refusal)) {
				t.Errorf("%s\nthe plugin refused nothing: %v", tc.reason, err)
			}
		})
	}
}

// TestReadAnswerSilent has a real connection whose other side never speaks.
func TestReadAnswerSilent(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if err := here.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err := ReadAnswer(bufio.NewReader(here))
	if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrNotHello) {
		t.Errorf("a silent peer is a timeout, not a stranger: %v", err)
	}
}

func TestRefusalIsCleaned(t *testing.T) {
	line := `go-plugin/1 {"refusal":{"code":"x","message":"a\u001b[2J\nb` + strings.Repeat("z", 2000) + `"}}` + "\n"
	_, err := ReadAnswer(bufio.NewReader(strings.NewReader(line)))
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	if strings.ContainsAny(refusal.Message, "\x1b\n") || len(refusal.Message) > maxText+10 {
		t.Errorf("message of a peer reached us as it was: %q", refusal.Message)
	}
}

func TestWriteAnswerShortens(t *testing.T) {
	kinds := func(kinds, methods, text int) *Answer {
		a := &Answer{Version: 1, Protocol: "grpc"}
		for i := range kinds {
			k := Kind{Name: fmt.Sprintf("kind%06d", i)}
			for j := range methods {
				k.Methods = append(k.Methods, Method{Name: fmt.Sprintf("m%d", j), Args: strings.Repeat("a", text)})
			}
			a.Kinds = append(a.Kinds, k)
		}
		return a
	}
	cases := map[string]struct {
		reason  string
		answer  *Answer
		kinds   int
		methods int
		args    int
		partial bool
	}{
		"Fits":    {"Nothing is left out.", kinds(2, 2, 10), 2, 2, 10, false},
		"Type":    {"One endless type name is dropped alone.", kinds(1, 1, 5000), 1, 1, 0, true},
		"Types":   {"The types go first.", kinds(100, 10, 100), 100, 10, 0, true},
		"Methods": {"Then the methods.", kinds(500, 100, 1), 500, 0, 0, true},
		"Kinds":   {"Then the kinds.", kinds(50_000, 0, 0), 0, 0, 0, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var line bytes.Buffer
			if err := WriteAnswer(&line, tc.answer); err != nil {
				t.Fatal(err)
			}
			got, err := ReadAnswer(bufio.NewReader(&line))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Kinds) != tc.kinds || got.Partial != tc.partial {
				t.Fatalf("%s\nkinds %d, partial %v", tc.reason, len(got.Kinds), got.Partial)
			}
			if tc.kinds == 0 {
				return
			}
			if len(got.Kinds[0].Methods) != tc.methods {
				t.Fatalf("%s\nmethods %d", tc.reason, len(got.Kinds[0].Methods))
			}
			if tc.methods > 0 && len(got.Kinds[0].Methods[0].Args) != tc.args {
				t.Errorf("%s\nargs %q", tc.reason, got.Kinds[0].Methods[0].Args)
			}
		})
	}
}

func TestWriteRequestRefusesItself(t *testing.T) {
	req := fullRequest()
	req.Versions = make([]int, 65)
	var line bytes.Buffer
	if err := WriteRequest(&line, req); err == nil || line.Len() > 0 {
		t.Errorf("a request that no plugin takes was written: %v, %d bytes", err, line.Len())
	}
}
