// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// newCrowd starts a session with as many streams as the host may open. The plugin gives each
// that it accepts to accepted, and most is how many of them it has counted at once.
func newCrowd(t *testing.T, accepted func(*Stream)) (p *pair, crowd []*Stream, most *atomic.Int64) {
	here, there := tcpPair(t)
	most = new(atomic.Int64)
	take := func(s *Stream) error {
		most.Store(max(most.Load(), s.table.open.Load()))
		accepted(s)
		return s.Accept()
	}
	p = newPair(t, here, there, HostConfig{}, PluginConfig{Accept: Acceptors{Brokered: take}})
	p.host.KeepReading()
	for range maxOpenStreams {
		s, err := p.host.OpenStream(t.Context(), Brokered, nil)
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, s)
	}
	return p, crowd, most
}

// openMore opens n streams as fast as there is room for them, and checks that the plugin has
// refused none, nor counted more than the host.
func openMore(t *testing.T, p *pair, n int, most *atomic.Int64) {
	t.Helper()
	var opened []*Stream
	for len(opened) < n {
		s, err := p.host.OpenStream(t.Context(), Brokered, nil)
		switch {
		case err == nil:
			opened = append(opened, s)
		case errors.Is(err, ErrTooManyStreams):
			runtime.Gosched()
		default:
			t.Fatal(err)
		}
	}
	for _, s := range opened {
		if err := s.AwaitAccept(t.Context()); err != nil {
			t.Errorf("stream %d: %v", s.id, err)
		}
	}
	if most.Load() > maxOpenStreams {
		t.Errorf("the plugin has counted %d streams", most.Load())
	}
}

// A stream takes the place of one that is reset at the same moment, whose write lets go of it
// only then.
func TestCrowdOfStreamsReset(t *testing.T) {
	p, crowd, most := newCrowd(t, func(*Stream) {})
	const n = 1000
	var writers wait.Group
	for _, s := range crowd[:n] {
		writers.Go(func() { _, _ = s.Write(make([]byte, streamWindow+1)) })
	}
	testkit.Eventually(t, "all writes wait for credit", func() bool {
		for _, s := range crowd[:n] {
			s.mu.Lock()
			waits := len(s.out.pending) > 0 && s.out.allowed == 0
			s.mu.Unlock()
			if !waits {
				return false
			}
		}
		return true
	})
	writers.Go(func() {
		for _, s := range crowd[:n] {
			_ = s.Reset("no more")
		}
	})
	openMore(t, p, n, most)
	writers.Wait()
}

// The same with streams that both sides end in order, the plugin last or first.
func TestCrowdOfStreamsEnded(t *testing.T) {
	const n = 1000
	var owners wait.Group
	p, crowd, most := newCrowd(t, func(s *Stream) {
		if s.id > 2*n {
			return
		}
		owners.Go(func() {
			if s.id%4 == 0 {
				_, _ = io.Copy(io.Discard, s)
			}
			_, _ = s.WriteLast([]byte("x"))
			_, _ = io.Copy(io.Discard, s)
		})
	})
	defer owners.Wait()
	owners.Go(func() {
		for _, s := range crowd[:n] {
			if s.id%4 != 0 {
				_, _ = io.Copy(io.Discard, s)
			}
			_ = s.CloseWrite()
		}
	})
	openMore(t, p, n, most)
}

// A stream that this side has given up keeps its place until the other side can know.
func TestStreamKeepsItsPlace(t *testing.T) {
	for name, end := range map[string]func(*Stream){
		"Reset":      func(s *Stream) { _ = s.Reset("no more") },
		"Close":      func(s *Stream) { _ = s.Close() },
		"CloseWrite": func(s *Stream) { _ = s.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			p, crowd, _ := newCrowd(t, func(s *Stream) { _ = s.CloseWrite() })
			s := crowd[0]
			_, _ = io.Copy(io.Discard, s)
			s.sending.Lock() // as somebody who writes
			var ends wait.Group
			ends.Go(func() { end(s) })
			<-s.Done()
			_, err := p.host.OpenStream(t.Context(), Brokered, nil)
			s.sending.Unlock()
			ends.Wait()
			if !errors.Is(err, ErrTooManyStreams) {
				t.Fatalf("before the other side can know: %v", err)
			}
			openMore(t, p, 1, new(atomic.Int64))
		})
	}
}

// A stream of the other side's is counted no more when that can know that it is over.
func TestStreamLeavesBeforeItsEnd(t *testing.T) {
	for name, end := range map[string]func(*Stream){
		"Reset":      func(s *Stream) { _ = s.Reset("no more") },
		"Close":      func(s *Stream) { _ = s.Close() },
		"CloseWrite": func(s *Stream) { _ = s.CloseWrite() },
		"WriteLast":  func(s *Stream) { _, _ = s.WriteLast([]byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			here, there := tcpPair(t)
			p := newStreamPair(t, here, there)
			one, other := p.open(true)
			_ = one.CloseWrite()
			_, _ = io.Copy(io.Discard, other)
			p.plugin.out.mu.Lock() // Nothing can be put.
			unlock := sync.OnceFunc(p.plugin.out.mu.Unlock)
			defer unlock()
			var ends wait.Group
			ends.Go(func() { end(other) })
			testkit.Eventually(t, "the stream is counted no more", func() bool { return p.plugin.streams.open.Load() == 0 })
			unlock()
			ends.Wait()
			<-one.Done()
		})
	}
}

// A side opens no stream whose header would be too much together with those of its others.
func TestHeadersOfOpenStreams(t *testing.T) {
	here, there := tcpPair(t)
	p := newStreamPair(t, here, there)
	header := make([]byte, maxStreamHeader)
	open := func() (*Stream, error) { return p.host.OpenStream(t.Context(), Brokered, header) }
	var last *Stream
	for range maxStreamHeaders / maxStreamHeader {
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		taken := <-p.ofPlugin
		_ = taken.Accept()
		last = s
	}
	if _, err := open(); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("one more is opened: %v", err)
	}
	p.open2(t, Brokered) // It has no header.
	_ = last.Close()
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	taken := <-p.ofPlugin
	for len(taken.Header()) == 0 {
		taken = <-p.ofPlugin
	}
	_ = taken.Accept()
	if err := s.AwaitAccept(t.Context()); err != nil {
		t.Error(err)
	}
}

// A unary call is no stream that waits to be accepted.
func TestUnaryCallBesideDials(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{
		Unary:  func(s *Stream) { _, _ = s.WriteLast([]byte("answer")) },
		Accept: Acceptors{Brokered: func(*Stream) error { return nil }, UnaryCall: func(*Stream) error { return nil }},
	})
	p.host.KeepReading()
	for id := range maxWaitingStreams {
		if _, err := p.host.OpenStream(t.Context(), Brokered, binary.AppendUvarint(nil, uint64(id))); err != nil {
			t.Fatal(err)
		}
	}
	s, err := p.host.OpenCall(t.Context(), UnaryCall, nil, []byte("request"), true)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(s); err != nil || string(answer) != "answer" {
		t.Errorf("the answer is %q, %v", answer, err)
	}
	_ = s.Close()
	if s, err = p.host.OpenStream(t.Context(), Brokered, nil); err != nil {
		t.Fatal(err)
	}
	var refused *ResetError
	if err := s.AwaitAccept(t.Context()); !errors.As(err, &refused) {
		t.Errorf("one dial more: %v", err)
	}
}
