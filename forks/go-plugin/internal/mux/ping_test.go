// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// A plugin answers pings while its methods run, whoever reads the host's side.
func TestPing(t *testing.T) {
	here, there := tcpPair(t)
	gate := make(chan struct{})
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Unary: func(s *Stream) {
		<-gate
		_, _ = s.WriteLast(nil)
		_ = s.Close()
	}})
	p.host.KeepReading()
	for range 3 {
		if err := p.host.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s, err := p.host.OpenCall(t.Context(), UnaryCall, []byte("\x01m"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() { answered <- p.host.Await(t.Context(), s) }()
	for range 3 {
		if err := p.host.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	_ = s.Close()
}

// Answers belong to pings in their order, also to those that nobody waits for any more, and
// pings without an answer are few.
func TestPingsWithoutAnswers(t *testing.T) {
	here, there := net.Pipe()
	h := NewHost(here, HostConfig{})
	h.KeepReading()
	go func() { _, _ = io.Copy(io.Discard, there) }()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Ping(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	second := make(chan error, 1)
	go func() { second <- h.Ping(t.Context()) }()
	sent := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.pings.sent)
	}
	testkit.Eventually(t, "the second ping is sent", func() bool { return sent() == 2 })
	alive := rawMessage(kindAlive, "")
	if _, err := there.Write([]byte(alive)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the first ping is answered", func() bool { return sent() == 1 })
	select {
	case err := <-second:
		t.Errorf("the second ping has the first one's answer: %v", err)
	default:
	}
	if _, err := there.Write([]byte(alive)); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	for sent() < maxPings {
		_ = h.Ping(ended)
	}
	if err := h.Ping(t.Context()); err != errPings {
		t.Error(err)
	}
	_ = h.Close()
	if err := h.Ping(t.Context()); err == nil {
		t.Error("a session that has ended is alive")
	}
	testkit.Eventually(t, "the reader has ended", func() bool {
		_, err := there.Write([]byte(alive))
		return err != nil
	})
	_ = there.SetDeadline(time.Unix(1, 0))
	_ = there.Close()
}
