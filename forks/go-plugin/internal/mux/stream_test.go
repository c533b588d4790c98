// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// streamPair is a session whose two sides take streams.
type streamPair struct {
	*pair
	ofHost, ofPlugin chan *Stream // what the other side has opened
}

// newStreamPair starts a session on a connection.
func newStreamPair(t testing.TB, here, there net.Conn) *streamPair {
	t.Helper()
	s := &streamPair{ofHost: make(chan *Stream, 2*maxOpenStreams), ofPlugin: make(chan *Stream, 2*maxOpenStreams)}
	to := func(c chan *Stream) Acceptors {
		return Acceptors{Brokered: func(s *Stream) error {
			if string(s.Header()) == "refuse" {
				return errors.New("by its owner")
			}
			c <- s
			return nil
		}}
	}
	s.pair = newPair(t, here, there, HostConfig{Accept: to(s.ofHost)}, PluginConfig{Accept: to(s.ofPlugin)})
	// It reads as long as the session lasts.
	client := rpc.NewClientWithCodec(clientCodec{s.host.Channel(0)})
	t.Cleanup(func() { _ = client.Close() })
	return s
}

// open opens a stream from either side, and returns both ends of it.
func (s *streamPair) open(fromHost bool) (opened, taken *Stream) {
	s.t.Helper()
	from, to := s.host.OpenStream, s.ofPlugin
	if !fromHost {
		from, to = s.plugin.OpenStream, s.ofHost
	}
	opened, err := from(s.t.Context(), Brokered, []byte("header"))
	if err != nil {
		s.t.Fatal(err)
	}
	taken = <-to
	if string(taken.Header()) != "header" {
		s.t.Errorf("the header is %q", taken.Header())
	}
	if err := taken.Accept(); err != nil {
		s.t.Fatal(err)
	}
	if err := opened.AwaitAccept(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _, _ = opened.Close(), taken.Close() })
	return opened, taken
}

// onEachStream runs a test on each kind of connection, with a stream that either side
// has opened.
func onEachStream(t *testing.T, test func(t *testing.T, s *streamPair, one, other *Stream)) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		for _, fromHost := range []bool{true, false} {
			t.Run(fmt.Sprintf("from host %v", fromHost), func(t *testing.T) {
				here, there := here, there
				if !fromHost {
					here, there = tcpPair(t)
				}
				s := newStreamPair(t, here, there)
				one, other := s.open(fromHost)
				test(t, s, one, other)
			})
		}
	})
}

// A stream is a connection like any other.
func TestStreamIsConn(t *testing.T) {
	for _, fromHost := range []bool{true, false} {
		t.Run(fmt.Sprintf("from host %v", fromHost), func(t *testing.T) {
			nettest.TestConn(t, func() (one, other net.Conn, stop func(), err error) {
				here, there := tcpPair(t)
				s := newStreamPair(t, here, there)
				one, other = s.open(fromHost)
				return one, other, s.end, nil
			})
		})
	}
}

// What is written arrives, in both directions at once and beside calls, and so does the
// end of each half.
func TestStreamCarries(t *testing.T) {
	onEachStream(t, func(t *testing.T, s *streamPair, one, other *Stream) {
		client := s.client(newThing())
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		var copies wait.Group
		for i, from := range []*Stream{one, other} {
			to := []*Stream{other, one}[i]
			copies.Go(func() {
				for data, n := sent, 1; len(data) > 0; n = min(n*3, len(data)) {
					if k, err := from.Write(data[:n]); k != n || err != nil {
						t.Errorf("wrote %d of %d, %v", k, n, err)
						return
					}
					data = data[n:]
					n = min(n, len(data))
				}
				if err := from.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			copies.Go(func() {
				if got, err := io.ReadAll(to); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("other bytes came: %d, %v", len(got), err)
				}
			})
		}
		for range 50 {
			mustUpper(t, client)
		}
		copies.Wait()
		<-one.Done()
		<-other.Done()
	})
}

// Each way to end a stream is told to the other side, after what was written before.
func TestStreamEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end         func(*streamPair, *Stream) error
		read, write string // what the other end gets; empty: none
		lost        bool
	}{
		"half closed": {end: func(_ *streamPair, s *Stream) error { return s.CloseWrite() }, read: "EOF"},
		"closed":      {end: func(_ *streamPair, s *Stream) error { return s.Close() }, read: "EOF", write: "the other side has closed the stream"},
		"last write": {end: func(_ *streamPair, s *Stream) error {
			_, err := s.WriteLast(nil)
			return err
		}, read: "EOF"},
		"reset": {end: func(_ *streamPair, s *Stream) error { return s.Reset("because\x1b") }, read: `because`, write: `because`},
		"session lost": {end: func(p *streamPair, _ *Stream) error { p.end(); return nil },
			read: "connection to plugin lost", write: "connection to plugin lost", lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			onEachStream(t, func(t *testing.T, p *streamPair, one, other *Stream) {
				if _, err := one.Write([]byte("before")); err != nil {
					t.Fatal(err)
				}
				before := make([]byte, 6)
				if _, err := io.ReadFull(other, before[:1]); err != nil { // All has come.
					t.Fatal(err)
				}
				if err := test.end(p, one); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(other, before[1:]); err != nil || string(before) != "before" {
					t.Errorf("read %q, %v", before, err)
				}
				_, err := other.Read(before)
				if err == nil || !strings.Contains(err.Error(), test.read) || strings.Contains(err.Error(), "\x1b") {
					t.Errorf("read: %v", err)
				}
				if test.write == "" {
					_, err = other.Write([]byte("x"))
					if err != nil {
						t.Errorf("write: %v", err)
					}
					return
				}
				<-other.Done()
				if _, err = other.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), test.write) {
					t.Errorf("write: %v", err)
				}
				if errors.Is(err, peererr.ErrConnectionLost) != test.lost {
					t.Errorf("lost: %v", err)
				}
			})
		})
	}
}

// A writer that waits for credit is let go by whatever ends the stream.
func TestStreamWriterWaits(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(p *streamPair, one, other *Stream)
		want error
	}{
		"deadline":     {func(_ *streamPair, one, _ *Stream) { _ = one.SetWriteDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"close":        {func(_ *streamPair, one, _ *Stream) { _ = one.Close() }, net.ErrClosed},
		"half close":   {func(_ *streamPair, one, _ *Stream) { _ = one.CloseWrite() }, io.ErrClosedPipe},
		"other closes": {func(_ *streamPair, _, other *Stream) { _ = other.Close() }, nil},
		"lost":         {func(p *streamPair, _, _ *Stream) { p.end() }, peererr.ErrConnectionLost},
	} {
		t.Run(name, func(t *testing.T) {
			onEachStream(t, func(t *testing.T, p *streamPair, one, other *Stream) {
				wrote := make(chan error, 1)
				var n int
				go func() {
					var err error
					n, err = one.Write(make([]byte, 2*maxStreamWindow))
					wrote <- err
				}()
				// All that is allowed has come.
				for {
					other.mu.Lock()
					full := other.in.unread == streamWindow
					if !full {
						other.readable.Wait()
					}
					other.mu.Unlock()
					if full {
						break
					}
				}
				test.end(p, one, other)
				err := <-wrote
				if err == nil || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("err = %v, want %v", err, test.want)
				}
				if n != streamWindow {
					t.Errorf("wrote %d", n)
				}
			})
		})
	}
}

// A stream that nobody reads holds up no other, and no call.
func TestStreamsAreIndependent(t *testing.T) {
	onEachStream(t, func(t *testing.T, p *streamPair, stuck, _ *Stream) {
		var writes wait.Group
		writes.Go(func() { _, _ = stuck.Write(make([]byte, 1<<20)) })
		client := p.client(newThing())
		for range 20 {
			one, other := p.open(true)
			writes.Go(func() { _, _ = one.WriteLast(make([]byte, 1<<16)) })
			if n, err := io.Copy(io.Discard, other); n != 1<<16 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			mustUpper(t, client)
		}
		_ = stuck.Close()
		writes.Wait()
	})
}

// Windows grow while they are read from, out of a budget that all of it returns to.
func TestStreamWindows(t *testing.T) {
	here, there := tcpPair(t)
	p := newStreamPair(t, here, there)
	var ends [2][]*Stream
	for range 40 {
		one, other := p.open(true)
		ends[0], ends[1] = append(ends[0], one), append(ends[1], other)
		var write wait.Group
		write.Go(func() { _, _ = one.Write(make([]byte, 4<<20)) })
		if _, err := io.CopyN(io.Discard, other, 4<<20); err != nil {
			t.Fatal(err)
		}
		write.Wait()
		if left := p.plugin.streams.budget.Load(); left < 0 {
			t.Fatalf("%d bytes of the budget are left", left)
		}
	}
	if left := p.plugin.streams.budget.Load(); left == streamBudget {
		t.Error("no window has grown")
	}
	for i := range ends[0] {
		_ = ends[0][i].CloseWrite()
		_ = ends[1][i].CloseWrite()
	}
	for i := range ends[1] {
		<-ends[1][i].Done()
	}
	if left := p.plugin.streams.budget.Load(); left != streamBudget {
		t.Errorf("%d bytes of the budget are left of %d", left, streamBudget)
	}
}

// A stream that is not taken in says why.
func TestStreamRefused(t *testing.T) {
	here, there := tcpPair(t)
	p := newStreamPair(t, here, there)
	refusal := func(purpose Purpose, header string) string {
		s, err := p.host.OpenStream(t.Context(), purpose, []byte(header))
		if err != nil {
			t.Fatal(err)
		}
		var refused *ResetError
		if err := s.AwaitAccept(t.Context()); !errors.As(err, &refused) {
			t.Fatalf("err = %v", err)
		}
		return refused.Reason
	}
	if got, want := refusal(77, ""), "unknown purpose 77"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := refusal(Brokered, "refuse"), "by its owner"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var waiting []*Stream
	for range maxWaitingStreams {
		s, err := p.host.OpenStream(t.Context(), Brokered, nil)
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, s)
	}
	if got, want := refusal(Brokered, ""), "256 streams wait to be accepted, which is the most"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// One that the other side has given up waits until its owner lets go of it.
	_ = waiting[0].Close()
	first := <-p.ofPlugin
	<-first.Done()
	refusal(Brokered, "")
	_ = first.Close()
	p.open2(t, Brokered)
	for len(p.ofPlugin) > 0 {
		(<-p.ofPlugin).Take()
	}
	for p.plugin.streams.open.Load() < maxOpenStreams {
		p.open2(t, Brokered)
		(<-p.ofPlugin).Take()
	}
	if _, err := p.host.OpenStream(t.Context(), Brokered, nil); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("one more is opened: %v", err)
	}
	p.host.streams.ours.streams -= moreStreams + 1 // as if this side did not count as it should
	for range moreStreams {
		p.open2(t, Brokered)
		(<-p.ofPlugin).Take()
	}
	if got, want := refusal(Brokered, ""), "4352 streams are open, which is the most"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := p.host.OpenStream(t.Context(), Brokered, make([]byte, maxStreamHeader+1)); err == nil {
		t.Error("a header of any size can be sent")
	}
}

// open2 opens a stream that must be taken in.
func (s *streamPair) open2(t *testing.T, purpose Purpose) {
	t.Helper()
	before := s.plugin.streams.open.Load()
	if _, err := s.host.OpenStream(t.Context(), purpose, nil); err != nil {
		t.Fatal(err)
	}
	for s.plugin.streams.open.Load() == before {
		runtime.Gosched()
	}
}

// A dial that nobody accepts ends with its context.
func TestStreamAwaitAccept(t *testing.T) {
	here, there := tcpPair(t)
	p := newStreamPair(t, here, there)
	s, err := p.host.OpenStream(t.Context(), Brokered, nil)
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := s.AwaitAccept(ctx); !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
	_ = s.Close()
	late := <-p.ofPlugin
	<-late.Done()
	if err := late.Accept(); err == nil {
		t.Error("a stream that is over can be accepted")
	}
	if err := s.AwaitAccept(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("err = %v", err)
	}
	p.end()
	if _, err := p.host.OpenStream(t.Context(), Brokered, nil); !errors.Is(err, peererr.ErrConnectionLost) {
		t.Errorf("err = %v", err)
	}
}

// A plugin that opens streams without end, and does not read why they are refused, ends
// its session. The host does not keep the refusals.
func TestStreamRefusalsAreBounded(t *testing.T) {
	here, there := net.Pipe()
	h := NewHost(here, HostConfig{})
	ended := readOn(h.Channel(0))
	plugin := newRawPeer(t, there)
	var most int
	for id := uint64(1); h.Err() == nil; id += 2 {
		if _, err := plugin.conn.Write(rawMessage(kindStream, "\x01x", id)); err != nil {
			break
		}
		h.out.mu.Lock()
		most = max(most, h.out.waiting.size)
		h.out.mu.Unlock()
	}
	<-ended
	if err := h.Err(); err == nil || !strings.Contains(err.Error(), "does not read why they are refused") {
		t.Errorf("the session ended with %v", err)
	}
	if most > maxUnwritten+maxReason+64 {
		t.Errorf("%d bytes waited to be written", most)
	}
	_ = there.Close()
}
