// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package netrpc

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// endlessStreams is a session whose other side opens streams without end, each of which
// says what the next call of says gives.
type endlessStreams struct {
	yamuxSession
	says func(n uint32) []byte
	n    atomic.Uint32
	done <-chan struct{}
}

func (s *endlessStreams) Accept() (net.Conn, error) {
	select {
	case <-s.done:
		return nil, net.ErrClosed
	default:
	}
	here, there := net.Pipe()
	said := s.says(s.n.Add(1))
	go func() {
		_, _ = there.Write(said)
		_, _ = io.Copy(io.Discard, there) // until here is closed
		_ = there.Close()
	}()
	return here, nil
}

func (s *endlessStreams) CloseChan() <-chan struct{} { return s.done }

// Streams that nobody accepts wait, and no more are taken until some have been given up.
func TestBrokerTakesInSoManyStreams(t *testing.T) {
	id := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	for name, says := range map[string]func(uint32) []byte{
		"each id once":    id,
		"one id":          func(uint32) []byte { return id(7) },
		"no id":           func(uint32) []byte { return nil },
		"a part of an id": func(uint32) []byte { return []byte{1} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				done := make(chan struct{})
				s := &endlessStreams{says: says, done: done}
				b := NewBroker(newYamuxStreams(s), NewArrivals(), rendezvous.Wait, Serving{})
				ended := make(chan struct{})
				go func() { b.Run(); close(ended) }()
				for round := range uint32(3) {
					synctest.Wait()
					if got, want := s.n.Load(), (round+1)*maxArrivals; got != want {
						t.Errorf("after %d times the broker's wait %d streams were taken in, want %d", round, got, want)
					}
					time.Sleep(rendezvous.Wait)
				}
				close(done)
				<-ended
				time.Sleep(rendezvous.Wait) // The last of them end.
			})
		})
	}
}

// A stream that was accepted makes room for another at once.
func TestBrokerAcceptMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		s := &endlessStreams{says: func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }, done: done}
		b := NewBroker(newYamuxStreams(s), NewArrivals(), rendezvous.Wait, Serving{})
		go b.Run()
		synctest.Wait()
		for id := range uint32(10) {
			stream, err := b.Accept(id + 1)
			if err != nil {
				t.Fatal(err)
			}
			_ = stream.Close()
		}
		synctest.Wait()
		if got := s.n.Load(); got != maxArrivals+10 {
			t.Errorf("%d streams were taken in, want %d", got, maxArrivals+10)
		}
		close(done)
		time.Sleep(2 * rendezvous.Wait)
	})
}

// silentStream is a dialled stream whose other end may have gone.
type silentStream struct {
	net.Conn
	gone   bool
	closed bool
}

func (s *silentStream) accept() (net.Conn, error) {
	if s.gone {
		return nil, net.ErrClosed
	}
	return s, nil
}

func (s *silentStream) drop() { s.closed = true }

func TestAccept(t *testing.T) {
	const wait = time.Minute
	cases := map[string]struct {
		reason string
		play   func(*Arrivals, *silentStream, context.CancelFunc)
		want   string // in the error; empty: the stream
		took   time.Duration
	}{
		"late": {
			reason: "a call may have to wait for an instance, so its callback is waited for",
			play: func(a *Arrivals, s *silentStream, _ context.CancelFunc) {
				time.AfterFunc(wait-time.Second, func() { a.byID.Put(1, s) })
			},
			took: wait - time.Second,
		},
		"never": {
			reason: "but not for ever",
			play:   func(*Arrivals, *silentStream, context.CancelFunc) {},
			want:   "nobody dialled brokered stream 1 within 1m0s",
			took:   wait,
		},
		"second instance": {
			reason: "an instance that dialled and died makes way for the one that the call was sent to next",
			play: func(a *Arrivals, s *silentStream, _ context.CancelFunc) {
				a.byID.Put(1, &silentStream{gone: true})
				time.AfterFunc(time.Second, func() { a.byID.Put(1, s) })
			},
			took: time.Second,
		},
		"closed": {
			reason: "a shared broker that is closed ends the wait",
			play:   func(_ *Arrivals, _ *silentStream, end context.CancelFunc) { time.AfterFunc(time.Second, end) },
			want:   peererr.ErrConnectionLost.Error(),
			took:   time.Second,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared, dialled := NewArrivals(), &silentStream{}
				ctx, end := context.WithCancel(t.Context())
				defer end()
				broker := NewBroker(newYamuxStreams(&endlessStreams{done: ctx.Done()}), shared, wait, Serving{})
				tc.play(shared, dialled, end)
				began := time.Now()
				got, err := broker.Accept(1)
				switch {
				case tc.want == "" && (err != nil || got != net.Conn(dialled)):
					t.Errorf("%s: got %v, %v", tc.reason, got, err)
				case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
					t.Errorf("%s: got %v, want an error with %q", tc.reason, err, tc.want)
				}
				if took := time.Since(began); took != tc.took {
					t.Errorf("%s: took %v, want %v", tc.reason, took, tc.took)
				}
			})
		})
	}
}
