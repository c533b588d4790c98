// SPDX-License-Identifier: MPL-2.0

package mux

import "encoding/binary"

// withdraw makes a request that waits one that is not run. It reports false if the request
// waits no more.
func (o *outbox) withdraw(channel, number uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := o.requests
	for b := o.waiting.first; b != nil && left > 0; b = b.next {
		if b.withdraw(channel, number) {
			return true
		}
		left -= len(b.data)
	}
	return false
}

// withdraw does so with a request among the frames in b.
func (b *buffer) withdraw(channel, number uint64) bool {
	for rest := b.data; len(rest) > 0; {
		frame := rest[lengthSize:]
		size := binary.BigEndian.Uint32(rest)
		frame, rest = frame[:size], frame[size:]
		k := kind(frame[0])
		if k&^flags != kindRequest {
			continue
		}
		c, n := binary.Uvarint(frame[1:])
		if m, _ := binary.Uvarint(frame[1+n:]); c == channel && m == number {
			frame[0] = byte(kindWithdrawn | k&flags)
			return true
		}
	}
	return false
}
