// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"sync"
	"testing"
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

// TestWaitIsSaid has a command wait for a plugin that does not answer the handshake: it says
// so, once, and goes on to wait.
func TestWaitIsSaid(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("ATTACH_TIMEOUT", "1h") // what is said is that it connects, however slow the machine is
	for name, place := range map[string]func(t *testing.T, address string){
		"attached":    func(t *testing.T, address string) { t.Setenv("NETWORK_PLUGIN", "zh="+address) },
		"by a daemon": func(t *testing.T, address string) { t.Setenv("BASIC_SERVER", serveAPI(t, address)) },
	} {
		for _, args := range [][]string{{"call", "zh", "greeter.Greet", "Ada"}, {"describe", "zh"}} {
			if args[0] == "describe" && name != "attached" {
				continue // a daemon answers at once
			}
			t.Run(name+" "+args[0], func(t *testing.T) {
				address, _ := muteAddress(t)
				place(t, address)
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				stderr, code := newSpoken(), make(chan int, 1)
				go func() { code <- basic().run(ctx, args, new(bytes.Buffer), stderr) }()
				select {
				case <-stderr.line:
				case got := <-code:
					t.Fatalf("it ended with %d before it said what it waits for: %s", got, stderr)
				}
				interrupt()
				if got := <-code; got != exitInterrupted {
					t.Errorf("exit code %d, want %d", got, exitInterrupted)
				}
				want := "basic: waiting for plugin zh: CONNECTING to zh@" + address + "\nbasic: interrupted\n"
				if got := stderr.String(); got != want {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		}
	}
}
