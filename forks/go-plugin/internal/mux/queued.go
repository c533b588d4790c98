// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"fmt"
	"io"
	"net/rpc"
)

// queuedRequest is a request on a channel that is still being opened. The goroutine
// that opens the channel runs it afterwards. The reader goes on meanwhile: opening
// may need the session itself.
type queuedRequest struct {
	worker  *worker
	body    *bytes.Reader
	cost    int           // what it counts towards maxQueued
	arrived chan struct{} // closed when there is body
	decoded chan struct{} // closed when body was read, and the next may be
}

// maxQueued is how many bytes of requests may wait for their channels to be opened, with all
// that is kept of each. More end the session, unless some of them are being decoded: the reader
// cannot wait for what may need the session itself, and no request can be dropped, as each is a
// part of its channel's gob stream.
const maxQueued = 64 << 20

var errQueued = fmt.Errorf("%w: more than %d bytes of requests wait for their kinds to be made", errBeyond, maxQueued)

// valueReader is where the values of a channel are read from.
type valueReader interface {
	io.Reader
	io.ByteReader
}

// valueSource can be changed between two values.
type valueSource struct{ valueReader }

// enqueueLocked keeps the request at hand, whose body is yet to be taken in.
func (w *worker) enqueueLocked() *queuedRequest {
	q := &queuedRequest{arrived: make(chan struct{}), decoded: make(chan struct{})}
	q.worker = &worker{plugin: w.plugin, message: w.message, service: w.service, method: w.method, refuse: w.refuse, under: w.under, queued: q}
	q.worker.state.Store(replaced)
	w.service.queue = append(w.service.queue, q)
	w.plugin.registerLocked(q.worker)
	return q
}

// takeBody reads the body from the message at hand.
func (q *queuedRequest) takeBody(in *inbox) error {
	body := make([]byte, in.left) // of one frame at most
	if _, err := io.ReadFull(in, body); err != nil {
		return err
	}
	q.body = bytes.NewReader(body)
	close(q.arrived)
	w := q.worker
	q.cost = len(body) + len(w.message.metadata) + len(w.method.name) + frameCost
	p := w.plugin
	p.mu.Lock()
	p.queued += q.cost
	p.mu.Unlock()
	return p.awaitQueued()
}

// awaitQueued returns when there are no more than maxQueued bytes. It waits as long as those
// of a kind that was made are being decoded, as nothing of that needs the reader.
func (p *Plugin) awaitQueued() error {
	for {
		p.mu.Lock()
		over, decoding := p.queued > maxQueued, p.dequeuing > 0
		p.mu.Unlock()
		switch {
		case !over:
			return nil
		case !decoding:
			return errQueued
		}
		select {
		case <-p.dequeued:
		case <-p.done:
			return p.Err()
		}
	}
}

// leaves notes that the request waits no more.
func (q *queuedRequest) leaves() { q.worker.plugin.dequeue(q.cost, 0) }

// giveUp answers a request whose channel was released: no value that follows it is read, so
// that its own need not be. It was taken out of the queue. The reader, which calls it, does not
// look for room: an answer is smaller than what the request counted for.
func (q *queuedRequest) giveUp() {
	w := q.worker
	if w.long != nil {
		w.plugin.come.release(w.long)
	} else {
		q.leaves()
	}
	w.refuse = errCancelled
	_ = w.WriteResponse(&rpc.Response{Seq: w.message.number, Error: errCancelled.Error()}, nil) // It fails if the session has ended.
}

// dequeue notes that n bytes of requests wait no more, and that there are so many more
// goroutines that decode those of a kind.
func (p *Plugin) dequeue(n, goroutines int) {
	p.mu.Lock()
	p.queued -= n
	p.dequeuing += goroutines
	p.mu.Unlock()
	select {
	case p.dequeued <- struct{}{}:
	default: // The reader is told by the one before.
	}
}

// serveQueued runs the requests that were queued, each when the one before it
// is decoded. From then on the handler serves what comes.
func (s *service) serveQueued(p *Plugin, handler Handler) {
	p.dequeue(0, 1)
	defer p.dequeue(0, -1)
	for q := s.nextQueued(p, handler); q != nil; q = s.nextQueued(p, handler) {
		if q.worker.long != nil { // It is no part of the gob stream.
			go q.worker.serve(handler)
			continue
		}
		select {
		case <-q.arrived:
		case <-p.done: // It may never come.
		}
		if p.Err() != nil {
			q.worker.ends() // The session has ended, and its calls with it.
			continue
		}
		s.values.valueReader = q.body
		go q.worker.serve(q.worker.handler(handler))
		<-q.decoded
		q.leaves()
	}
}

func (s *service) nextQueued(p *Plugin, handler Handler) *queuedRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(s.queue) == 0 {
		s.values.valueReader, s.rpc = &p.in, handler
		return nil
	}
	q := s.queue[0]
	s.queue = s.queue[1:]
	return q
}

// handler is what serves a request that was queued. One that is not to be run any more
// still has a value, which is part of the gob stream.
func (w *worker) handler(handler Handler) Handler {
	if w.refuse == nil && w.plugin.isCancelled(w) {
		w.refuse = errCancelled
	}
	if w.refuse != nil {
		return unserved{w.refuse}
	}
	return handler
}
