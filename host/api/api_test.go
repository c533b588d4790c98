// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

const patience = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// greeter fails for "nobody", and holds "slow" until it is released.
type greeter struct {
	entered chan struct{}
	release chan struct{}
}

func (g greeter) Greet(name string) (string, error) {
	switch name {
	case "nobody":
		return "", errors.New("nobody is there")
	case "slow":
		g.entered <- struct{}{}
		<-g.release
	}
	return "Hello " + name, nil
}
func (greeter) Hi(times int) (string, error) { return fmt.Sprint(times), nil }

// host is a plugin, a daemon and its API.
type host struct {
	t       *testing.T
	base    string
	server  *api.Server
	daemon  *daemon.Daemon
	plugin  greeter
	client  *http.Client
	stop    func() error // of the API
	unready func()       // ends the plugin
}

func start(t *testing.T, change func(*api.Options, *daemon.Options)) *host {
	t.Helper()
	h := &host{t: t, plugin: greeter{make(chan struct{}, 10), make(chan struct{})}, client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(h.client.CloseIdleConnections)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.unready = background(t, func(ctx context.Context) error {
		return plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig:  commons.Handshake(),
			VersionedPlugins: commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: h.plugin}}),
			GRPCServer:       plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
			Network: &plugin.NetworkConfig{Name: "greeter", DrainTimeout: time.Second},
		})
	})
	do := daemon.DefaultOptions()
	do.Handshake, do.Versions = commons.Handshake(), commons.Versions
	do.Kinds = []daemon.Kind{
		daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithParams("Greet", "name"),
			daemon.WithSwitch(commons.SwitchGreeter)),
		daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{},
			daemon.WithSwitch(commons.SwitchPingPonger)),
	}
	do.NetworkPlugins, do.Required = "greeter="+lis.Addr().String(), []string{"greeter"}
	registry := prometheus.NewRegistry()
	do.Registerer = registry
	ao := api.DefaultOptions()
	ao.Address, ao.Gatherer = "127.0.0.1:0", registry
	ao.DrainTimeout = patience // and not what one write may take
	if change != nil {
		change(&ao, &do)
	}
	d, err := daemon.New(do)
	if err != nil {
		t.Fatal(err)
	}
	background(t, d.Run)
	ao.Daemon = d
	s, err := api.New(ao)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	h.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		h.client.CloseIdleConnections() // which the server would wait for, for a second
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Error(err)
		}
	})
	h.base, h.server, h.daemon = "http://"+s.Addr().String(), s, d
	h.until("/readyz", http.StatusOK)
	return h
}

// background runs until the test ends, or what it gives is called.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// until asks for a path until the status is as it should be.
func (h *host) until(path string, status int) string {
	h.t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		got, _, body := h.do(h.request(http.MethodGet, path, ""))
		if got == status {
			return body
		}
		select {
		case <-deadline:
			h.t.Fatalf("%s still gives %d %s", path, got, body)
		case <-tick.C:
		}
	}
}

func (h *host) request(method, path, body string, headers ...string) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (h *host) do(r *http.Request) (status int, header http.Header, body string) {
	h.t.Helper()
	answer, err := h.client.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, strings.TrimSpace(string(raw))
}

const greetPath = "/api/v1/plugins/greeter/kinds/greeter/methods/Greet"

func TestCalls(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.MaxRequest = 1000 })
	cases := map[string]struct {
		reason       string
		path, body   string
		headers      []string
		status       int
		want, source string
	}{
		"by position":    {reason: "an array has the arguments", path: greetPath, body: `["Ada"]`, status: 200, want: `{"result":"Hello Ada"}`},
		"by name":        {reason: "an object has them too", path: greetPath, body: `{"name":"Ada"}`, status: 200, want: `{"result":"Hello Ada"}`},
		"plugin's error": {reason: "no proxy may repeat it, so it is no 502", path: greetPath, body: `["nobody"]`, status: 500, want: "nobody is there", source: "plugin"},
		"arguments":      {reason: "the signature is named", path: greetPath, body: `[1]`, status: 400, want: "Greet(name string) (string, error)"},
		"no JSON":        {reason: "a text is no list", path: greetPath, body: `Ada`, status: 400, want: "JSON array"},
		"too large":      {reason: "a request is bounded", path: greetPath, body: `["` + strings.Repeat("a", 1000) + `"]`, status: 413, want: "1000 bytes"},
		"other type":     {reason: "a web page can send it without asking", path: greetPath, body: `["Ada"]`, headers: []string{"Content-Type", "text/plain"}, status: 415, want: "application/json"},
		"compressed":     {reason: "it is not taken for a wrong array", path: greetPath, body: "\x1f\x8b\b", headers: []string{"Content-Encoding", "gzip"}, status: 415, want: "encoded as gzip: send the JSON as it is"},
		"as it is":       {reason: "identity is no encoding", path: greetPath, body: `["Ada"]`, headers: []string{"Content-Encoding", "identity"}, status: 200, want: `{"result":"Hello Ada"}`},
		"with a slash":   {reason: "people write it", path: greetPath + "/", body: `["Ada"]`, status: 200, want: `{"result":"Hello Ada"}`},
		"unknown plugin": {reason: "the known ones are named", path: "/api/v1/plugins/x/kinds/greeter/methods/Greet", body: `["Ada"]`, status: 404, want: "known are greeter"},
		"probed plugin":  {reason: "likewise", path: "/api/v1/plugins/x/probe?endpoint=x", status: 404, want: `plugin \"x\" is unknown: known are greeter`},
		"unknown kind":   {reason: "likewise", path: "/api/v1/plugins/greeter/kinds/x/methods/Greet", body: `["Ada"]`, status: 404, want: "greeter, pingponger"},
		"unknown method": {reason: "likewise", path: "/api/v1/plugins/greeter/kinds/greeter/methods/X", body: `["Ada"]`, status: 404, want: "Greet, Hi"},
		"not served":     {reason: "the host knows it, the plugin does not", path: "/api/v1/plugins/greeter/kinds/pingponger/methods/Ping", status: 404, want: "not served"},
		"another origin": {reason: "no web page may call", path: greetPath, body: `["Ada"]`, headers: []string{"Origin", "http://evil.example"}, status: 403, want: "another origin"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			status, header, body := h.do(h.request(http.MethodPost, tc.path, tc.body, tc.headers...))
			if status != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("%s: got %d %s, want %d with %q", tc.reason, status, body, tc.status, tc.want)
			}
			if status == http.StatusOK {
				return
			}
			var problem struct {
				Type, Title, Detail, Source string
				Status                      int
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil || header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%s: %s is no problem: %v", header.Get("Content-Type"), body, err)
			}
			if problem.Type == "" || problem.Title == "" || problem.Status != status || problem.Source != tc.source {
				t.Errorf("got %+v, want type, title, status %d and source %q", problem, status, tc.source)
			}
		})
	}
}

func TestRebinding(t *testing.T) {
	h := start(t, nil)
	r := h.request(http.MethodGet, "/api/v1/plugins", "")
	r.Host = "evil.example:80"
	if status, _, body := h.do(r); status != http.StatusForbidden {
		t.Errorf("got %d %s for a name that loopback cannot have", status, body)
	}
}

func TestNoEndpoint(t *testing.T) {
	h := start(t, func(_ *api.Options, o *daemon.Options) { o.CallTimeout = 200 * time.Millisecond })
	h.unready()
	missing := h.until("/readyz", http.StatusServiceUnavailable)
	if !strings.Contains(missing, "plugin greeter: no endpoint is ready") {
		t.Errorf("/readyz says %s", missing)
	}
	status, _, body := h.do(h.request(http.MethodPost, greetPath, `["Ada"]`))
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"source":"network","mayHaveRun":false`) {
		t.Errorf("a call without an endpoint got %d %s", status, body)
	}
	if status, _, _ := h.do(h.request(http.MethodGet, "/healthz", "")); status != http.StatusOK {
		t.Errorf("/healthz gives %d while the process serves", status)
	}
}

func TestBounds(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.MaxCalls, o.MaxPluginCalls = 1, 1 })
	slow := make(chan string, 1)
	go func() {
		_, _, body := h.do(h.request(http.MethodPost, greetPath, `["slow"]`))
		slow <- body
	}()
	<-h.plugin.entered
	status, header, body := h.do(h.request(http.MethodPost, greetPath, `["Ada"]`))
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("a second call got %d %s", status, body)
	}
	// The end waits for the call in flight.
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	h.plugin.release <- struct{}{}
	if got := <-slow; got != `{"result":"Hello slow"}` {
		t.Errorf("the call in flight got %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age) // clocks of file systems are coarse
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("first-token-of-this-host\n", time.Hour)
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.TokenFile = file })
	try := func(authorization string) int {
		t.Helper()
		status, header, _ := h.do(h.request(http.MethodPost, greetPath, `["Ada"]`, "Authorization", authorization))
		if status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "" {
			t.Error("a 401 must say which scheme it wants")
		}
		return status
	}
	for authorization, want := range map[string]int{
		"":                                401,
		"Bearer wrong":                    401,
		"Basic first-token-of-this-host":  401,
		"Bearer first-token-of-this-host": 200,
		"bearer first-token-of-this-host": 200,
	} {
		if got := try(authorization); got != want {
			t.Errorf("%q: got %d, want %d", authorization, got, want)
		}
	}
	write("second-token-of-this-host", 0)
	if old, now := try("Bearer first-token-of-this-host"), try("Bearer second-token-of-this-host"); old != 401 || now != 200 {
		t.Errorf("after the change: the old token got %d, the new one %d", old, now)
	}
	write("short", time.Minute)
	if got := try("Bearer second-token-of-this-host"); got != 200 {
		t.Errorf("while the file is no good, the last token got %d", got)
	}
	if status, _, _ := h.do(h.request(http.MethodGet, "/api/v1/plugins", "")); status != 200 {
		t.Errorf("reading needs no token, and got %d", status)
	}
}

// tokenFile gives the path of a file with a token.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNew(t *testing.T) {
	do := daemon.DefaultOptions()
	do.Handshake, do.NetworkPlugins = commons.Handshake(), "a=127.0.0.1:1"
	do.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithSwitch(commons.SwitchGreeter))}
	d, err := daemon.New(do)
	if err != nil {
		t.Fatal(err)
	}
	token := tokenFile(t, "a-token-that-is-long-enough")
	cases := map[string]struct {
		reason string
		change func(*api.Options)
		want   string
	}{
		"loopback":        {"calls from here are trusted", func(o *api.Options) { o.Address = "127.0.0.1:0" }, ""},
		"everywhere":      {"anybody could call", func(o *api.Options) { o.Address = "0.0.0.0:0" }, "can be reached from elsewhere"},
		"with token":      {"only those who know it can", func(o *api.Options) { o.Address, o.TokenFile = "0.0.0.0:0", token }, ""},
		"without calls":   {"nothing can be called", func(o *api.Options) { o.Address, o.NoCalls = "0.0.0.0:0", true }, ""},
		"no token there":  {"a wrong path is no token", func(o *api.Options) { o.TokenFile = token + "x" }, "read token file"},
		"no address":      {"a typing mistake", func(o *api.Options) { o.Address = "" }, "Address is empty"},
		"bad address":     {"it cannot be bound", func(o *api.Options) { o.Address = "127.0.0.1:x" }, "127.0.0.1:x"},
		"no daemon":       {"nothing to serve", func(o *api.Options) { o.Daemon = nil }, "Daemon is not set"},
		"few connections": {"calls and streams alone would fill them", func(o *api.Options) { o.MaxConnections = 100 }, "MaxConnections 100"},
		"open calls":      {"a server of one's own checks who asks, this one cannot", func(o *api.Options) { o.OpenCalls = true }, "OpenCalls"},
		"no calls":        {"zero would refuse all", func(o *api.Options) { o.MaxCalls = 0 }, "MaxCalls"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := api.DefaultOptions()
			o.Daemon, o.Address = d, "127.0.0.1:0"
			tc.change(&o)
			s, err := api.New(o)
			if err == nil {
				_ = s.Close()
			}
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}
