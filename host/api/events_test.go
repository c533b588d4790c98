// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/kit"
)

// open reads server-sent events; lines that are comments come as they are.
func (h *host) open() <-chan string { return h.openAt("/api/v1/events") }

func (h *host) openAt(path string) <-chan string {
	h.t.Helper()
	answer, err := h.client.Do(h.request(http.MethodGet, path, ""))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { answer.Body.Close() })
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		h.t.Fatalf("the stream is %q", got)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(answer.Body)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			if scan.Text() != "" {
				lines <- scan.Text()
			}
		}
	}()
	return lines
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line, open := <-lines:
		if !open {
			t.Fatal("the stream ended")
		}
		return line
	case <-time.After(patience):
		t.Fatal("the stream says nothing")
		return ""
	}
}

func TestEvents(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.MaxStreams = 1 })
	lines := h.open()
	if got := next(t, lines); got != "event: plugins" {
		t.Errorf("the stream begins with %q", got)
	}
	if got := next(t, lines); !strings.HasPrefix(got, `data: {"plugins":[{"name":"greeter","ready":true`) {
		t.Errorf("the stream begins with %q", got)
	}
	if status, _, body := h.do(h.request(http.MethodGet, "/api/v1/events", "")); status != http.StatusTooManyRequests {
		t.Errorf("a second stream got %d %s", status, body)
	}
	h.unready()
	for {
		name, data := next(t, lines), next(t, lines)
		var e struct{ Type, Plugin, Endpoint, From, To string }
		if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &e); err != nil || name != "event: change" {
			t.Fatalf("%s, %s: %v", name, data, err)
		}
		if e.Type == "plugin-unready" && e.Plugin == "greeter" {
			break
		}
	}
	if err := h.stop(); err != nil {
		t.Errorf("the stream held up the end: %v", err)
	}
	for range lines {
		continue // it ends
	}
}

// TestEventsWithoutFollowing holds that whoever only asks what has happened takes no place of
// those that follow, and that its answer ends by itself.
func TestEventsWithoutFollowing(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.MaxStreams = 1 })
	next(t, h.open()) // the only place is taken
	lines := h.openAt("/api/v1/events?follow=false&plugin=greeter")
	if got := next(t, lines); got != "event: plugins" {
		t.Errorf("the answer begins with %q", got)
	}
	if got := next(t, lines); !strings.HasPrefix(got, `data: {"plugins":[{"name":"greeter","ready":true`) {
		t.Errorf("the answer is %q", got)
	}
	select {
	case line, open := <-lines:
		if open {
			t.Errorf("behind the answer comes %q", line)
		}
	case <-time.After(patience):
		t.Error("the answer does not end")
	}
	if status, _, body := h.do(h.request(http.MethodGet, "/api/v1/events?follow=maybe", "")); status != http.StatusBadRequest || !strings.Contains(body, "parameter follow") {
		t.Errorf("a parameter that says neither got %d %s", status, body)
	}
}

func TestHeartbeat(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.Heartbeat = 10 * time.Millisecond })
	lines := h.open()
	for next(t, lines) != ": alive" {
		continue
	}
}

// TestEventsOfAPlugin holds that a stream has what was asked for and no more.
func TestEventsOfAPlugin(t *testing.T) {
	h := start(t, nil)
	if status, _, body := h.do(h.request(http.MethodGet, "/api/v1/events?plugin=a%2Fb", "")); status != http.StatusBadRequest || !strings.Contains(body, "parameter plugin") {
		t.Errorf("a name that no plugin has got %d %s", status, body)
	}
	mine, others := h.openAt("/api/v1/events?plugin=ghost&plugin=greeter"), h.openAt("/api/v1/events/?plugin=ghost")
	next(t, mine)
	if got := next(t, mine); !strings.HasPrefix(got, `data: {"plugins":[{"name":"greeter"`) {
		t.Errorf("the stream of greeter begins with %q", got)
	}
	next(t, others)
	if got := next(t, others); got != `data: {"plugins":[],"problems":[],"earlier":[]}` {
		t.Errorf("the stream of another plugin begins with %q", got)
	}
	h.unready()
	for got := ""; !strings.Contains(got, "plugin-unready"); {
		got = next(t, mine)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	for line := range others {
		t.Errorf("the stream of another plugin has %q", line)
	}
}

// heldWriter is the answer of a client that does not read until it is told to.
type heldWriter struct {
	header  http.Header
	writing chan struct{} // one for each write that is held
	read    chan struct{} // closed: the client reads
	answer  *io.PipeWriter
}

func (w *heldWriter) Header() http.Header { return w.header }
func (w *heldWriter) WriteHeader(int)     {}
func (w *heldWriter) Flush()              {}
func (w *heldWriter) Write(p []byte) (int, error) {
	select {
	case w.writing <- struct{}{}:
	default:
	}
	<-w.read
	return w.answer.Write(p)
}

// TestEventsOfASlowReader: whoever is sent the whole state, for being too slow to be told of
// each event, is told of none that came before: it would take what was for what is.
func TestEventsOfASlowReader(t *testing.T) {
	const endpoints = 300 // more than wait for a reader
	source := manual.New("hand")
	h := start(t, func(_ *api.Options, o *daemon.Options) { o.Sources = append(o.Sources, source) })
	o := api.DefaultOptions()
	o.Daemon, o.NoCalls = h.daemon, true
	handler, err := api.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	answer, to := io.Pipe()
	w := &heldWriter{http.Header{}, make(chan struct{}, 1), make(chan struct{}), to}
	ended, request := make(chan struct{}), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/events", nil)
	go func() {
		defer close(ended)
		handler.ServeHTTP(w, request)
	}()
	<-w.writing // the first state, which has none of what follows
	found := func(plugin string, n int) (g target.Group) {
		g.Key = plugin
		for i := range n {
			address := fmt.Sprintf("127.0.0.2:%d", i+1)
			g.Endpoints = append(g.Endpoints, target.Endpoint{
				ID: target.MakeID(plugin, address), Plugin: plugin, Placement: target.Network, Address: address, Draining: true,
			})
		}
		return g
	}
	until := func(plugin string, known bool) {
		h.t.Helper()
		kit.Eventually(t, patience, func() error {
			if _, is := h.daemon.Plugin(plugin); is != known {
				return fmt.Errorf("plugin %s: known %t", plugin, is)
			}
			return nil
		})
	}
	source.Update(found("gone", endpoints))
	until("gone", true)
	source.Update(target.Group{Key: "gone"})
	until("gone", false)
	close(w.read)

	lines, again := bufio.NewScanner(answer), false
	lines.Buffer(nil, 1<<20)
	for states := 0; lines.Scan(); {
		line := lines.Text()
		switch {
		case line == "event: plugins":
			if states++; states == 2 {
				again = true
				source.Update(found("last", 1))
			}
		case again && strings.HasPrefix(line, `data: {"time":`) && strings.Contains(line, `"plugin":"gone"`):
			t.Fatalf("after the whole state, which has none of it, comes %s", line)
		case strings.Contains(line, `"type":"found"`) && strings.Contains(line, `"plugin":"last"`):
			_ = answer.Close()
		}
	}
	if !again {
		t.Error("the reader was not sent the state again")
	}
	<-ended
}
