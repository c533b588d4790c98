// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/skew/desk"
)

// check does once whatever the desk can, and says what came of each: "ok", or what was
// wrong.
func (h *host) check() map[string]string {
	seen := make(map[string]string)
	note := func(what string, err error) {
		seen[what] = "ok"
		if err != nil {
			seen[what] = err.Error()
		}
	}
	note("greet", h.greet("Ada"))
	note("error", h.refuse("not today"))
	note("stream", h.stream(1000))
	note("callback", h.callback(20))
	note("output", h.output("a line of output"))
	note("after", h.greet("Bob"))
	return seen
}

func (h *host) greet(name string) error {
	_, err := h.desk.Greet(name)
	return err
}

func (h *host) refuse(reason string) error {
	err := h.desk.Refuse(reason)
	if err == nil || !bytes.HasSuffix([]byte(err.Error()), []byte(reason)) {
		return fmt.Errorf("want the plugin's error, got %w", err)
	}
	return nil
}

func (h *host) stream(n int) error {
	last := 0
	err := h.desk.Count(n, func(next int) {
		if next == last+1 {
			last = next
		}
	})
	if err == nil && last != n {
		err = fmt.Errorf("%d of %d numbers came in order", last, n)
	}
	return err
}

func (h *host) callback(times int) error {
	for range times {
		said, err := h.desk.Ask("tea", func(about string) string { return "no " + about })
		if err != nil {
			return err
		}
		if said != "NO TEA" {
			return fmt.Errorf("the answer was %q", said)
		}
	}
	return nil
}

// output holds that what the plugin writes comes to the host: a child's is in the daemon's
// log. A daemon leaves that of the network to its container, so a session of the library
// takes it there.
func (h *host) output(line string) error {
	d, sink := h.desk, h.log
	if address := os.Getenv("SKEW_NETWORK"); address != "" {
		session, taken, err := attach(address)
		if err != nil {
			return err
		}
		defer session.Close()
		raw, err := session.Dispense(desk.Kind)
		if err != nil {
			return err
		}
		d, sink = raw.(desk.Desk), taken
	}
	// A host that speaks HTTP/2 asks for output when it has attached already: what is written
	// before that goes to the plugin's own output alone. So it is written until it comes.
	deadline := time.After(patience)
	for !sink.has(line) {
		if err := d.Say(line); err != nil {
			return err
		}
		select {
		case <-deadline:
			return errors.New("it has not come")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// attach makes a session that takes the plugin's output, with the first of a list of
// name=host:port.
func attach(list string) (*plugin.Session, *log, error) {
	first, _, _ := strings.Cut(list, ",")
	_, address, _ := strings.Cut(first, "=")
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	taken := &log{}
	session, err := plugin.Attach(context.Background(), &plugin.ClientConfig{
		HandshakeConfig: desk.Handshake(), Plugins: desk.Set(os.Getenv("SKEW_PROTOCOL"), nil),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC},
		Reattach:         &plugin.ReattachConfig{Addr: addr, Protocol: plugin.Protocol(os.Getenv("SKEW_PROTOCOL")), ProtocolVersion: 1},
		SyncStdout:       taken, Logger: hclog.NewNullLogger(),
	})
	return session, taken, err
}

// log is the daemon's. It goes to stderr as well.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	return os.Stderr.Write(p)
}

func (l *log) has(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.text.Bytes(), []byte(line))
}
