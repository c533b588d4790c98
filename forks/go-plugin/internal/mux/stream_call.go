// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/binary"
)

// streamCall is what a stream has more that carries a gRPC call. The stream's lock guards
// it, but for what is the session's reader's.
type streamCall struct {
	// wake has a token when the stream is over, or more has come than should wait. Nil:
	// nobody waits so.
	wake chan struct{}
	// answered says that something has come since the last write.
	answered bool

	collected bool    // a unary call that was not begun; the reader's
	worker    *worker // that runs it
}

func (c *streamCall) wakeUp() {
	if c.wake == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default: // It is awake.
	}
}

// urgency of n bytes that are written to the stream.
func (s *Stream) urgency(n int) urgency {
	w := s.call.worker
	switch {
	case s.purpose != Call && s.purpose != UnaryCall:
		return now
	case w != nil && w.backlog && n < largeAnswer && w.state.Load() == calling:
		return later // The worker has more calls at hand. Their answers leave together.
	case w != nil && w.backlog || s.table.open.Load() > fewCalls:
		return soon
	}
	if s.purpose == Call {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.call.answered {
			return soon // Who writes twice in a row may go on.
		}
		s.call.answered = false
	}
	return now
}

// beginning makes the frames that open the stream, with what leaves together with them.
func (s *Stream) beginning(first []byte, ends bool) *buffer {
	b := newBuffer()
	start := b.begin(kindStream, s.id)
	b.data = append(b.data, byte(s.purpose))
	b.data = append(b.data, s.header...)
	b.finish(start)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.call.wake != nil {
		s.header = nil // It is the caller's, and nobody asks for it here.
	}
	if len(first) > 0 {
		s.out.allowed -= len(first)
		s.appendData(b, first)
	}
	if ends {
		s.out.ended = true
		b.finish(b.begin(kindEnd, s.id))
	}
	return b
}

// accepted gives a stream that the other side has opened to its owner. A unary call is the
// session's own until its request has come: thousands may be under way at once, and none of
// them waits to be taken.
func (t *streamTable) accepted(s *Stream) error {
	if s.purpose == UnaryCall {
		s.call.collected = true
		return nil
	}
	return t.accept[s.purpose](s)
}

// startLong begins a unary call that is too long to be collected.
func (t *streamTable) startLong(s *Stream) error {
	if !s.call.collected {
		return nil
	}
	s.mu.Lock()
	long := 2*s.in.unread >= s.in.window
	s.mu.Unlock()
	if !long {
		return nil
	}
	s.call.collected = false
	if refusal := t.accept[s.purpose](s); refusal != nil {
		return s.Reset(refusal.Error())
	}
	return nil
}

// complete has a unary call begun that has come to its end, and wakes whoever waits for
// that of a call of its own.
func (t *streamTable) complete(s *Stream) {
	if s.call.collected {
		s.call.collected = false
		t.ready = s
	}
	t.woke = t.woke || s.call.wake != nil
}

// givenUp is told that the other side has reset a stream.
func (t *streamTable) givenUp(s *Stream) {
	s.call.collected = false
	t.woke = t.woke || s.call.wake != nil
}

// takeReady returns the unary call that has come, or nil.
func (t *streamTable) takeReady() *Stream {
	s := t.ready
	t.ready = nil
	return s
}

// call runs the unary call at hand, as it does a method of net/rpc.
func (w *worker) call() {
	p, s := w.plugin, w.stream
	w.stream = nil
	if w.service != nil { // of an earlier call; a cancelled stream is found otherwise
		p.mu.Lock()
		w.service = nil
		p.mu.Unlock()
	}
	w.method = p.callMethod(s.header)
	w.backlog = p.in.r.Buffered() > p.in.left
	w.began = sinceStart()
	s.call.worker = w
	if w.method.latency.isQuick(w.backlog) {
		w.callBegins()
	} else {
		w.state.Store(replaced)
		p.newReader()
	}
	p.config.Unary(s)
	w.method.latency.record(sinceStart() - w.began)
}

// callMethod is what is known of the method that a call's header begins with.
func (p *Plugin) callMethod(header []byte) *method {
	n, size := binary.Uvarint(header)
	if size <= 0 || n > uint64(len(header)-size) || n > maxMethod {
		n, size = 0, 0 // It is malformed, which whoever runs it will say.
	}
	name := header[size : size+int(n)]
	if m, ok := p.methods[string(name)]; ok {
		return m
	}
	m := &method{name: string(name)}
	m.latency.busy.Store(unknown)
	if p.methods == nil {
		p.methods = make(map[string]*method)
	}
	if len(p.methods) < maxMethods {
		p.methods[m.name] = m
	}
	return m
}
