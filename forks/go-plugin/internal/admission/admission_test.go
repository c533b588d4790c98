// SPDX-License-Identifier: MPL-2.0

package admission_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/admission"
	"github.com/hashicorp/go-plugin/internal/hello"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plugin has net/rpc in versions 1 and 3, and gRPC in versions 2 and 4, of which the
// second can be served over net/rpc as well.
func plugin() admission.Config {
	return admission.Config{
		Timeout: 10 * time.Second,
		Name:    "test",
		Served: admission.Served{
			Cookie: hello.Cookie{Key: "TEST_PLUGIN", Value: "hello"},
			Versions: []admission.Version{
				{Number: 4, Protocol: hello.GRPC, NetRPC: func() bool { return true }},
				{Number: 3, Protocol: hello.NetRPC},
				{Number: 2, Protocol: hello.GRPC, NetRPC: func() bool { return false }},
				{Number: 1, Protocol: hello.NetRPC},
			},
		},
	}
}

// host is what a host says of itself that takes anything.
func host() *hello.Request {
	return &hello.Request{
		Cookie: hello.Cookie{Key: "TEST_PLUGIN", Value: "hello"}, Host: "tester", MaxMessage: 1 << 20,
		Versions: []int{1, 2, 3, 4}, Protocols: []string{hello.NetRPC, hello.GRPC}, Features: []string{hello.FeatureMux},
	}
}

// meets connects a peer to the handshaker.
func meets(t *testing.T, h *admission.Handshaker, peer func(net.Conn)) (*admission.Candidate, error) {
	t.Helper()
	here, there := tcpPair(t)
	met := make(chan struct{})
	go func() {
		defer close(met)
		peer(there)
	}()
	t.Cleanup(func() { <-met })
	return h.Handshake(t.Context(), here)
}

// tcpPair is a connection whose ends are closed after the test.
func tcpPair(t *testing.T) (here, there net.Conn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if there, err = net.Dial("tcp", lis.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = there.Close() })
	if here, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close() })
	return here, there
}

// sends is a peer that says something, and hangs up once it was answered.
func sends(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

func TestHandshakeAgrees(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*hello.Request)
		want   hello.Agreement
	}{
		"Preferred": {
			reason: "A version of gRPC is served over net/rpc where that is possible and preferred.",
			want:   hello.Agreement{Version: 4, Protocol: hello.NetRPC, Features: []string{hello.FeatureMux}, MaxMessage: 1 << 20},
		},
		"Other": {
			reason: "The features are those of the protocol.",
			change: func(r *hello.Request) { r.Protocols = []string{hello.GRPC, hello.NetRPC} },
			want:   hello.Agreement{Version: 4, Protocol: hello.GRPC, Features: []string{hello.FeatureMux}, MaxMessage: 1 << 20},
		},
		"OnlyGRPC": {
			reason: "A version whose kinds net/rpc cannot serve is served over gRPC, although the host prefers the other.",
			change: func(r *hello.Request) { r.Versions = []int{1, 2} },
			want:   hello.Agreement{Version: 2, Protocol: hello.GRPC, Features: []string{hello.FeatureMux}, MaxMessage: 1 << 20},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := host()
			if tc.change != nil {
				tc.change(request)
			}
			answers := make(chan *hello.Answer, 1)
			candidate, err := meets(t, admission.NewHandshaker(plugin()), func(conn net.Conn) {
				_ = hello.WriteRequest(conn, request)
				answer, _ := hello.ReadAnswer(bufio.NewReader(conn))
				answers <- answer
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, candidate.Agreed); diff != "" || candidate.Host != "tester" {
				t.Errorf("%s\nhost %q, -want, +got:\n%s", tc.reason, candidate.Host, diff)
			}
			if err := candidate.Answer(func() []hello.Kind { return []hello.Kind{{Name: "echo"}} }); err != nil {
				t.Fatal(err)
			}
			answer := <-answers
			if answer == nil || answer.Version != tc.want.Version || answer.Protocol != tc.want.Protocol || len(answer.Kinds) != 1 || answer.Instance == "" {
				t.Errorf("%s\nthe host was answered %+v", tc.reason, answer)
			}
		})
	}
}

// A peer without the handshake gets what the original library would have served: the
// default version, if that speaks its protocol.
func TestHandshakeOfOldHosts(t *testing.T) {
	const yamux, http2 = "\x00\x01\x00\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	cases := map[string]struct {
		says     string
		standard int
		want     hello.Agreement
	}{
		"NetRPC":        {yamux, 3, hello.Agreement{Version: 3, Protocol: hello.NetRPC}},
		"NetRPCLowest":  {yamux, 4, hello.Agreement{Version: 1, Protocol: hello.NetRPC}},
		"GRPC":          {http2, 4, hello.Agreement{Version: 4, Protocol: hello.GRPC}},
		"GRPCLowest":    {http2, 0, hello.Agreement{Version: 2, Protocol: hello.GRPC}},
		"GRPCNoVersion": {http2, -1, hello.Agreement{Protocol: hello.GRPC}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := plugin()
			cfg.Default = tc.standard
			if tc.standard < 0 {
				cfg.Versions = nil
			}
			candidate, err := meets(t, admission.NewHandshaker(cfg), func(conn net.Conn) { _, _ = io.WriteString(conn, tc.says) })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, candidate.Agreed); diff != "" {
				t.Errorf("-want, +got:\n%s", diff)
			}
			if err := candidate.Answer(nil); err != nil { // nothing is said
				t.Fatal(err)
			}
			head := make([]byte, len(tc.says))
			if _, err := io.ReadFull(candidate.Conn, head); err != nil || string(head) != tc.says {
				t.Errorf("the session reads %q, %v", head, err)
			}
		})
	}
}

func TestHandshakeRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		peer   func(net.Conn)
		want   string
	}{
		"Silent":      {"A TCP probe.", func(c net.Conn) { _ = c.Close() }, admission.ErrSilent.Error()},
		"BrokenOff":   {"That is not silence.", func(c net.Conn) { _, _ = io.WriteString(c, "go-pl"); _ = c.Close() }, "broke off after 5 bytes"},
		"TLS":         {"The peer's stack gets an alert.", sends("\x16\x03\x01\x00\x05"), "TLS is not configured here"},
		"WebClient":   {"The log says who it is.", sends("GET / HTTP/1.1\r\n\r\n"), "it is a web client"},
		"Malformed":   {"The text is a refusal's.", sends("go-plugin/1 {\n"), "not the JSON that is expected"},
		"WrongCookie": {"Not made for each other.", sends(`go-plugin/1 {"core":1,"versions":[1],"protocols":["netrpc"]}` + "\n"), "no magic cookie"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := meets(t, admission.NewHandshaker(plugin()), tc.peer)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nerror %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// A plugin that has no place, or cannot serve, tells the host why.
func TestCandidateIsRefused(t *testing.T) {
	full := admission.NewHosts[int](0).Add(1)
	cases := map[string]struct {
		err        error
		code, text string
	}{
		"Full":        {full, hello.CodeBusy, "0 hosts are attached already"},
		"OwnError":    {errors.New("out of order\x1b[2J"), hello.CodeBusy, "out of order"},
		"AnotherCode": {&hello.Refusal{Code: hello.CodeDraining, Message: "bye"}, hello.CodeDraining, "bye"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			heard := make(chan error, 1)
			candidate, err := meets(t, admission.NewHandshaker(plugin()), func(conn net.Conn) {
				_ = hello.WriteRequest(conn, host())
				_, err := hello.ReadAnswer(bufio.NewReader(conn))
				heard <- err
				_ = conn.Close()
			})
			if err != nil {
				t.Fatal(err)
			}
			told := candidate.Refuse(tc.err)
			for _, err := range []error{told, <-heard} {
				var refusal *hello.Refusal
				if !errors.As(err, &refusal) || refusal.Code != tc.code || !strings.Contains(refusal.Message, tc.text) {
					t.Errorf("refused with %v, want %s: %s", err, tc.code, tc.text)
				}
			}
		})
	}
}

func TestHandshakeTakesNoLonger(t *testing.T) {
	cfg := plugin()
	cfg.Timeout = 10 * time.Millisecond
	_, err := meets(t, admission.NewHandshaker(cfg), func(conn net.Conn) { _, _ = io.WriteString(conn, "go-plug") })
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestHosts(t *testing.T) {
	hosts := admission.NewHosts[int](2)
	if err := errors.Join(hosts.Add(1), hosts.Add(2)); err != nil {
		t.Fatal(err)
	}
	code := func(err error) string {
		var refusal *hello.Refusal
		if !errors.As(err, &refusal) {
			return fmt.Sprint(err)
		}
		return refusal.Code
	}
	if got := code(hosts.Add(3)); got != hello.CodeBusy {
		t.Errorf("one too many: %s", got)
	}
	hosts.Remove(1)
	hosts.Remove(3) // was not there
	if err := hosts.Add(3); err != nil {
		t.Errorf("a place was free: %v", err)
	}
	if left := hosts.Close(); len(left) != 2 {
		t.Errorf("left are %v", left)
	}
	hosts.Remove(2)
	if got := code(hosts.Add(4)); got != hello.CodeDraining {
		t.Errorf("after the end: %s", got)
	}
}
