// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"errors"
	"io"
)

// maxKept bounds the answers that are kept for a channel whose reader is busy with one
// that it decodes, in bytes. Beyond that the session waits for the reader.
const maxKept = 1 << 20

// frameCost is what an answer or request costs that is kept, beside what came of it, in bytes.
const frameCost = 512

// readyAnswer is an answer that was taken in for the reader of a channel: a long one, or
// one that came while the reader was busy decoding a long one.
type readyAnswer struct {
	long *arrival
	head message
	body []byte
}

// keep makes an answer ready for its reader. It reports false if the channel was closed.
func (h *Host) keep(id uint64, answer readyAnswer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[id]
	if c == nil {
		return false
	}
	c.pending.Add(-1)
	c.ready = append(c.ready, answer)
	c.kept += len(answer.body) + frameCost
	c.isReady.Store(true)
	select {
	case c.arrived <- struct{}{}:
	default: // It has been told.
	}
	return true
}

// takeReady makes the next answer that is ready the one at hand. The reader does not hold
// the read lock then, so that others read meanwhile.
func (c *Channel) takeReady() bool {
	h := c.host
	h.mu.Lock()
	if len(c.ready) == 0 {
		c.away = false
		c.isReady.Store(false)
		h.mu.Unlock()
		c.source.valueReader = &h.in
		c.body = nil
		return false
	}
	next := c.ready[0]
	c.ready[0] = readyAnswer{}
	c.ready = c.ready[1:]
	c.kept -= len(next.body) + frameCost
	c.away = true
	h.mu.Unlock()
	if c.reading {
		c.reading = false
		h.readLock <- struct{}{}
	}
	c.long, c.head = next.long, next.head
	c.source.valueReader = bytes.NewReader(next.body)
	c.body, c.ownBody = next.body, false // It has more room than bytes.
	return true
}

// handOver gives the answer at hand to the reader of another channel: together with the
// read lock, or, if it is busy, without.
func (h *Host) handOver(from *Channel) error {
	switch given, busy := h.handTo(h.message.channel); {
	case given:
		from.reading = false
	case busy:
		body, err := io.ReadAll(&h.in)
		if err != nil {
			return err
		}
		h.keep(h.message.channel, readyAnswer{head: h.message, body: body})
	default: // That channel was closed before its answer came.
	}
	return nil
}

// handTo hands the read lock and the message at hand to the reader of another
// channel. It does not if that reader is busy, or its channel was closed.
func (h *Host) handTo(id uint64) (given, busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[id]
	if c == nil {
		return false, false
	}
	if (c.away || len(c.ready) > 0) && c.kept < maxKept {
		return false, true
	}
	c.handed <- struct{}{} // never blocks: there is only one read lock
	return true, false
}

// beginLong takes on the long answer whose first frame is at hand. It reports whether the
// reader r has to look at what is ready for it.
func (h *Host) beginLong(r reader) (forReader bool, err error) {
	key := callKey{h.message.channel, h.message.number}
	_, err = h.come.begin(&h.message)
	if tooLarge := (*TooLargeError)(nil); errors.As(err, &tooLarge) {
		if err := h.come.ignore(&h.message); err != nil {
			return false, err
		}
		if err := h.send(newMessage(kindCancel, key.channel, key.number)); err != nil {
			return false, err
		}
		forReader = h.keepLong(r, &arrival{key: key, message: h.message, err: tooLarge})
	} else if err != nil {
		return false, err
	}
	if !h.isOpen(key.channel) {
		h.come.drop(key) // Parts of it that still come are dropped.
	}
	return forReader, nil
}

// endLong is told of a failure, which ends a long answer that the host has given up. It
// reports whether that is all that it does: the reader knows that the answer was too large.
func (h *Host) endLong() (over bool) {
	a := h.come.end(callKey{h.message.channel, h.message.number})
	return a != nil && a.ignored
}

// takePart takes in the part at hand, likewise.
func (h *Host) takePart(r reader) (forReader bool, err error) {
	a, err := h.come.take(&h.in, &h.message)
	if a == nil {
		return false, err
	}
	return h.keepLong(r, a), nil
}

// keepLong makes a long answer ready, and reports whether it is for r.
func (h *Host) keepLong(r reader, a *arrival) (forReader bool) {
	if !h.keep(a.key.channel, readyAnswer{long: a, head: a.message}) {
		h.come.release(a) // The channel was closed.
		return false
	}
	c, ok := r.(*Channel)
	return ok && a.key.channel == c.id
}

func (h *Host) isOpen(channel uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channels[channel] != nil
}
