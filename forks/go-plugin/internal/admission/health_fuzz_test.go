// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// noPanics counts none.
func noPanics() uint64 { return 0 }

// oneConn is a listener of one connection.
type oneConn struct {
	net.Listener // nil: nothing else is called
	conn         net.Conn
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	return nil, net.ErrClosed
}

func (*oneConn) Close() error { return nil }

// FuzzProbe is a client of PLUGIN_HEALTH_ADDR that sends anything. What it gets back
// is HTTP, short, and good news only about the three paths.
func FuzzProbe(f *testing.F) {
	for _, sent := range []string{
		"GET /healthz HTTP/1.1\r\nHost: x\r\n", "GET /readyz HTTP/1.0\r\n", "HEAD /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n", "POST /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n",
		"GET //healthz/.. HTTP/1.1\r\nHost: x\r\n", "PRI * HTTP/2.0\r\n", "\x16\x03\x01", "go-plugin/1 {}\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n",
	} {
		f.Add([]byte(sent))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		server := newHealthHTTP(nil, Measured{Panics: noPanics})
		server.ReadTimeout = 50 * time.Millisecond
		server.ErrorLog = log.New(io.Discard, "", 0)
		here, there := net.Pipe()
		defer server.Close()
		defer here.Close()
		_ = server.Serve(&oneConn{conn: there})
		go func() {
			_, _ = here.Write(sent)
			_, _ = here.Write([]byte("\r\n\r\n"))
		}()
		raw, _ := io.ReadAll(io.LimitReader(here, 64<<10))
		if len(raw) == 0 {
			return // the request did not end
		}
		if len(raw) > 32<<10 {
			t.Fatalf("%d bytes for %d", len(raw), len(sent))
		}
		answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if answer.StatusCode == http.StatusOK && !bytes.Contains(sent, []byte("z")) && !bytes.Contains(sent, []byte("/metrics")) && !bytes.Contains(sent, []byte("%")) {
			t.Fatalf("%q is answered with %q", sent, raw)
		}
	})
}

// FuzzProbePath asks for any path by any method.
func FuzzProbePath(f *testing.F) {
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/", "/healthz/", "//readyz", "/Metrics", "/%68ealthz"} {
		f.Add("GET", path, false)
		f.Add("POST", path, true)
	}
	f.Fuzz(func(t *testing.T, method, path string, leaves bool) {
		ending := make(chan struct{})
		if leaves {
			close(ending)
		}
		at, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		newHealthHTTP(ending, Measured{Panics: noPanics}).Handler.ServeHTTP(w, &http.Request{Method: method, URL: at, Host: "x", RequestURI: path, Header: http.Header{}})
		good := (method == http.MethodGet || method == http.MethodHead) && (at.Path == "/healthz" || at.Path == "/metrics" || at.Path == "/readyz" && !leaves)
		if good != (w.Code == http.StatusOK) {
			t.Fatalf("%s %s: %d", method, path, w.Code)
		}
		if w.Body.Len() > 1<<10+8*len(path) {
			t.Fatalf("%s %s: %d bytes", method, path, w.Body.Len())
		}
	})
}
