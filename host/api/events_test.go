// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
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
	if got := next(t, others); got != `data: {"plugins":[],"problems":[]}` {
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
