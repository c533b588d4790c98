// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"bytes"
	"slices"
	"sync"
)

// backlogLimit bounds what is kept, in bytes, for the first subscriber: what a
// plugin prints before any host has come is often what explains the rest.
const backlogLimit = 64 << 10

// Hub fans output out to its subscriptions. All methods may be called from any
// goroutine.
type Hub struct {
	limit int

	mu      sync.Mutex
	pipes   Pipes // what is written to them comes here
	closed  bool
	subs    []*Subscription
	backlog []Chunk
	size    int // cost of backlog
	lost    [Stderr + 1]uint64
	claimed [Stderr + 1]bool // channels that have had a subscriber
}

// NewHub returns a hub each of whose subscriptions holds at most limitBytes of
// unread output; at least 4 KiB are taken.
func NewHub(limitBytes int) *Hub {
	return &Hub{limit: max(limitBytes, 4<<10)}
}

// Write gives a copy of p to every subscription to ch. It never waits for a
// reader. Without a subscriber so far, the last 64 KiB are kept for the first.
// After Close it does nothing.
func (h *Hub) Write(ch Channel, p []byte) {
	if len(p) == 0 || (ch != Stdout && ch != Stderr) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	if !h.claimed[ch] {
		h.keep(ch, p)
		return
	}
	// One copy for all, and none when nobody is there.
	var chunk Chunk
	for _, sub := range h.subs {
		if !sub.takes[ch] {
			continue
		}
		if chunk.Data == nil {
			chunk = Chunk{ch, bytes.Clone(p)}
		}
		sub.push(chunk)
	}
}

// keep adds to the backlog and forgets the oldest beyond its limit.
func (h *Hub) keep(ch Channel, p []byte) {
	if over := len(p) + chunkOverhead - backlogLimit; over > 0 {
		h.lost[ch] += uint64(over)
		p = p[over:]
	}
	c := Chunk{ch, bytes.Clone(p)}
	h.backlog = append(h.backlog, c)
	h.size += c.cost()
	drop := 0
	for ; h.size > backlogLimit; drop++ {
		oldest := h.backlog[drop]
		h.size -= oldest.cost()
		h.lost[oldest.Channel] += uint64(len(oldest.Data))
	}
	h.backlog = slices.Delete(h.backlog, 0, drop)
}

// follow lets subscriptions from now on know of a pipe whose content is written to
// the hub.
func (h *Hub) follow(p *Pipe) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pipes = append(h.pipes, p)
}

// Subscribe implements [Outputs]. The stream gets what is written from now on; the first
// subscriber that a channel ever has gets that channel's backlog before it.
func (h *Hub) Subscribe() Stream { return h.subscribe(Stdout, Stderr) }

// Split implements [Outputs]: neither stream waits for the other, however little of it
// is read.
func (h *Hub) Split() (stdout, stderr *Reader) {
	return &Reader{Stream: h.subscribe(Stdout)}, &Reader{Stream: h.subscribe(Stderr)}
}

func (h *Hub) subscribe(channels ...Channel) *Subscription {
	sub := &Subscription{hub: h, limit: h.limit, wake: make(chan struct{}, 1)}
	for _, ch := range channels {
		sub.takes[ch] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	sub.pipes = h.pipes
	h.handBacklog(sub)
	if h.closed {
		sub.end()
		return sub
	}
	h.subs = append(h.subs, sub)
	return sub
}

func (h *Hub) handBacklog(sub *Subscription) {
	for _, ch := range []Channel{Stdout, Stderr} {
		if !sub.takes[ch] || h.claimed[ch] {
			continue
		}
		h.claimed[ch] = true
		if h.lost[ch] > 0 {
			sub.pushMissed(ch, h.lost[ch])
		}
	}
	rest := h.backlog[:0]
	h.size = 0
	for _, c := range h.backlog {
		if sub.takes[c.Channel] {
			sub.push(c)
			continue
		}
		rest = append(rest, c)
		h.size += c.cost()
	}
	clear(h.backlog[len(rest):])
	h.backlog = rest
}

// Close ends the hub. Subscriptions still give what they hold, then io.EOF.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, sub := range h.subs {
		sub.end()
	}
	h.subs = nil
}

func (h *Hub) remove(sub *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs = slices.DeleteFunc(h.subs, func(s *Subscription) bool { return s == sub })
}
