// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	// maxPluginCalls may be in flight of one plugin (BASIC_MAX_PLUGIN_CALLS).
	maxPluginCalls = 64
	// readersMemory is what basic may occupy while clients do not read: 64 MiB of
	// answers, each of which is made as a whole, and its own.
	readersMemory = 256 << 20
)

// TestHungUpCalls has clients call a method that does not return, and hang up. A call
// counts until its method has returned.
func TestHungUpCalls(t *testing.T) {
	t.Parallel()
	p := startPlugin(t)
	d := serveHost(t, "NETWORK_PLUGIN=good="+p.addr+",slow="+p.addr)
	d.awaitReady("good", "slow")
	f := measure(t, "1000 clients that hang up while the method runs")
	goroutines := d.metric("go_goroutines")
	refused := 0
	d.beside(f, "good", func() {
		for range 1000 {
			conn := d.post("slow", len(`["wait"]`))
			_, _ = io.WriteString(conn, `["wait"]`)
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if answer(conn) == http.StatusTooManyRequests {
				refused++
			}
			_ = conn.Close()
		}
	})
	if refused == 0 { // by a machine that is slow: none has hung up before it was answered
		eventually(t, func() error {
			conn := d.post("slow", len(`["wait"]`))
			defer conn.Close()
			_, _ = io.WriteString(conn, `["wait"]`)
			_ = conn.SetReadDeadline(time.Now().Add(promptly))
			if got := answer(conn); got != http.StatusTooManyRequests {
				return fmt.Errorf("no call is refused, but answered with %d", got)
			}
			return nil
		})
	}
	// A call in flight has some goroutines on either side of its stub.
	f.count("goroutines more", d.metric("go_goroutines")-goroutines, 5*maxPluginCalls+spareHost)
	f.bytes("memory", d.peakMemory(), hostMemory)
	f.bytes("log", d.log.size(), hostLog)
}

// TestReadersOfNothing has clients ask for everything that there is, pipelined, and read
// nothing.
func TestReadersOfNothing(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/metrics", "/api/v1/openapi.json", "/api/v1/plugins", "/api/v1/events", "/readyz"} {
		t.Run(path, func(t *testing.T) {
			p := startPlugin(t)
			d := serveHost(t, "NETWORK_PLUGIN=good="+p.addr)
			d.awaitReady("good")
			f := measure(t, "550 clients that pipeline %s and read nothing", path)
			d.beside(f, "good", func() {
				ask := strings.Repeat(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, d.addr), 20)
				for range 550 {
					conn := dial(t, d.addr)
					_ = conn.SetReadBuffer(4 << 10)
					_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
					_, _ = io.WriteString(conn, ask)
				}
			})
			if status, _, err := d.ask(http.MethodGet, "/metrics", ""); err != nil || status != http.StatusOK {
				t.Errorf("/metrics: %d, %v", status, err)
			}
			f.count("descriptors", d.descriptors(), maxConnections+maxConnections/2+spareHost) // some are being closed
			f.bytes("memory", d.peakMemory(), readersMemory)
			f.bytes("log", d.log.size(), hostLog)
		})
	}
}

// TestManyConnections opens 5,000 connections, which say nothing or half a request.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	p := startPlugin(t)
	d := serveHost(t, "NETWORK_PLUGIN=good="+p.addr)
	d.awaitReady("good")
	f := measure(t, "5000 connections to the API")
	most := 0
	d.beside(f, "good", func() {
		for i := range 5000 {
			conn := dial(t, d.addr)
			_, _ = io.WriteString(conn, []string{"", "GET /heal", "GET /healthz HTTP/1.1\r\nX: "}[i%3])
			if i%100 == 0 {
				most = max(most, d.descriptors())
			}
		}
	})
	f.count("descriptors", most, maxConnections+maxConnections/2+spareHost) // some are being closed
	f.bytes("memory", d.peakMemory(), hostMemory)
	f.bytes("log", d.log.size(), hostLog)
}

// TestBrowsers sends what a page of another origin can make a browser send, and what
// must not be taken without a token. None of it reaches the plugin.
func TestBrowsers(t *testing.T) {
	t.Parallel()
	p := startPlugin(t)
	d := serveHost(t, "NETWORK_PLUGIN=good="+p.addr)
	d.awaitReady("good")
	f := measure(t, "what a web page can send")
	cases := map[string]struct {
		method, path, body string
		header             []string
		want               int
	}{
		"another origin":      {"POST", methodPath("good"), `["Ada"]`, []string{"Content-Type", jsonBody, "Origin", "http://evil.example"}, 403},
		"another site":        {"POST", methodPath("good"), `["Ada"]`, []string{"Content-Type", jsonBody, "Sec-Fetch-Site", "cross-site"}, 403},
		"a null origin":       {"POST", methodPath("good"), `["Ada"]`, []string{"Content-Type", jsonBody, "Origin", "null"}, 403},
		"a form":              {"POST", methodPath("good"), `["Ada"]`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"text":                {"POST", methodPath("good"), `["Ada"]`, []string{"Content-Type", "text/plain"}, 415},
		"multipart":           {"POST", methodPath("good"), `["Ada"]`, []string{"Content-Type", "multipart/form-data; boundary=x"}, 415},
		"no type":             {"POST", methodPath("good"), `["Ada"]`, nil, 415},
		"too large":           {"POST", methodPath("good"), `["` + strings.Repeat("x", 2*maxRequest) + `"]`, []string{"Content-Type", jsonBody}, 413},
		"another method":      {"DELETE", methodPath("good"), "", nil, 405},
		"a path of nothing":   {"GET", "/etc/passwd", "", nil, 404},
		"a name with escapes": {"GET", "/api/v1/plugins/%1b%5b2J", "", nil, 404},
	}
	for name, tc := range cases {
		status, body, err := d.ask(tc.method, tc.path, tc.body, tc.header...)
		if err != nil && tc.want != 413 || err == nil && status != tc.want { // it may be cut off while it sends
			t.Errorf("%s: %d %.200s, %v; want %d", name, status, body, err, tc.want)
		}
		if strings.ContainsAny(body, "\x1b\x07\x7f") {
			t.Errorf("%s: the answer holds what a terminal obeys: %.200q", name, body)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "basic"} {
		conn := dial(t, d.addr)
		_, _ = fmt.Fprintf(conn, "GET /api/v1/plugins HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		if status := answer(conn); status != http.StatusForbidden {
			t.Errorf("under the name %s it answers %d", host, status)
		}
	}
	if err := d.greet("good", "Ada"); err != nil {
		t.Error(err)
	}
	f.bytes("log", d.log.size(), hostLog)
}

// TestTokens listens where others can reach it, and is called without the token.
func TestTokens(t *testing.T) {
	t.Parallel()
	const token = "a-token-that-nobody-guesses"
	file := writeFile(t, token)
	p := startPlugin(t)
	d := serveHost(t, "NETWORK_PLUGIN=good="+p.addr, "BASIC_LISTEN=0.0.0.0:0", "BASIC_TOKEN_FILE="+file)
	_, port, err := net.SplitHostPort(d.addr)
	if err != nil {
		t.Fatal(err)
	}
	d.addr = "127.0.0.1:" + port
	f := measure(t, "500 guesses of a token")
	call := func(authorization string) int {
		status, _, err := d.ask("POST", methodPath("good"), `["Ada"]`, "Content-Type", jsonBody, "Authorization", authorization)
		if err != nil {
			t.Error(err)
		}
		return status
	}
	eventually(t, func() error {
		if status := call("Bearer " + token); status != http.StatusOK {
			return fmt.Errorf("with the token: %d", status)
		}
		return nil
	})
	taken := 0
	for i := range 500 {
		for _, guess := range []string{"", "Bearer", "Bearer ", "Basic " + token, fmt.Sprintf("Bearer %s%d", token, i), "Bearer " + token[:i%len(token)]} {
			if i%50 == 0 || strings.HasPrefix(guess, "Bearer a") {
				if status := call(guess); status != http.StatusUnauthorized {
					taken++
				}
			}
		}
	}
	f.count("taken", taken, 0)
	f.bytes("log", d.log.size(), hostLog)
}
