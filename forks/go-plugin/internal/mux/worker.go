// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"fmt"
	"net/rpc"
	"reflect"
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
	long     *arrival       // the same, if it is a long one
	refuse   error          // why it is not run
	under    underWay
	began    time.Duration // by sinceStart
	backlog  bool          // more requests had arrived
	state    atomic.Int32
	answered bool          // the request at hand
	calls    atomic.Uint64 // that were begun without another reader
	watched  atomic.Bool   // by the session's Watchdog
	seen     uint64        // calls when it last looked; its own
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
		case w.refuse != nil:
			w.serve(unserved{w.refuse})
		default:
			w.serve(w.service.rpc)
		}
		if w.state.Load() == reading {
			continue // There was no such method, or its arguments could not be decoded.
		}
		if !w.state.CompareAndSwap(calling, reading) {
			p.unregister(w)
			p.out.flush() // The answer may have been left to the reader.
			return true
		}
	}
}

// next reads up to the next request that the worker is to run.
func (w *worker) next() error {
	p := w.plugin
	for {
		// A host that takes no answers gets to say nothing more.
		if p.out.isSlow.Load() {
			if err := p.out.awaitRoom(context.Background(), nil); err != nil {
				return err
			}
		}
		if err := p.in.next(&w.message); err != nil {
			return err
		}
		if isDue, err := w.deliver(); isDue || err != nil {
			return err
		}
	}
}

// deliver acts on the frame at hand. It reports whether that is something for the worker to
// run.
func (w *worker) deliver() (isDue bool, err error) {
	p, key := w.plugin, callKey{w.message.channel, w.message.number}
	switch w.message.kind {
	case kindRequest, kindWithdrawn:
		return w.takeRequest()
	case kindOpen:
		return true, w.accept()
	case kindPart:
		return false, p.takePart(&w.message)
	case kindGrant:
		p.sent.grant(key, w.message.size)
	case kindCancel:
		p.cancel(key)
	case kindRelease:
		p.release(w.message.channel)
	case kindStream, kindData, kindCredit, kindEnd, kindReset:
		if err := p.streams.deliver(w.message.kind, &p.in); err != nil {
			return false, err
		}
		w.stream = p.streams.takeReady()
		return w.stream != nil, nil
	case kindAccepts:
		return false, p.hostAccepts(w.message.number)
	case kindProbe:
		return false, p.alive()
	case kindBye:
		return false, p.byeError("host")
	}
	// Others are of a later version, or have said all by having come.
	return false, nil
}

// takeRequest begins the call of the request at hand. It reports false if that is to run later:
// more of it is to come, or its kind is still being made.
func (w *worker) takeRequest() (isDue bool, err error) {
	if err := w.find(); err != nil {
		return false, err
	}
	switch {
	case w.message.more:
		return false, w.beginLong()
	case w.queued != nil:
		return false, w.queued.takeBody(&w.plugin.in)
	}
	return true, nil
}

// find looks for what serves the request at hand, and begins its call.
func (w *worker) find() (err error) {
	p := w.plugin
	p.mu.Lock()
	defer p.mu.Unlock()
	w.service = p.services[w.message.channel]
	switch {
	case p.err != nil:
		return p.err // Serve no longer waits for a call that begins now.
	case w.service == nil:
		return fmt.Errorf("%w: a request on channel %d, which is not open", errMalformed, w.message.channel)
	}
	if w.refuse, err = w.checkLocked(); err != nil {
		return err
	}
	if u, ok := w.service.rpc.(unserved); ok && w.refuse == nil {
		w.refuse = u.error // There is no need to take in what has a long one.
	}
	if w.message.kind == kindWithdrawn {
		w.refuse = errCancelled
	}
	w.method, w.queued = w.service.method(w.message.method), nil
	w.answered, w.under = false, underWay{}
	if w.message.timeout > 0 && (w.message.more || w.service.rpc == nil) { // It runs later.
		w.under.deadline = time.Now().Add(w.message.timeout)
	}
	if w.message.channel == 0 {
		p.control.Add(1)
	} else {
		p.config.Calls.Begin()
	}
	if w.service.rpc == nil && !w.message.more {
		w.queued = w.enqueueLocked()
	}
	return nil
}

// ends ends the call.
func (w *worker) ends() {
	w.answered = true
	if w.message.channel == 0 {
		w.plugin.control.Done()
	} else {
		w.plugin.config.Calls.End()
	}
}

// ReadRequestHeader implements rpc.ServerCodec.
func (w *worker) ReadRequestHeader(r *rpc.Request) error {
	r.ServiceMethod, r.Seq = w.method.name, w.message.number
	if w.message.fresh && !w.message.more {
		w.service.dec = nil
	}
	return nil
}

// ReadRequestBody decodes the arguments. When it returns without an error
// and body is not nil, the method is called.
func (w *worker) ReadRequestBody(body any) error {
	if w.queued != nil {
		defer close(w.queued.decoded)
	}
	err := w.decode(body)
	w.began = sinceStart()
	if err == nil && w.state.Load() == replaced && w.plugin.isCancelled(w) {
		w.refuse = errCancelled // before it has begun
		return errCancelled
	}
	if err != nil || body == nil || w.state.Load() == replaced {
		return err
	}
	w.backlog = w.plugin.in.r.Buffered() > 0
	if !w.method.latency.isQuick(w.backlog) {
		w.state.Store(replaced)
		w.plugin.register(w)
		w.plugin.newReader()
		return nil
	}
	w.callBegins()
	return nil
}

func (w *worker) decode(body any) error {
	if !w.message.more {
		if w.queued == nil && w.plugin.in.decodeShort(body) {
			return nil
		}
		if w.queued == nil {
			if done, err := w.plugin.in.decodeMiddling(body); done {
				return err
			}
		}
		return Decode(w.service.decoder(), body)
	}
	if w.long == nil {
		return nil // It was refused before it came.
	}
	defer w.plugin.come.release(w.long)
	if body == nil { // There is no such method.
		return nil
	}
	return decodeLong(&w.long.data, reflect.ValueOf(body))
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

// Close implements rpc.ServerCodec. ServeRequest does not call it.
func (w *worker) Close() error { return w.plugin.Close() }
