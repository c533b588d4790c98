// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/test/kit"
)

// TestHungUpCallsCount: a method without a context runs on when its client hangs up,
// and so it counts on.
func TestHungUpCallsCount(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.MaxPluginCalls = 3 })
	for range 3 {
		ctx, hangUp := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			answer, err := h.client.Do(h.request(http.MethodPost, greetPath, `["slow"]`).WithContext(ctx))
			if err == nil {
				err = fmt.Errorf("it was answered: %s", answer.Status)
			}
			gone <- err
		}()
		<-h.plugin.entered
		hangUp()
		<-gone
	}
	status, header, body := h.do(h.request(http.MethodPost, greetPath, `["Ada"]`))
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !strings.Contains(body, `3 calls of plugin \"greeter\"`) {
		t.Errorf("with three methods at work a fourth call got %d %s", status, body)
	}
	for range 3 {
		h.plugin.release <- struct{}{}
	}
	h.untilCalled(greetPath, `["Ada"]`)
}

// untilCalled calls until there is a place for the call.
func (h *host) untilCalled(path, args string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		status, _, body := h.do(h.request(http.MethodPost, path, args))
		if status == http.StatusOK {
			return
		}
		if status != http.StatusTooManyRequests || time.Now().After(deadline) {
			h.t.Fatalf("a call got %d %s", status, body)
		}
	}
}

// TestDeadPluginLeavesRoom: calls that wait for a plugin which is not there take its
// share and no more.
func TestDeadPluginLeavesRoom(t *testing.T) {
	h := start(t, func(o *api.Options, d *daemon.Options) {
		o.MaxCalls, o.MaxPluginCalls = 64, 16
		d.NetworkPlugins += ",dead=127.0.0.1:1"
	})
	ctx, hangUp := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer hangUp()
	refused := make(chan struct{}, 64)
	for range 64 {
		clients.Go(func() {
			r := h.request(http.MethodPost, strings.Replace(greetPath, "plugins/greeter", "plugins/dead", 1), `["Ada"]`)
			answer, err := h.client.Do(r.WithContext(ctx))
			if err != nil {
				return // hung up: it waited
			}
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusTooManyRequests {
				refused <- struct{}{}
			}
		})
	}
	for range 64 - 16 {
		select {
		case <-refused:
		case <-time.After(patience):
			t.Fatal("callers of a plugin that is not there are not bounded")
		}
	}
	if status, _, body := h.do(h.request(http.MethodPost, greetPath, `["Ada"]`)); status != http.StatusOK {
		t.Errorf("beside 64 callers of a dead plugin, a healthy one answers %d %s", status, body)
	}
}

// unread opens a connection that asks many times and reads nothing.
func (h *host) unread(path string) net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	_ = conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // it may well be full
	_, _ = conn.Write(bytes.Repeat([]byte(request), 2000))
	return conn
}

// TestReadersOfNothing: clients that do not read hold no more than the bounds, and
// hold up nobody.
func TestReadersOfNothing(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.MaxCalls, o.MaxStreams, o.MaxConnections = 8, 4, 16 })
	slow := make(chan string, 1)
	go func() {
		_, _, body := h.do(h.request(http.MethodPost, greetPath, `["slow"]`))
		slow <- body
	}()
	<-h.plugin.entered
	events := h.open()
	for i := range 40 {
		h.unread([]string{"/metrics", "/api/v1/openapi.json", "/api/v1/plugins"}[i%3])
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/v1/plugins"} {
		ctx, cancel := context.WithTimeout(t.Context(), api.SlowReader/2)
		if status, _, _ := h.do(h.request(http.MethodGet, path, "").WithContext(ctx)); status != http.StatusOK {
			t.Errorf("beside clients that read nothing, %s gives %d", path, status)
		}
		cancel()
	}
	if got := h.server.Connections(); got > 16 {
		t.Errorf("there are %d connections of at most 16", got)
	}
	h.plugin.release <- struct{}{}
	if got := <-slow; got != `{"result":"Hello slow"}` {
		t.Errorf("the call, whose connection was the oldest, got %s", got)
	}
	if got := next(t, events); got != "event: plugins" {
		t.Errorf("the event stream says %q", got)
	}
}

// TestConnectionThatRested: the deadline of the last answer says nothing of the next,
// not of its "100 Continue" either.
func TestConnectionThatRested(t *testing.T) {
	h := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	ask := func(request string) *http.Response {
		t.Helper()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if got := ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); got.StatusCode != http.StatusOK {
		t.Fatalf("/healthz: %s", got.Status)
	}
	h.server.Rest()
	if got := ask("POST " + greetPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n"); got.StatusCode != http.StatusContinue {
		t.Errorf("a request that wants to be continued: %s", got.Status)
	}
	if got := ask(`["Ada"]`); got.StatusCode != http.StatusOK {
		t.Errorf("a call: %s", got.Status)
	}
}

// TestUnreadAnswersOfCalls: a call that has its answer is no reason to spare its
// connection, whose client may never read it.
func TestUnreadAnswersOfCalls(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) {
		o.MaxCalls, o.MaxPluginCalls, o.MaxStreams, o.MaxConnections = 8, 8, 4, 16
	})
	args := fmt.Sprintf("[%q]", strings.Repeat("x", 1<<20-100))
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", greetPath, len(args), args)
	for range 20 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		for range 8 { // the first ones may fit in what the system keeps
			_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := io.WriteString(conn, request); err != nil {
				break
			}
		}
	}
	if got := h.server.Connections(); got > 16 {
		t.Errorf("there are %d connections of at most 16, and %d are spared", got, h.server.Busy())
	}
	if status, _, body := h.do(h.request(http.MethodGet, "/healthz", "")); status != http.StatusOK {
		t.Errorf("/healthz gives %d %s", status, body)
	}
}

// TestManyUnread: what clients do not read is bounded in bytes as well.
func TestManyUnread(t *testing.T) {
	const each = 8 << 20
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := api.ServeBounded(t, lis, 64, bytes.Repeat([]byte("x"), each))
	for range 20 {
		conn, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		<-served.Writing
	}
	// The last answers may not have begun to wait yet, and those that were cut off give
	// their bytes back when their writes end.
	kit.Eventually(t, patience, func() error {
		if n, unread := served.Connections(), served.Unread(); n > api.MaxUnread/each+1 || unread > api.MaxUnread {
			return fmt.Errorf("%d connections are still there, and %d bytes wait for readers, of at most %d", n, unread, api.MaxUnread)
		}
		return nil
	})
}

// Bodies of the tests below, and how many of them may be held.
const (
	bodySize = 8 << 10
	counted  = 4 << 10 // of each
	fewest   = 16
)

func fewBodies(o *api.Options, _ *daemon.Options) {
	o.MaxRequest, o.MaxBodies = bodySize, fewest*counted
}

// TestManyBodies: bodies that are being sent are bounded in bytes. Clients that send on
// hold up nobody, and what they held is given back.
func TestManyBodies(t *testing.T) {
	h := start(t, fewBodies)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", greetPath, bodySize)
	senders := make([]net.Conn, 2*fewest)
	for i := range senders {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		senders[i] = conn
		_, _ = io.WriteString(conn, head+strings.Repeat(" ", bodySize-1)) // it may be cut off
		if got := h.server.Bodies(); got > (fewest+1)*counted {
			t.Fatalf("%d bytes of bodies are held, of at most %d", got, fewest*counted)
		}
	}
	h.untilCalled(greetPath, `["Ada"]`)
	if _, err := senders[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest sender got an answer")
	}
	answered := 0 // The server need not have begun with them in the order in which they came.
	for _, conn := range senders {
		_, _ = io.WriteString(conn, " ")
		if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && answer.StatusCode == http.StatusBadRequest {
			answered++
		}
		_ = conn.Close()
	}
	if answered == 0 || answered == len(senders) {
		t.Errorf("%d of %d senders got an answer, where there is room for some %d", answered, len(senders), fewest)
	}
	h.untilNoBodies()
}

// TestBodiesOfCallsInFlight: what runs holds its body. Others are told so, and small
// bodies and those of other plugins have room.
func TestBodiesOfCallsInFlight(t *testing.T) {
	h := start(t, func(o *api.Options, d *daemon.Options) {
		fewBodies(o, d)
		d.NetworkPlugins += ",other=" + strings.TrimPrefix(d.NetworkPlugins, "greeter=")
	})
	args := `["slow"` + strings.Repeat(" ", bodySize-8) + `]`
	var clients sync.WaitGroup
	for range fewest / 4 {
		clients.Go(func() {
			if status, _, body := h.do(h.request(http.MethodPost, greetPath, args)); status != http.StatusOK {
				t.Errorf("%d %.300s", status, body)
			}
		})
		<-h.plugin.entered
	}
	status, header, body := h.do(h.request(http.MethodPost, greetPath, args))
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !strings.Contains(body, `bodies of calls of plugin \"greeter\"`) {
		t.Errorf("beyond the plugin's share a call got %d %s", status, body)
	}
	h.untilCalled(greetPath, `["Ada"]`)
	other := strings.Replace(greetPath, "plugins/greeter", "plugins/other", 1)
	h.untilCalled(other, strings.Replace(args, "slow", "fast", 1))
	for range fewest / 4 {
		h.plugin.release <- struct{}{}
	}
	clients.Wait()
	h.untilNoBodies()
}

// untilNoBodies waits until no bytes of bodies are held.
func (h *host) untilNoBodies() {
	h.t.Helper()
	for deadline := time.Now().Add(patience); h.server.Bodies() != 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			h.t.Fatalf("%d bytes of bodies are still held", h.server.Bodies())
		}
	}
}

// syncBuffer takes logs of several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.b.String()
	s.b.Reset()
	return text
}

// TestTokenFileTrouble: the last token stays in force, and that is said once.
func TestTokenFileTrouble(t *testing.T) {
	const first, second = "first-token-of-this-host", "other-token-of-this-host"
	file, at := filepath.Join(t.TempDir(), "token"), time.Now().Add(-time.Hour)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	log := &syncBuffer{}
	h := start(t, func(o *api.Options, _ *daemon.Options) {
		o.TokenFile, o.Logger = file, hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Info})
	})
	try := func(token string) int {
		t.Helper()
		status, _, _ := h.do(h.request(http.MethodPost, greetPath, `["Ada"]`, "Authorization", "Bearer "+token))
		return status
	}
	usable := func() string {
		t.Helper()
		_, _, body := h.do(h.request(http.MethodGet, "/metrics", ""))
		_, value, _ := strings.Cut(body, "\nreattach_http_token_file_usable ")
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	write(second) // the same size, the same time
	if old, now := try(first), try(second); old != 401 || now != 200 {
		t.Errorf("after a change that keeps size and time: the old token got %d, the new one %d", old, now)
	}
	if got := usable(); got != "1" {
		t.Errorf("of a good file the metric says %q", got)
	}
	if got := log.take(); got != "" {
		t.Errorf("of a good file the log says %q", got)
	}
	trouble := map[string]struct {
		spoil func()
		want  string
	}{
		"emptied":   {func() { write("") }, "0 bytes"},
		"shortened": {func() { write("short") }, "5 bytes"},
		"too long":  {func() { write(strings.Repeat("a", 5000)) }, "more than 4096 bytes"},
		"deleted":   {func() { _ = os.Remove(file) }, "no such file"},
		"directory": {func() { _ = os.Remove(file); _ = os.Mkdir(file, 0o700) }, "not a regular file"},
	}
	for name, tc := range trouble {
		t.Run(name, func(t *testing.T) {
			tc.spoil()
			if one, two := try(second), try(first); one != 200 || two != 401 {
				t.Errorf("the last token got %d, the one before it %d", one, two)
			}
			if got := usable(); got != "0" {
				t.Errorf("the metric says %q", got)
			}
			if got := log.take(); !strings.Contains(got, tc.want) || strings.Count(got, "[WARN]") != 1 {
				t.Errorf("the log says %q, want %q once", got, tc.want)
			}
			_ = os.Remove(file)
			write(second)
			if got := usable(); got != "1" {
				t.Errorf("after that the metric says %q", got)
			}
			if got := log.take(); !strings.Contains(got, "can be used again") {
				t.Errorf("after that the log says %q", got)
			}
		})
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	_, _ = try(second), try(second)
	if got := log.take(); strings.Count(got, "every user of this machine may read") != 1 {
		t.Errorf("of a file that all may read the log says %q", got)
	}
}
