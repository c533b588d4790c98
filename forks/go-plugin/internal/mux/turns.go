// SPDX-License-Identifier: MPL-2.0

package mux

// batchSize is how much of what is sent in parts is written before the outbox looks
// whether something small waits, in bytes of payload.
const batchSize = 64 << 10

// bulk is something that is sent in parts, in turn with others: a long message or a
// stream.
type bulk interface {
	// part appends the next frames, with at most n bytes of payload, to b, and reports
	// whether there is more to send now. The outbox calls it from one goroutine at a
	// time and without its lock.
	part(b *buffer, n int) (more bool)
}

// enlist gives a bulk turns until its part reports false. To enlist one that waits for
// its turn changes nothing; one that is enlisted while its part runs gets another turn.
func (o *outbox) enlist(b bulk) {
	o.mu.Lock()
	if o.err == nil {
		o.turns.add(b)
	}
	o.leave(now)
}

// turns are the bulks that wait for their turn, each once, the next one first.
type turns struct {
	queue   []bulk
	waiting map[bulk]struct{}
	first   [1]bulk // what queue is of while there is one
}

func (t *turns) len() int { return len(t.queue) }

func (t *turns) add(b bulk) {
	if _, ok := t.waiting[b]; ok {
		return
	}
	if t.waiting == nil {
		t.waiting = make(map[bulk]struct{})
	}
	t.waiting[b] = struct{}{}
	if t.queue == nil {
		t.queue = t.first[:0]
	}
	t.queue = append(t.queue, b)
}

// next takes out the bulk whose turn it is, or returns nil.
func (t *turns) next() bulk {
	if len(t.queue) == 0 {
		return nil
	}
	b := t.queue[0]
	delete(t.waiting, b)
	t.queue[0] = nil
	if t.queue = t.queue[1:]; len(t.queue) == 0 {
		t.queue = t.first[:0] // A session at rest keeps nothing that grows.
	}
	return b
}
