// SPDX-License-Identifier: MPL-2.0

package mux

// queue is what waits to be written, in buffers of about a batch each: one that had to grow
// with all that comes would be copied again and again.
type queue struct {
	first, last *buffer
	size        int // bytes in all of them
}

// add puts the frames in b behind all others.
func (q *queue) add(b *buffer) {
	q.size += len(b.data)
	switch last := q.last; {
	case last == nil:
		q.first, q.last = b, b
		return
	case len(last.data)+len(b.data) > max(batchRoom, cap(last.data)):
		last.next, q.last = b, b
		return
	case len(last.data)+len(b.data) > cap(last.data):
		last.grow()
	}
	q.last.data = append(q.last.data, b.data...)
	b.recycle()
}

// grow gives b room for a batch.
func (b *buffer) grow() {
	if cap(b.data) >= batchRoom {
		return
	}
	other := fromPool(&batches)
	b.data, other.data = append(other.data, b.data...), b.data
	other.recycle()
}
