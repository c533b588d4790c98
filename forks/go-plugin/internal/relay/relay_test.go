// SPDX-License-Identifier: MPL-2.0

package relay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"io"
	"net/rpc"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/calls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frame is one of yamux.
func frame(kind byte, flags uint16, stream uint32, data string) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// conversation is what one side of net/rpc writes on a stream: its id, and pairs.
func conversation(t testing.TB, bodies ...any) []byte {
	var b bytes.Buffer
	b.Write(make([]byte, streamID))
	enc := gob.NewEncoder(&b)
	for i, body := range bodies {
		if err := enc.Encode(rpc.Request{ServiceMethod: "Plugin.Do", Seq: uint64(i)}); err != nil {
			t.Fatal(err)
		}
		if err := enc.Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

type argument struct {
	Text   string
	Nested map[string]any
}

func bodies() []any {
	gob.Register(argument{})
	return []any{
		"text", 7, argument{Text: "x"}, argument{Nested: map[string]any{"deep": argument{Nested: map[string]any{"deeper": 1.5}}}},
		bytes.Repeat([]byte{1}, 70_000), []argument{{}, {Text: "y"}}, struct{}{}, map[int]bool{1: true},
	}
}

// TestPairs counts what encoding/gob has written, however it is cut into frames.
func TestPairs(t *testing.T) {
	all := conversation(t, bodies()...)
	for _, size := range []int{1, 2, 3, 7, 64, 4096, len(all)} {
		g, n := newGobCounter(), 0
		for part := range slices.Chunk(all, size) {
			n += g.pairs(part)
		}
		if n != len(bodies()) || g.lost {
			t.Errorf("in pieces of %d bytes: %d pairs, lost %v, want %d", size, n, g.lost, len(bodies()))
		}
	}
	g := newGobCounter()
	if n := g.pairs(append(make([]byte, streamID), "this is no gob at all"...)); n != 0 && !g.lost {
		t.Errorf("%d pairs in a text", n)
	}
}

// TestTraffic follows calls from their request to the answer, or to the end of the stream.
func TestTraffic(t *testing.T) {
	asked, answered := conversation(t, "a", "b"), conversation(t, "a")
	var gauge calls.Gauge
	traffic := newTraffic(&gauge)
	see := func(flags uint16, stream uint32, data []byte, ofHost bool) {
		t.Helper()
		h := header{kind: typeData, flags: flags, stream: stream, length: uint32(len(data))}
		if err := traffic.see(h, data, ofHost); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want int) {
		t.Helper()
		if n := gauge.Count(); n != want {
			t.Errorf("%s: %d calls are in flight, want %d", what, n, want)
		}
	}
	last := len(asked) - len("\x04\x0c\x00\x01b")
	see(flagSYN, 7, asked[:last], true)
	expect("one request, and the header of another", 1)
	see(0, 7, asked[last:], true)
	expect("two requests", 2)
	see(0, 7, answered, false)
	expect("an answer", 1)
	see(flagRST, 7, nil, false)
	expect("the stream is reset", 0)
	see(flagSYN, 9, asked, true)
	see(0, 8, asked, true) // a callback's
	expect("another stream", 2)
	traffic.close()
	expect("the session has ended", 0)
	for id := uint32(11); id < 11+2*maxStreams; id += 2 {
		see(flagSYN, id, nil, true)
	}
	if err := traffic.see(header{kind: typeData, flags: flagSYN, stream: 1<<20 + 1}, nil, true); err == nil {
		t.Error("more streams than may be open are taken")
	}
}

// FuzzFrames reads what any peer could send as a relay does: nothing of it panics, what is
// read is passed on as it was, and a frame is either read as a whole or an error.
func FuzzFrames(f *testing.F) {
	asked := conversation(f, bodies()[:4]...)
	f.Add(frame(typeData, flagSYN, 7, string(asked)))
	f.Add(slices.Concat(frame(typeWindow, flagSYN, 7, ""), frame(typeData, 0, 7, string(asked[:9])), frame(typeData, flagFIN, 7, string(asked[9:]))))
	f.Add(slices.Concat(frame(typeData, 0, 1, "own"), frame(typePing, flagACK, 0, ""), frame(typeGoAway, 0, 0, "")))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), frameBuffer)
		var gauge calls.Gauge
		traffic := newTraffic(&gauge)
		defer func() {
			if traffic.close(); gauge.Count() != 0 {
				t.Errorf("%d calls are in flight after the end", gauge.Count())
			}
		}()
		var out []byte
		for {
			whole, start := isWhole(r), len(out)
			h, next, err := appendFrame(out, r)
			if err != nil {
				if len(next) != start || whole && (err == io.EOF || err == io.ErrUnexpectedEOF) {
					t.Fatalf("after %d bytes, with a whole frame there: %v, %v", len(next), whole, err)
				}
				return
			}
			if out = next; !bytes.HasPrefix(data, out) {
				t.Fatal("what is passed on is not what came")
			}
			if isOwn(h) {
				s := newSide(nil)
				if err := s.own.deliver(out[start:]); err == nil && len(s.own.unread) != h.size() {
					t.Fatalf("%d bytes were delivered of %d", len(s.own.unread), h.size())
				}
				continue
			}
			if traffic.see(h, out[start+headerSize:], start%2 == 0) != nil {
				return
			}
		}
	})
}
