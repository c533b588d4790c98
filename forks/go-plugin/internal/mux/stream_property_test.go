// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// cutConn is a connection whose writes arrive in pieces, and which ends after so many
// bytes.
type cutConn struct {
	net.Conn
	rand *rand.Rand // the writer's
	left int
}

func (c *cutConn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		if c.left <= 0 {
			_ = c.Close()
			return n, net.ErrClosed
		}
		k := min(len(p)-n, 1+c.rand.IntN(len(p)-n), c.left)
		k, err = c.Conn.Write(p[n : n+k])
		n, c.left = n+k, c.left-k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// octet is what a stream carries at a place, in either direction.
func octet(id uint64, place int) byte { return byte(id*31 + uint64(place) + uint64(place)>>8) }

// wrote is how far the writer of one end of a stream got, and how that ended.
type wrote struct {
	n     int
	whole bool // it has ended in order
}

// exchange uses one end of a stream at random: it writes and reads, and ends in one of
// the ways there are. It checks each byte that comes, and why none does.
func exchange(t *testing.T, s *Stream, seed uint64) wrote {
	r := rand.New(rand.NewPCG(seed, s.id))
	size, how := r.IntN(100<<10), r.IntN(6)
	result := make(chan wrote, 1)
	go func() {
		w := rand.New(rand.NewPCG(seed, ^s.id))
		p := make([]byte, size)
		for i := range p {
			p[i] = octet(s.id, i)
		}
		n := 0
		for n < size {
			k, err := s.Write(p[n : n+1+w.IntN(min(size-n, 40<<10))])
			n += k
			if errors.Is(err, os.ErrDeadlineExceeded) {
				_ = s.SetWriteDeadline(time.Time{})
				continue
			}
			if err != nil {
				result <- wrote{n, false}
				return
			}
			if how == 4 && w.IntN(8) == 0 {
				_ = s.SetWriteDeadline(time.Now())
			}
		}
		result <- wrote{n, s.CloseWrite() == nil}
	}()
	stop := r.IntN(size + 1) // after how many bytes a reader gives up, if it does
	buf := make([]byte, 1+r.IntN(40<<10))
	for n := 0; ; {
		k, err := s.Read(buf[:1+r.IntN(len(buf))])
		for _, b := range buf[:k] {
			if b != octet(s.id, n) {
				t.Errorf("stream %d: %d at %d, want %d", s.id, b, n, octet(s.id, n))
				break
			}
			n++
		}
		var reset *ResetError
		switch {
		case err == nil && n > stop && how == 0:
			_ = s.Close()
		case err == nil && n > stop && how == 1:
			_ = s.Reset("enough")
		case err == nil && how == 5 && r.IntN(8) == 0:
			_ = s.SetReadDeadline(time.Now())
		case errors.Is(err, os.ErrDeadlineExceeded):
			_ = s.SetReadDeadline(time.Time{})
		case err == nil:
		case err == io.EOF, errors.As(err, &reset), errors.Is(err, net.ErrClosed), errors.Is(err, peererr.ErrConnectionLost):
			result := <-result
			_ = s.Close()
			if err == io.EOF {
				result.n |= n << 32 // what came of the other end, all of it
			}
			return result
		default:
			t.Errorf("stream %d: %v", s.id, err)
			return wrote{}
		}
	}
}

// TestStreamsAtRandom has many streams at once, from both sides, that write, read and end
// at random, on a connection that cuts what is written at random, and ends at random or not
// at all. No byte is lost, doubled or another's, no end is taken for another, nobody waits
// for ever, and the session remembers nothing of them.
func TestStreamsAtRandom(t *testing.T) {
	rounds := uint64(30)
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			here, there := tcpPair(t)
			left := 1 << 40
			if seed%2 == 1 {
				left = r.IntN(1 << 20)
			}
			p := newStreamPair(t, &cutConn{here, rand.New(rand.NewPCG(seed, 2)), left}, &cutConn{there, rand.New(rand.NewPCG(seed, 3)), 1 << 40})
			type outcome struct{ opened, taken wrote }
			outcomes := make([]outcome, 24)
			var opening, taking, uses wait.Group
			stop := make(chan struct{})
			take := func(c chan *Stream) {
				for {
					select {
					case <-stop:
						return
					case s := <-c:
						uses.Go(func() {
							if s.Accept() != nil {
								_ = s.Close()
								return
							}
							outcomes[s.id%24].taken = exchange(t, s, seed)
						})
					case <-p.host.Done():
						return
					case <-p.plugin.Done():
						return
					case <-t.Context().Done():
						return
					}
				}
			}
			taking.Go(func() { take(p.ofHost) })
			taking.Go(func() { take(p.ofPlugin) })
			for i := range outcomes {
				open := p.host.OpenStream
				if i%2 == 1 {
					open = p.plugin.OpenStream
				}
				opening.Go(func() {
					s, err := open(t.Context(), Brokered, nil)
					if err != nil {
						if !errors.Is(err, peererr.ErrConnectionLost) {
							t.Error(err)
						}
						return
					}
					outcomes[s.id%24].opened = exchange(t, s, seed+1000)
				})
			}
			opening.Wait()
			whole := left == 1<<40
			if whole {
				awaitNoStreams(t, &p.host.streams)
				awaitNoStreams(t, &p.plugin.streams)
			}
			close(stop)
			taking.Wait() // No use begins any more.
			uses.Wait()
			for id, o := range outcomes {
				for _, ends := range [][2]wrote{{o.opened, o.taken}, {o.taken, o.opened}} {
					if got := ends[1].n >> 32; got > 0 && got != ends[0].n&(1<<32-1) {
						t.Errorf("stream %d: the end came after %d bytes of %d", id, got, ends[0].n&(1<<32-1))
					}
				}
			}
			if err := errors.Join(p.host.Err(), p.plugin.Err()); whole && err != nil {
				t.Error(err)
			}
		})
	}
}

// awaitNoStreams waits until a session has no streams, and remembers nothing of them.
func awaitNoStreams(t *testing.T, table *streamTable) {
	t.Helper()
	testkit.Eventually(t, "the session has no streams, and its budget is whole", func() bool {
		table.mu.Lock()
		defer table.mu.Unlock()
		return len(table.byID) == 0 && table.ours == crowd{} && table.theirs == crowd{} && table.waiting == 0 && table.open.Load() == 0 && table.budget.Load() == streamBudget
	})
}

// TestStreamFrames holds the bytes of each frame of a stream. PROTOCOL.md, section 8.
func TestStreamFrames(t *testing.T) {
	here, there := net.Pipe()
	h := NewHost(here, HostConfig{})
	ended := readOn(h.Channel(0))
	var got strings.Builder
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&got, there)
	}()
	s, err := h.OpenStream(t.Context(), Brokered, []byte{0x87, 0x01})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Write([]byte("data"))
	last, errOpen := h.OpenStream(t.Context(), Brokered, []byte{0x05})
	_, errLast := last.WriteLast([]byte("x"))
	if err := errors.Join(err, errOpen, errLast, s.CloseWrite(), last.Reset("why"), h.out.awaitSent(t.Context(), true)); err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	<-ended
	<-read
	want := []string{
		"\x00\x00\x00\x05\x0a\x02\x01\x87\x01", // stream 2, purpose 1, id 135
		"\x00\x00\x00\x06\x0b\x02data",
		"\x00\x00\x00\x04\x0a\x04\x01\x05",
		"\x00\x00\x00\x03\x0b\x04x", "\x00\x00\x00\x02\x0d\x04",
		"\x00\x00\x00\x02\x0d\x02",
		"\x00\x00\x00\x05\x0e\x04why",
	}
	if got.String() != strings.Join(want, "") {
		t.Errorf("got %q\nwant %q", got.String(), want)
	}
}

// FuzzStream plays with one stream of a session whose other side sends what the fuzzer
// says: a model beside it says what may be read, and when the session has to end.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 10, 3, 5, 1, 100, 2, 0})
	f.Add([]byte{0, 255, 0, 255, 3, 255, 5, 0, 4, 0})
	f.Add([]byte{5, 0, 5, 0, 2, 0, 0, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		table := &streamTable{}
		conn := &fixedConn{}
		out := &outbox{conn: conn, broken: func(error) {}}
		var taken *Stream
		table.init(out, conn, true, Acceptors{Brokered: func(s *Stream) error { taken = s; return nil }})
		give := func(k kind, rest string, numbers ...uint64) error {
			in := newInbox(strings.NewReader(string(rawMessage(k, rest, numbers...))), nil)
			var m message
			if err := in.next(&m); err != nil {
				return err
			}
			return table.deliver(m.kind, &in)
		}
		if err := give(kindStream, "\x01", 1); err != nil {
			t.Fatal(err)
		}
		s := taken
		granted, unread, ended, over, closed := streamWindow, 0, false, false, false
		for _, op := range slices.Collect(slices.Chunk(script, 2)) {
			if len(op) < 2 {
				break
			}
			n := 64 * int(op[1])
			var err error
			malformed := false
			switch op[0] % 7 {
			case 0:
				malformed = !over && !closed && n > 0 && (ended || n > granted)
				if err = give(kindData, strings.Repeat("x", n), 1); err == nil && !over && !closed {
					granted, unread = granted-n, unread+n
				}
			case 1:
				err = give(kindCredit, "", 1, uint64(n))
			case 2:
				malformed = !over && !closed && ended
				if err = give(kindEnd, "", 1); err == nil && !over && !closed {
					ended = true
				}
			case 3:
				if closed || unread == 0 || n == 0 {
					continue // it would wait, or say why it does not
				}
				window, owed := s.in.window, s.in.owed
				k, err := s.Read(make([]byte, n))
				if err != nil || k != min(n, unread) {
					t.Fatalf("read %d of %d, %v", k, unread, err)
				}
				unread -= k
				granted += s.in.window - window + owed + k - s.in.owed
			case 4:
				_ = s.Close()
				closed = true
			case 5:
				if n < 64*128 {
					continue
				}
				err = give(kindReset, "why", 1)
				over = true
			case 6:
				_ = s.CloseWrite()
				over = over || ended
			}
			over = over || ended && s.out.ended
			if malformed != errors.Is(err, errMalformed) {
				t.Fatalf("%v: %v, malformed %v", op, err, malformed)
			}
			if malformed {
				return
			}
			if !over && !closed && granted != s.in.window-s.in.unread-s.in.owed {
				t.Fatalf("%d may come, want %d", s.in.window-s.in.unread-s.in.owed, granted)
			}
		}
		table.end(net.ErrClosed)
		if table.open.Load() != 0 || table.byID[1] != nil {
			t.Fatal("the stream outlives its session")
		}
	})
}
