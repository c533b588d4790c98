// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// What waits comes out as it was put in, in buffers that are copied at most once.
func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var q queue
		var want []byte
		for range random.IntN(100) {
			b := newBuffer()
			b.data = append(b.data, bytes.Repeat([]byte{byte(random.Uint32())}, random.IntN(20)*random.IntN(1000)+1)...)
			want = append(want, b.data...)
			q.add(b)
		}
		if q.size != len(want) {
			t.Fatalf("%d bytes wait of %d", q.size, len(want))
		}
		var got []byte
		for b := q.first; b != nil; b = b.next {
			if got = append(got, b.data...); b.next == nil && b != q.last {
				t.Fatal("the last buffer is another one")
			}
			if b.next != nil && len(b.data)+len(b.next.data) <= batchRoom {
				t.Errorf("%d and %d bytes are in buffers of their own", len(b.data), len(b.next.data))
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatal("other bytes come out")
		}
	}
}
