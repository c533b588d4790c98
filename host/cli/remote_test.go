// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// TestProbeNeedsNoPlugins holds that an address is all that basic probe needs: it is
// run where nothing else is set up.
func TestProbeNeedsNoPlugins(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	for _, dir := range []string{"", t.TempDir() + "/gone"} {
		t.Setenv("PLUGIN_DIR", dir)
		var stdout, stderr bytes.Buffer
		h := basic()
		if code := h.run(t.Context(), []string{"probe", address}, &stdout, &stderr); code != exitOK {
			t.Errorf("PLUGIN_DIR=%q: code %d, %s%s", dir, code, stdout.String(), stderr.String())
		}
	}
}

// TestDaemonThatDoesNotAnswer holds that a question to a daemon that is stopped, or
// is none, ends.
func TestDaemonThatDoesNotAnswer(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	t.Setenv("ATTACH_TIMEOUT", "100ms")
	for _, args := range [][]string{{"plugins"}, {"plugins", "--watch"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var stdout, stderr bytes.Buffer
		code := basic().run(ctx, append(args, "--server", mute.Addr().String()), &stdout, &stderr)
		if code != exitUnreachable || ctx.Err() != nil || !strings.Contains(stderr.String(), "ask the daemon") {
			t.Errorf("%v: code %d, %q, %v", args, code, stderr.String(), ctx.Err())
		}
	}
}

// TestWatchSaysWhatEndedIt holds that the end of a stream of events is told from a
// connection that broke, and that the length of an event does not matter.
func TestWatchSaysWhatEndedIt(t *testing.T) {
	cases := map[string]struct {
		stream string // of HTTP, after the header
		want   string
		shown  int
	}{
		"ended":  {"10\r\nevent: plugins\n\n\r\n0\r\n\r\n", "ended the stream of events", 1},
		"broken": {"10\r\nevent: plugins\n\n\r\n10\r\nevent:", "read the events of the daemon at http://127.0.0.1:", 1},
		"a long event": {
			"10\r\nevent: plugins\n\n\r\n" + fmt.Sprintf("%x\r\n", maxAnswer+1) + strings.Repeat("x", maxAnswer) + "\n\r\n10\r\nevent: change\n\n\n\r\n0\r\n\r\n",
			"ended the stream of events", 2,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/events") {
					fmt.Fprint(w, `{"plugins":[]}`)
					return
				}
				conn, to, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = to.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + tc.stream)
				_ = to.Flush()
			}))
			defer server.Close()
			c := config{hostConfig: hostConfig{AttachTimeout: 10 * time.Second}, programConfig: programConfig{Server: server.URL}}
			of, err := c.newRemote()
			if err != nil {
				t.Fatal(err)
			}
			defer of.Close()
			shown := 0
			err = of.Watch(t.Context(), func(found) error { shown++; return nil })
			if err == nil || !strings.Contains(err.Error(), tc.want) || shown != tc.shown {
				t.Errorf("shown %d times, then %v; want %d and %q", shown, err, tc.shown, tc.want)
			}
		})
	}
}

// TestForeignTitle holds that a title of any alphabet stays what it is.
func TestForeignTitle(t *testing.T) {
	answer := &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(strings.NewReader(`{"title":"Überlast","detail":"d"}`))}
	if got := refused(answer).Error(); got != "überlast: d" {
		t.Errorf("got %q", got)
	}
}
