// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
)

// spoken is a stderr that tells of its first line.
type spoken struct {
	mu   sync.Mutex
	all  bytes.Buffer
	line chan struct{}
}

func newSpoken() *spoken { return &spoken{line: make(chan struct{})} }

// Write implements io.Writer.
func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all.Len() == 0 {
		close(s.line)
	}
	return s.all.Write(p)
}

// String implements fmt.Stringer.
func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// waits runs a command line until it has said what it waits for, which it does as soon as
// silent is closed. Then goOn is called, and all that it has said is given once it has ended.
func waits(t *testing.T, program Options, silent <-chan struct{}, goOn func(interrupt func()), args ...string) (stdout, said string, code int) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	program.silent = silent
	var out bytes.Buffer
	stderr, ended := newSpoken(), make(chan int, 1)
	go func() { ended <- program.run(ctx, args, &out, stderr) }()
	select {
	case <-stderr.line:
	case got := <-ended:
		t.Fatalf("it ended with %d before it said what it waits for: %s", got, stderr)
	}
	goOn(interrupt)
	code = <-ended
	return out.String(), stderr.String(), code
}

// atOnce is a silence that is over.
func atOnce() <-chan struct{} {
	over := make(chan struct{})
	close(over)
	return over
}

// TestWaitIsSaid has a command wait for a plugin that does not answer the handshake: it says
// so, once, and goes on to wait.
func TestWaitIsSaid(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("ATTACH_TIMEOUT", "1h") // what is said is that it connects, however slow the machine is
	for name, place := range map[string]func(t *testing.T, address string){
		"attached":    func(t *testing.T, address string) { t.Setenv("NETWORK_PLUGIN", "zh="+address) },
		"by a daemon": func(t *testing.T, address string) { t.Setenv("BASIC_SERVER", serveAPI(t, address)) },
	} {
		for _, args := range [][]string{{"call", "zh", "greeter.Greet", "Ada"}, {"describe", "zh"}, {"plugins"}, {"events"}, {"events", "-f"}, {}} {
			if name != "attached" && (len(args) == 0 || args[0] != "call") {
				continue // a daemon answers at once
			}
			t.Run(fmt.Sprint(name, args), func(t *testing.T) {
				address, asked := muteAddress(t)
				place(t, address)
				_, said, code := waits(t, basic(), asked, func(interrupt func()) { interrupt() }, args...)
				want := "basic: waiting for plugin zh: CONNECTING to zh@" + address + "\nbasic: interrupted\n"
				if code != exitInterrupted || said != want {
					t.Errorf("exit code %d and %q\nwant %d and %q", code, said, exitInterrupted, want)
				}
			})
		}
	}
}

// TestWatchShowsWhatItWaitsFor: a watch shows that it connects as soon as it does, and waits for
// nothing that it could tell of.
func TestWatchShowsWhatItWaitsFor(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("ATTACH_TIMEOUT", "1h")
	address, asked, answer := otherServer(t)
	t.Setenv("NETWORK_PLUGIN", "zh="+address)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	program := basic()
	program.silent = asked
	table, stdout := io.Pipe()
	stderr, ended := newSpoken(), make(chan int, 1)
	go func() {
		ended <- program.run(ctx, []string{"plugins", "--watch", "-o", "wide"}, stdout, stderr)
		_ = stdout.Close()
	}()
	var shown []string
	for rows := bufio.NewScanner(table); rows.Scan(); {
		for _, state := range []string{"CONNECTING", "TRANSIENT_FAILURE"} {
			if strings.Contains(rows.Text(), state) && !slices.Contains(shown, state) {
				shown = append(shown, state)
			}
		}
		switch len(shown) {
		case 1:
			answer()
		case 2:
			interrupt()
		}
	}
	if code := <-ended; code != exitOK || stderr.String() != "" || len(shown) != 2 {
		t.Errorf("exit code %d, it says %q and shows %v", code, stderr, shown)
	}
}

// mutely finds nothing, and never says so.
type mutely struct{}

func (*mutely) Wanted() bool                                        { return true }
func (m *mutely) Source(hclog.Logger) (discovery.Source, error)     { return m, nil }
func (*mutely) Follow(*daemon.Daemon, prometheus.Registerer) func() { return func() {} }
func (*mutely) Name() string                                        { return "mutely" }
func (*mutely) Run(ctx context.Context, _ discovery.Sink) error     { <-ctx.Done(); return nil }

// TestWaitForSourceIsSaid has commands wait for what finds plugins.
func TestWaitForSourceIsSaid(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	for _, args := range [][]string{{"call", "zh", "greeter.Greet", "Ada"}, {"describe", "zh"}, {"plugins"}, {"plugins", "--watch"}, {"events"}, {}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			program := basic()
			program.Finders = []Finder{new(mutely)}
			_, said, _ := waits(t, program, atOnce(), func(interrupt func()) { interrupt() }, args...)
			if want := "basic: waiting for source mutely: it has not delivered anything yet\n"; !strings.HasPrefix(said, want) {
				t.Errorf("it says %q, want %q", said, want)
			}
		})
	}
}

// otherServer is no plugin, which its one client learns when answer is called. Asked is closed
// once the client has asked.
func otherServer(t *testing.T) (address string, asked <-chan struct{}, answer func()) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	came, answers := make(chan struct{}), make(chan struct{})
	var serving sync.WaitGroup
	answer = sync.OnceFunc(func() { close(answers) })
	t.Cleanup(func() {
		_ = lis.Close()
		answer()
		serving.Wait()
	})
	serving.Go(func() {
		c, err := lis.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 1))
		close(came)
		<-answers
		_, _ = c.Write([]byte("SSH-2.0-none\r\n"))
		_, _ = io.Copy(io.Discard, c)
	})
	return lis.Addr().String(), came, answer
}

// TestAttachSaysItsWait has attach reach a plugin that does not answer, until that turns out to
// be none. Its host reads the handshake from stdout, so that nothing else is written there.
func TestAttachSaysItsWait(t *testing.T) {
	address, asked, answer := otherServer(t)
	for key, value := range map[string]string{"TEST_PLUGIN": "hello", "PLUGIN_PROTOCOL_VERSIONS": "1", "ATTACH_TIMEOUT": "1h", "LOG_LEVEL": "off"} {
		t.Setenv(key, value)
	}
	program := Options{Name: "basic", Handshake: plugin.HandshakeConfig{MagicCookieKey: "TEST_PLUGIN", MagicCookieValue: "hello"}}
	out, said, code := waits(t, program, asked, func(func()) { answer() }, "attach", "store="+address)
	want := "basic: waiting for plugin store: CONNECTING to store@" + address + "\nbasic: the plugin was not reached"
	if !strings.HasPrefix(said, want) || strings.Count(said, "\n") != 2 || out != "" || code != exitUnreachable {
		t.Errorf("it says %q and %q with exit code %d, want %q", out, said, code, want)
	}
}

// TestExposeSaysItsWait has expose wait for its executable.
func TestExposeSaysItsWait(t *testing.T) {
	dir := t.TempDir()
	slow, ends := filepath.Join(dir, "slow"), filepath.Join(dir, "ends")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nuntil [ -e "+ends+" ]; do sleep 0.1; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, said, code := waits(t, Options{Name: "basic"}, atOnce(), func(func()) {
		if err := os.WriteFile(ends, nil, 0o600); err != nil {
			t.Error(err)
		}
	}, "expose", "--listen", "127.0.0.1:0", "--cookie", "A=b", "--versions", "1", "--start-timeout", "1h", "--", slow)
	want := "basic: waiting for " + slow + " to say that it serves, 1h0m0s at most (--start-timeout)\nbasic: the plugin cannot be started"
	if !strings.HasPrefix(said, want) || out != "" || code != exitUnreachable {
		t.Errorf("it says %q and %q with exit code %d, want %q", out, said, code, want)
	}
}
