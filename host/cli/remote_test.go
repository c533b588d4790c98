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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
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
	stopped := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"plugins":[`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer stopped.Close()
	t.Setenv("ATTACH_TIMEOUT", "100ms")
	for _, tc := range []struct{ args, server, want string }{
		{"plugins", mute.Addr().String(), "ask the daemon"},
		{"plugins --watch", mute.Addr().String(), "ask the daemon"},
		{"plugins", stopped.URL, "read the answer of http://127.0.0.1:"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var stdout, stderr bytes.Buffer
		code := basic().run(ctx, append(strings.Fields(tc.args), "--server", tc.server), &stdout, &stderr)
		if code != exitUnreachable || ctx.Err() != nil || !strings.Contains(stderr.String(), tc.want) {
			t.Errorf("%v: code %d, %q, %v", tc, code, stderr.String(), ctx.Err())
		}
	}
}

// TestServerThatIsNoURL holds that an address which nothing can be asked at is a wrong
// argument, and that the error says where it stands.
func TestServerThatIsNoURL(t *testing.T) {
	for _, server := range []string{"ftp://127.0.0.1", "http://", "http:// x", "unix:///run/basic"} {
		want := fmt.Sprintf("%q: want a URL such as http://127.0.0.1:8080", server)
		var stdout, stderr bytes.Buffer
		if code := basic().run(t.Context(), []string{"plugins", "--server", server}, &stdout, &stderr); code != exitUsage || stderr.String() != "basic: --server "+want+"\n" {
			t.Errorf("code %d, %q", code, stderr.String())
		}
		stderr.Reset()
		t.Setenv("BASIC_SERVER", server)
		if code := basic().run(t.Context(), []string{"plugins"}, &stdout, &stderr); code != exitUsage || stderr.String() != "basic: BASIC_SERVER="+want+"\n" {
			t.Errorf("code %d, %q", code, stderr.String())
		}
	}
}

// TestWatchShowsProblems holds that what belongs to no plugin is shown as well, and once.
func TestWatchShowsProblems(t *testing.T) {
	problem := target.Problem{Subject: "/bin/none", Reason: "not executable", Source: "dir"}
	of := changes{{Problems: []target.Problem{problem}}, {Plugins: []daemon.Plugin{{Name: "zh", Ready: true}}, Problems: []target.Problem{problem}}, {}}
	for output, show := range formats() {
		var shown strings.Builder
		if err := watchPlugins(t.Context(), of.Watch, show, &shown); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(shown.String(), problem.Reason); n != 1 || !strings.Contains(shown.String(), "zh") {
			t.Errorf("%s: the problem is shown %d times, want once:\n%s", output, n, &shown)
		}
	}
}

// TestWatchShowsWhatCannotBeUsed: a file that is no plugin has no endpoint that could
// change.
func TestWatchShowsWhatCannotBeUsed(t *testing.T) {
	const reason = "it is not executable"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.po"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PLUGIN_DIR", dir)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var shown, stderr strings.Builder
	code := basic().run(ctx, []string{"plugins", "--watch"}, writerFunc(func(p []byte) (int, error) {
		if shown.Write(p); strings.Contains(shown.String(), reason) {
			cancel()
		}
		return len(p), nil
	}), &stderr)
	if code != exitOK || !strings.Contains(shown.String(), reason) {
		t.Errorf("code %d, %s\n%s", code, &stderr, &shown)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// changes is a client that has seen some.
type changes []found

func (c changes) Watch(_ context.Context, show func(found) error) error {
	for _, f := range c {
		if err := show(f); err != nil {
			return err
		}
	}
	return nil
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
			of, err := c.newRemote("--server ")
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
