// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

// bits gives what it has in pieces of any size.
type bits struct {
	data   []byte
	random *rand.Rand
}

func (b *bits) Read(p []byte) (int, error) {
	if len(b.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), b.random.IntN(9000))], b.data)
	b.data = b.data[n:]
	return n, nil
}

// However it is read, all comes once and in order.
func TestReadAhead(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	all := make([]byte, 300_000)
	for i := range all {
		all[i] = byte(random.Uint32())
	}
	for range 50 {
		r := newReadAhead(&bits{all, random}, nil)
		rest := all
		for len(rest) > 0 {
			var got []byte
			var err error
			n := min(1+random.IntN(40)*random.IntN(1000), len(rest))
			switch random.IntN(4) {
			case 0:
				n = min(n, shortRead)
				if got, err = r.Peek(n); err == nil {
					got = bytes.Clone(got)
					_, err = r.Discard(n)
				}
			case 1:
				got = rest[:n] // dropped
				_, err = r.Discard(n)
			case 2:
				got = make([]byte, n)
				_, err = io.ReadFull(r, got)
			case 3:
				n = 1
				var b byte
				b, err = r.ReadByte()
				got = []byte{b}
			}
			if err != nil || !bytes.Equal(got, rest[:n]) {
				t.Fatalf("%d bytes before the end: %v", len(rest), err)
			}
			rest = rest[n:]
		}
		if _, err := r.ReadByte(); err != io.EOF || r.err != io.EOF {
			t.Errorf("at the end: %v, %v", err, r.err)
		}
	}
}

// A connection that is read, and gives nothing, has no buffer.
func TestReadAheadHoldsNothing(t *testing.T) {
	here, there := tcpPair(t)
	r := newReadAhead(here, nil)
	for range 3 {
		if _, err := there.Write([]byte("four")); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Discard(4); err != nil {
			t.Fatal(err)
		}
	}
	_ = here.SetReadDeadline(past)
	if _, err := r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if r.buffer != nil {
		t.Error("a buffer is held while nothing comes")
	}
}
