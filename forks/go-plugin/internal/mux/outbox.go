// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/wait"
)

const (
	// maxUnwritten is how many bytes may wait that the connection has not taken.
	maxUnwritten = 256 << 10
	// maxUnread is how many bytes may wait beside those of what a host says and cannot wait
	// with: grants, credits, and calls and streams that it gives up.
	maxUnread = 16 << 20
	// batchThreshold is from how many bytes on messages do not wait for others.
	batchThreshold = 32 << 10
	// writeSize is how many bytes the connection is given at once to wait for.
	writeSize = 64 << 10
)

// urgency says when a message is to leave.
type urgency int

const (
	// later: whoever writes next takes it along, unless much waits already. The
	// caller sees to that.
	later urgency = iota
	// soon: more are to be expected, and may leave together with it.
	soon
	// now: this goroutine writes it, as far as the connection takes it at once.
	now
)

// outbox gives messages to the connection, in order, in as few writes as it
// can, and takes turns between what is sent in parts. It never waits for the connection:
// what is not taken at once is left to a goroutine.
type outbox struct {
	conn net.Conn
	// socket writes what the connection takes without waiting; nil if it cannot.
	socket nonblockingWriter
	// gather does so with several at once; nil if it cannot.
	gather gatherWriter
	// broken is told of an error of the connection. It calls fail.
	broken func(error)
	// most is how many bytes may wait of what is said. More break the connection. Zero is any
	// number: on a plugin it is the reader that waits for room, before it takes in what would
	// have it say more.
	most int
	// isSlow says that it is full, or that the connection has failed.
	isSlow atomic.Bool

	mu      sync.Mutex
	waiting queue
	said    int // bytes of what waits that was not put by somebody who looks for room
	turns   turns
	writing bool   // somebody writes, and looks once more before it stops
	taken   uint64 // what the connection was given: bytes of short frames, and one for each part
	written uint64 // what of that it took
	pending uint64 // where the last pending answer ends, see isPending
	// requests is where the last request ends among the bytes that wait. A plugin that does
	// not read may have millions of calls given up, and none of those is looked at for the next.
	requests int
	unsent   int // long answers that are not given to the connection as a whole
	err      error
	// advanced counts parts of writeSize that the connection took while somebody waited
	// for it to do so. Small messages of ours are no sign of life of the peer.
	advanced atomic.Uint64
	changed  wait.Condition // room was made, or all was written
	pace     pace           // whoever writes uses it
	// sentLast is set by the part of a long answer that was its last one. Only whoever
	// writes uses it.
	sentLast bool
}

// put queues a sealed message, and returns where it ends in all that was ever
// queued. Its sender has looked for room.
func (o *outbox) put(b *buffer, when urgency) (end uint64, err error) { return o.add(b, when, 0) }

// say is put for what cannot wait for room.
func (o *outbox) say(b *buffer, when urgency) error {
	_, err := o.add(b, when, len(b.data))
	return err
}

// add queues a sealed message, of which said bytes count towards the most.
func (o *outbox) add(b *buffer, when urgency, said int) (end uint64, err error) {
	pending, request := b.isPending(), b.isRequest()
	o.mu.Lock()
	if o.err != nil {
		defer o.mu.Unlock()
		return 0, o.err
	}
	if o.said += said; o.most > 0 && o.said > o.most {
		o.mu.Unlock()
		o.broken(errUnread)
		return 0, errUnread
	}
	o.waiting.add(b)
	if o.waiting.size >= maxUnwritten {
		o.isSlow.Store(true)
	}
	end = o.endLocked()
	if pending {
		o.pending = end
	}
	if request {
		o.requests = o.waiting.size
	}
	if when == later && o.waiting.size >= batchThreshold {
		when = now
	}
	o.leave(when)
	return end, nil
}

// flush lets what was put for later leave.
func (o *outbox) flush() {
	o.mu.Lock()
	o.leave(now)
}

// leave unlocks, and writes what waits when it is due.
func (o *outbox) leave(when urgency) {
	if !o.hasWorkLocked() || o.writing || when == later || o.err != nil {
		o.mu.Unlock()
		return
	}
	o.writing = true
	if when == soon || o.socket == nil {
		o.mu.Unlock()
		go o.drain(nil, 0)
		return
	}
	batch, n, err := o.writeSome(o.take())
	if err != nil {
		o.broken(err)
		return
	}
	if batch != nil {
		go o.drain(batch, n)
		return
	}
	o.mu.Lock()
	more := o.proceedLocked()
	o.mu.Unlock()
	if more {
		// It came meanwhile. The caller has waited long enough for its own.
		go o.drain(nil, 0)
	}
}

// proceedLocked notes that all that was taken is written, and reports whether
// there is more to write.
func (o *outbox) proceedLocked() bool {
	o.written = o.taken
	o.writing = o.hasWorkLocked()
	if !o.writing {
		o.changed.Broadcast()
	}
	return o.writing
}

// hasWorkLocked reports whether something is to be written.
func (o *outbox) hasWorkLocked() bool { return o.waiting.size > 0 || o.turns.len() > 0 }

// take empties the box, and adds parts of the bulk that is next in turn. It unlocks. The
// caller, which alone writes, writes what it gets.
func (o *outbox) take() *buffer {
	first, last := o.waiting.first, o.waiting.last
	o.taken += uint64(o.waiting.size)
	o.waiting, o.said, o.requests = queue{}, 0, 0
	if o.err == nil && o.isSlow.Load() {
		o.isSlow.Store(false)
	}
	next := o.turns.next()
	if next != nil {
		o.taken++ // for the part, whose size is not known: what is put meanwhile ends behind it
	}
	o.changed.Broadcast()
	o.mu.Unlock()
	if next == nil {
		return first
	}
	if last != nil && len(last.data) <= batchRoom-batchSize && !o.gathers(next) {
		last.grow() // Both leave in one write.
		o.took(next, next.part(last, batchSize))
		return first
	}
	size := o.pace.part()
	if last != nil {
		size = batchSize // There are small ones about, which others wait with behind this part.
	}
	part, more := nextPart(next, size)
	o.took(next, more)
	if last == nil {
		return part
	}
	last.next = part
	return first
}

// nextPart makes a buffer of the next parts of a bulk. One of a long message has about n bytes at
// most, see nextFrame.
func nextPart(next bulk, n int) (part *buffer, more bool) {
	if long, ok := next.(*sending); ok {
		if part, more = long.nextFrame(n); part == nil {
			part = newBuffer()
		}
		return part, more
	}
	part = fromPool(&batches)
	more = next.part(part, batchSize)
	return part, more
}

// took notes what was taken of a bulk.
func (o *outbox) took(next bulk, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sentLast {
		o.sentLast = false
		o.unsent--
		o.pending = max(o.pending, o.taken)
	}
	if more && o.err == nil {
		o.turns.add(next)
	}
}

// fail drops what waits, and closes the connection, which ends its reader too.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	if o.err == nil {
		o.err = err
	}
	o.waiting, o.turns = queue{}, turns{}
	o.isSlow.Store(true)
	o.changed.Broadcast()
	o.mu.Unlock()
	o.hangUp()
}

// hangUp closes the connection. TLS says so to the other side first, and waits for seconds until
// it takes that: one that takes nothing is not told.
func (o *outbox) hangUp() {
	if secure, ok := o.socket.(*tlsWriter); ok && !secure.flushed() {
		_ = secure.overflow.Close()
	}
	_ = o.conn.Close()
}
