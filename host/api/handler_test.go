// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/reattach/reattach/host/api"
)

// TestHandler holds that the API can be one part of somebody's own server, beneath a
// path, with calls, their bounds and an event stream.
func TestHandler(t *testing.T) {
	h := start(t, nil)
	o := api.DefaultOptions()
	o.Daemon, o.OpenCalls, o.MaxRequest = h.daemon, true, 1000
	handler, err := api.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/plugins/", http.StripPrefix("/plugins", handler))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "mine") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h.base = server.URL
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{http.MethodGet, "/", "", 200, "mine"},
		{http.MethodGet, "/plugins/readyz", "", 200, `{"ready":true,"missing":[]}`},
		{http.MethodPost, "/plugins" + greetPath, `["Ada"]`, 200, `{"result":"Hello Ada"}`},
		{http.MethodPost, "/plugins" + greetPath, `["` + strings.Repeat("a", 1000) + `"]`, 413, "1000 bytes"},
		{http.MethodGet, "/plugins" + greetPath, "", 405, "takes POST"},
	} {
		if status, _, body := h.do(h.request(tc.method, tc.path, tc.body)); status != tc.status || !strings.Contains(body, tc.want) {
			t.Errorf("%s %s: got %d %s, want %d with %q", tc.method, tc.path, status, body, tc.status, tc.want)
		}
	}
	if got := next(t, h.openAt("/plugins/api/v1/events")); got != "event: plugins" {
		t.Errorf("the stream begins with %q", got)
	}
	h.client.CloseIdleConnections()
}

// TestHandlerWithoutServer holds that a writer which knows no deadline gets its answer.
func TestHandlerWithoutServer(t *testing.T) {
	h := start(t, nil)
	o := api.DefaultOptions()
	o.Daemon, o.NoCalls = h.daemon, true
	handler, err := api.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/plugins/", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"name":"greeter"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestNewHandler(t *testing.T) {
	h := start(t, nil)
	token := tokenFile(t, "a-token-that-is-long-enough")
	cases := map[string]struct {
		reason string
		change func(*api.Options)
		want   string
	}{
		"nothing said":  {"anybody could call", func(*api.Options) {}, "calls need a token"},
		"a token":       {"only those who know it can", func(o *api.Options) { o.TokenFile = token }, ""},
		"no token file": {"a wrong path is no token", func(o *api.Options) { o.TokenFile = token + "x" }, "read token file"},
		"open":          {"the server checks", func(o *api.Options) { o.OpenCalls = true }, ""},
		"an address":    {"it would not be listened at", func(o *api.Options) { o.OpenCalls, o.Address = true, "127.0.0.1:0" }, "Address is set"},
		"no daemon":     {"nothing to serve", func(o *api.Options) { o.OpenCalls, o.Daemon = true, nil }, "Daemon is not set"},
	}
	for name, tc := range cases {
		o := api.DefaultOptions()
		o.Daemon = h.daemon
		tc.change(&o)
		if _, err := api.NewHandler(o); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %s: got %v, want %q", name, tc.reason, err, tc.want)
		}
	}
}
