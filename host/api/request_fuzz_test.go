// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

// idle serves the API of a daemon that has found nothing, until the test ends.
func idle(f *testing.F) net.Addr {
	f.Helper()
	o := daemon.DefaultOptions()
	o.Handshake, o.Versions = commons.Handshake(), commons.Versions
	o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{},
		daemon.WithParams("Greet", "name"), daemon.WithSwitch(commons.SwitchGreeter))}
	o.NetworkPlugins, o.CallTimeout = "greeter=127.0.0.1:1", time.Millisecond
	d, err := daemon.New(o)
	if err != nil {
		f.Fatal(err)
	}
	a := api.DefaultOptions()
	a.Daemon, a.Address, a.Gatherer = d, "127.0.0.1:0", prometheus.NewRegistry()
	s, err := api.New(a)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
	return s.Addr()
}

// send writes a request as it is, and gives the answer with its body; an event stream
// has none.
func send(t *testing.T, to net.Addr, request string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q has no answer: %v", request, err)
	}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return answer, nil
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return answer, body
}

// FuzzRequest is any method and path. What is no route is a problem that says so, and
// nothing is an error of the server.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/api/v1/plugins", "/api/v1/plugins/greeter", "/api/v1/plugins/x%00",
		"/api/v1/kinds", "/api/v1/openapi.json", "/api/v1/events", "/api/v1/../../etc/passwd", "//", "/healthz/", "*", "/%zz"} {
		f.Add("GET", path)
		f.Add("POST", path)
	}
	to := idle(f)
	f.Fuzz(func(t *testing.T, method, path string) {
		if strings.ContainsAny(method+path, " \r\n\x00\t") || method == "" || path == "" {
			return // another request line
		}
		answer, body := send(t, to, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", method, path))
		known := []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMovedPermanently,
			http.StatusTemporaryRedirect, http.StatusServiceUnavailable, http.StatusForbidden, http.StatusUnsupportedMediaType, http.StatusNotImplemented}
		if !slices.Contains(known, answer.StatusCode) {
			t.Fatalf("%q %q: %s %q", method, path, answer.Status, body)
		}
		checkAnswer(t, answer, body)
	})
}

// FuzzCallRequest is a call of anything with any body. The daemon has no endpoint, so
// that none is ever answered with a result.
func FuzzCallRequest(f *testing.F) {
	for _, body := range []string{`["Ada"]`, `{"name": "Ada"}`, `[7]`, `[`, ``, `null`, `"\ud800"`, `[1e999]`, strings.Repeat("[", 2000), `{"name":"a","name":"b"}`} {
		f.Add("greeter/kinds/greeter/methods/Greet", "application/json", body)
		f.Add("x/kinds/y/methods/z", "text/plain", body)
	}
	to := idle(f)
	f.Fuzz(func(t *testing.T, path, kind, body string) {
		if strings.ContainsAny(path, " \r\n\x00\t?#") || strings.ContainsFunc(kind, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		answer, said := send(t, to, fmt.Sprintf("POST /api/v1/plugins/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			path, kind, len(body), body))
		if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusInternalServerError {
			t.Fatalf("%q %q %q: %s %q", path, kind, body, answer.Status, said)
		}
		checkAnswer(t, answer, said)
	})
}

// checkAnswer checks that JSON is JSON, in one line that a terminal can show.
func checkAnswer(t *testing.T, answer *http.Response, body []byte) {
	t.Helper()
	if !strings.Contains(answer.Header.Get("Content-Type"), "json") || answer.Request.Method == http.MethodHead {
		return
	}
	if !json.Valid(body) {
		t.Fatalf("%s: no JSON: %q", answer.Status, body)
	}
	if answer.StatusCode != http.StatusOK && printable.Line(strings.TrimSuffix(string(body), "\n")) != strings.TrimSuffix(string(body), "\n") {
		t.Fatalf("%s: not fit to be shown: %q", answer.Status, body)
	}
}
