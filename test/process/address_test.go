// SPDX-License-Identifier: MPL-2.0

package process

import (
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// listen serves every connection with serve until the test ends, and gives the
// address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
	return listener.Addr().String()
}

// TestAddressesThatAreNoPlugin holds that each gives one line that names it, within
// the host's timeout, while other plugins are greeted.
func TestAddressesThatAreNoPlugin(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	cases := map[string]struct {
		reason  string
		address func(*testing.T) string
		want    string // part of the line, besides the address
	}{
		"closed port": {
			reason:  "nobody listens",
			address: func(*testing.T) string { return "127.0.0.1:1" },
			want:    "refused",
		},
		"HTTP": {
			reason:  "somebody else listens, who speaks",
			address: func(*testing.T) string { return web.Listener.Addr().String() },
		},
		"silence": {
			reason: "somebody accepts and says nothing",
			address: func(t *testing.T) string {
				return listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			},
			want: "within 1s",
		},
		"garbage": {
			reason: "somebody says anything at all",
			address: func(t *testing.T) string {
				return listen(t, func(c net.Conn) { _, _ = io.CopyN(c, rand.Reader, 1<<20) })
			},
		},
		"endless garbage": {
			reason: "what is read before the handshake is bounded",
			address: func(t *testing.T) string {
				return listen(t, func(c net.Conn) { _, _ = io.Copy(c, rand.Reader) })
			},
		},
		"hangs up": {
			reason:  "somebody accepts and leaves",
			address: func(t *testing.T) string { return listen(t, func(net.Conn) {}) },
		},
		"no such name": {
			reason:  "names ending in .invalid never resolve",
			address: func(*testing.T) string { return "plugin.invalid:7000" },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			address := tc.address(t)
			got := basic(t, "ATTACH_TIMEOUT=1s", "CALL_TIMEOUT=1s", "PLUGIN_DIR="+bin, "NETWORK_PLUGIN="+address)
			if got.Code != 3 {
				t.Errorf("%s: exit code %d, want 3", tc.reason, got.Code)
			}
			if !strings.Contains(got.Stdout, "Hello someone") {
				t.Errorf("%s: the children were not greeted:\n%s", tc.reason, got.Stdout)
			}
			lines := linesWith(got.Stdout, "error: ")
			if len(lines) != 1 || !strings.Contains(got.Stdout, address) || !strings.Contains(lines[0], tc.want) {
				t.Errorf("%s: got %q, want one line with %q and %q", tc.reason, lines, address, tc.want)
			}
			if strings.Contains(got.Stderr, "panic") {
				t.Errorf("%s: the host panicked:\n%s", tc.reason, got.Stderr)
			}
		})
	}
}

func linesWith(text, part string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return found
}
