// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"encoding/gob"
	"fmt"
	"net/rpc"
	"sync/atomic"
	"time"
)

// worker reads requests and calls what they ask for. There is always one worker
// of a session that reads. Before it calls a method that may take its time it
// makes another one the reader; if it expected wrongly, the watchdog does.
// It implements rpc.ServerCodec for the one request that it has at a time.
type worker struct {
	plugin   *Plugin
	message  message
	service  *service
	method   *method
	kind     string         // that a channel is being opened for
	stream   *Stream        // of the gRPC call at hand
	queued   *queuedRequest // the request at hand, if its channel is still being opened
	began    time.Time
	backlog  bool // more requests had arrived
	state    atomic.Int32
	answered bool          // the request at hand
	calls    atomic.Uint64 // that were begun without another reader
	watched  atomic.Bool   // by the session's Watchdog
	seen     uint64        // calls when it last looked; its own

	cancelled atomic.Bool // the host has given the call up
	// These are guarded by the session's mu.
	cancel context.CancelFunc // ends the context of the method; may be nil
	left   bool               // see leave
}

// States of a worker.
const (
	reading  int32 = iota
	calling        // a method, while no worker reads
	replaced       // another worker reads
)

// work reads whenever no other worker does, until it is not needed.
func (p *Plugin) work() {
	for p.read() && p.idling.CompareAndSwap(false, true) {
		select {
		case <-p.idle:
			p.idling.Store(false)
		case <-p.done:
			return
		}
	}
}

// read reads and calls until the session ends, or until another worker reads:
// then it returns true.
func (p *Plugin) read() (handedOver bool) {
	w := &worker{plugin: p}
	for {
		if err := w.next(); err != nil {
			p.fail(err)
			return false
		}
		switch {
		case w.stream != nil:
			w.call()
		case w.message.kind == kindOpen:
			w.open()
		default:
			w.serve(w.service.rpc)
		}
		if w.state.Load() == reading {
			continue // There was no such method, or its arguments could not be decoded.
		}
		if !w.state.CompareAndSwap(calling, reading) {
			w.leave()
			p.out.flush() // The answer may have been left to the reader.
			return true
		}
	}
}

// next reads up to the next request.
func (w *worker) next() error {
	p := w.plugin
	// A host that takes no answers gets to ask nothing more.
	if err := p.out.awaitRoom(context.Background(), nil); err != nil {
		return err
	}
	for {
		if err := p.in.next(&w.message); err != nil {
			return err
		}
		switch w.message.kind {
		case kindRequest, kindWithdrawn:
			if err := w.find(); err != nil {
				return err
			}
			if w.queued == nil {
				return nil
			}
			if err := w.queued.takeBody(&p.in); err != nil {
				return err
			}
		case kindOpen:
			return w.accept()
		case kindCancel:
			p.cancel(w.message.channel, w.message.number)
		case kindRelease:
			p.release(w.message.channel)
		case kindStream, kindData, kindCredit, kindEnd, kindReset:
			if err := p.streams.deliver(w.message.kind, &p.in); err != nil {
				return err
			}
			if w.stream = p.streams.takeReady(); w.stream != nil {
				return nil
			}
		}
		// Others are of a later version, or have said all by having come.
	}
}

// find looks for what serves the message at hand.
func (w *worker) find() error {
	p := w.plugin
	p.mu.Lock()
	defer p.mu.Unlock()
	w.service = p.services[w.message.channel]
	switch {
	case p.err != nil:
		return p.err // Serve no longer waits for a call that begins now.
	case w.service == nil:
		return fmt.Errorf("%w: a request on channel %d, which is not open", errMalformed, w.message.channel)
	case w.message.channel == 0:
		p.control.Add(1)
	}
	w.method, w.queued = w.service.method(w.message.method), nil
	if w.service.rpc == nil {
		w.queued = w.enqueueLocked()
	}
	return nil
}

// ReadRequestHeader begins the call.
func (w *worker) ReadRequestHeader(r *rpc.Request) error {
	r.ServiceMethod, r.Seq = w.method.name, w.message.number
	w.answered = false
	if w.message.channel != 0 && w.queued == nil {
		w.plugin.config.Calls.Begin()
	}
	if w.message.fresh {
		w.service.dec = gob.NewDecoder(&w.service.values)
	}
	return nil
}

// ReadRequestBody decodes the arguments. When it returns without an error
// and body is not nil, the method is called.
func (w *worker) ReadRequestBody(body any) error {
	if w.queued != nil {
		defer close(w.queued.decoded)
	}
	err := Decode(w.service.dec, body)
	w.began = time.Now()
	if err == nil && (w.message.kind == kindWithdrawn || w.cancelled.Load()) {
		return errCancelled // before it has begun
	}
	if err != nil || body == nil || w.queued != nil {
		return err
	}
	w.backlog = w.plugin.in.r.Buffered() > 0
	if !w.method.latency.isQuick(w.backlog) {
		w.state.Store(replaced)
		w.enter()
		w.plugin.newReader()
		return nil
	}
	w.callBegins()
	return nil
}

// callBegins is called before this goroutine runs code of the plugin's author
// while no other worker reads.
func (w *worker) callBegins() {
	w.calls.Add(1)
	w.state.Store(calling)
	w.plugin.config.Watchdog.watch(w)
}

// newReader makes another goroutine read.
func (p *Plugin) newReader() {
	select {
	case p.idle <- struct{}{}:
	default:
		go p.work()
	}
}

// WriteResponse answers, and ends the call.
func (w *worker) WriteResponse(r *rpc.Response, body any) error {
	p := w.plugin
	if w.state.Load() != reading {
		w.method.latency.record(time.Since(w.began))
	}
	w.outputFirst()
	if w.cancelled.Load() {
		r.Error = errCancelled.Error()
	}
	err := w.answer(r, body)
	w.answered = true
	if w.state.Load() == replaced {
		w.leave()
	}
	switch {
	case w.message.channel == 0:
		if p.config.Answered != nil {
			p.config.Answered(r.ServiceMethod)
		}
		p.control.Done()
	default:
		p.config.Calls.End()
	}
	return err
}

// outputFirst sends what the method has written to the plugin's output. That may wait
// for the host, so another worker reads meanwhile.
func (w *worker) outputFirst() {
	p := w.plugin
	if w.message.channel == 0 || w.state.Load() == reading || p.config.Barrier == nil || p.config.Barrier.Settled() {
		return
	}
	if w.state.CompareAndSwap(calling, replaced) {
		w.enter()
		p.newReader()
	}
	p.config.Barrier.Wait(context.Background())
}

func (w *worker) answer(r *rpc.Response, body any) error {
	s := w.service
	s.sending.Lock()
	defer s.sending.Unlock()
	if r.Error == "" {
		b := s.answers.newMessage(kindAnswer, s.id, r.Seq)
		err := s.answers.add(b, body, w.plugin.maxSend)
		if err == nil {
			return w.put(b)
		}
		r.Error = CannotEncode(err)
	}
	b := newMessage(kindFailure, s.id, r.Seq)
	b.text(ClipError(r.Error, bound(w.plugin.maxSend)-len(b.data)))
	if err := b.seal(0); err != nil {
		return err
	}
	return w.put(b)
}

// put sends an answer. If the same goroutine has more requests at hand, their
// answers leave together.
func (w *worker) put(b *buffer) error {
	when := now
	if w.backlog && w.state.Load() == calling && len(b.data) < largeAnswer {
		when = later
	}
	_, err := w.plugin.out.put(b, when)
	return err
}

// largeAnswer is from what size on an answer does not wait for others, in bytes.
const largeAnswer = 4 << 10

// Close implements rpc.ServerCodec. ServeRequest does not call it.
func (w *worker) Close() error { return w.plugin.Close() }
