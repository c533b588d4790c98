// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

// loans are pooled bytes of a call, parts of which are lent to a codec. That may keep them
// beyond the call, see encoding.CodecV2: they are recycled when nobody has any. The zero
// value has one reference, its owner's.
type loans struct {
	more  atomic.Int32 // references beside the owner's
	pool  *sync.Pool   // of bytes
	bytes []*[]byte
	array [1]*[]byte // of bytes, at first
}

// own adds bytes, all of the same pool.
func (l *loans) own(pool *sync.Pool, p *[]byte) {
	if l.bytes == nil {
		l.bytes = l.array[:0]
	}
	l.pool, l.bytes = pool, append(l.bytes, p)
}

// lend makes a buffer of some of them, with one reference.
func (l *loans) lend(p []byte) mem.Buffer {
	l.more.Add(1)
	return lent{p, l}
}

// free gives one reference up. The owner does so once, and uses the bytes no more.
func (l *loans) free() {
	if l.more.Add(-1) >= 0 {
		return
	}
	for _, p := range l.bytes {
		l.pool.Put(p)
	}
	l.bytes = nil
}

// lent is a mem.Buffer of bytes that are lent. If it is split, they are left to the garbage
// collector.
type lent struct {
	mem.SliceBuffer
	of *loans
}

// Ref implements mem.Buffer.
func (b lent) Ref() { b.of.more.Add(1) }

// Free implements mem.Buffer.
func (b lent) Free() { b.of.free() }
