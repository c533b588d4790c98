// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"runtime"
	"time"
)

// maxGathered is how many pieces of memory are written at once.
const maxGathered = 16

// gathers reports whether what waits and a part of a bulk leave in one write without a copy.
func (o *outbox) gathers(b bulk) bool {
	_, long := b.(*sending)
	return long && o.gather != nil
}

// writeSome writes what the connection takes of a batch without waiting. It returns what is
// left, and how many bytes of that were written; nil if all has left.
func (o *outbox) writeSome(batch *buffer) (rest *buffer, n int, err error) {
	if o.gather != nil && (batch.next != nil || batch.tail != nil) {
		return o.gatherSome(batch)
	}
	if len(batch.data) > 0 {
		n, err = o.socket.writeSome(batch.data)
	}
	if err != nil || n < len(batch.data) || batch.next != nil || !o.socket.flushed() {
		return batch, n, err
	}
	batch.recycle()
	return nil, 0, nil
}

// gatherSome is writeSome of several pieces of memory at once.
func (o *outbox) gatherSome(batch *buffer) (rest *buffer, n int, err error) {
	var room [maxGathered][]byte
	list := room[:0]
	for b := batch; b != nil && len(list) < maxGathered-1; b = b.next {
		list = append(list, b.data)
		if b.tail != nil {
			list = append(list, b.tail)
		}
	}
	n, err = o.gather.writeSomeOf(list)
	for batch != nil && n >= len(batch.data)+len(batch.tail) && err == nil {
		n -= len(batch.data) + len(batch.tail)
		next := batch.next
		batch.recycle()
		batch = next
	}
	return batch, n, err
}

// drain writes batch from n on, and then what waits, until nothing does.
func (o *outbox) drain(batch *buffer, n int) {
	if batch == nil {
		// Others that are about to put something may still do so.
		runtime.Gosched()
	}
	for {
		if err := o.writeAll(batch, n); err != nil {
			o.broken(err)
			return
		}
		o.mu.Lock()
		if !o.proceedLocked() {
			o.mu.Unlock()
			return
		}
		batch, n = o.take(), 0
	}
}

// writeAll writes a batch from n on. A part in it counts once for the pace, however many writes
// that takes.
func (o *outbox) writeAll(batch *buffer, n int) (err error) {
	if batch.hasPart(n) {
		defer o.pace.took(time.Now())
	}
	if n == 0 && o.gather != nil && batch != nil && (batch.next != nil || batch.tail != nil) {
		if batch, n, err = o.gatherSome(batch); err != nil {
			return err
		}
	}
	for batch != nil {
		if err := o.write(batch.data[min(n, len(batch.data)):]); err != nil {
			return err
		}
		if len(batch.tail) > 0 {
			if err := o.write(batch.tail[max(n-len(batch.data), 0):]); err != nil {
				return err
			}
		}
		next := batch.next
		batch.recycle()
		batch, n = next, 0
	}
	return nil
}

// hasPart reports whether there is as much of a part of a long message among the buffers as says
// how fast the connection takes them. The first n bytes have left.
func (b *buffer) hasPart(n int) bool {
	for ; b != nil; b, n = b.next, 0 {
		if len(b.data)+len(b.tail)-n >= partSize {
			return true
		}
	}
	return false
}

func (o *outbox) write(data []byte) error {
	if o.socket != nil {
		if err := o.socket.flush(); err != nil {
			return err
		}
	}
	if len(data) == 0 {
		return nil
	}
	if len(data) > 2*writeSize && o.socket != nil {
		n, err := o.socket.writeSome(data)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	for len(data) > writeSize+partHead {
		if _, err := o.conn.Write(data[:writeSize]); err != nil {
			return err
		}
		o.advanced.Add(1)
		data = data[writeSize:]
	}
	if len(data) == 0 {
		return nil
	}
	_, err := o.conn.Write(data)
	return err
}
