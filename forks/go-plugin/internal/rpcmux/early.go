// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"bytes"
	"io"
)

// early is a request that came before there was what serves its channel. Whoever
// opens the channel runs it afterwards, and the reader goes on: what is opened
// may need the session itself.
type early struct {
	worker  *worker
	body    *bytes.Reader
	come    chan struct{} // closed when there is body
	decoded chan struct{} // closed when body was read, and the next may be
}

// valueReader is where the values of a channel are read from.
type valueReader interface {
	io.Reader
	io.ByteReader
}

// valueSource can be changed between two values.
type valueSource struct{ valueReader }

// postponeLocked keeps the request at hand, whose body is yet to be taken in.
func (w *worker) postponeLocked() *early {
	e := &early{come: make(chan struct{}), decoded: make(chan struct{})}
	e.worker = &worker{plugin: w.plugin, message: w.message, service: w.service, method: w.method, early: e}
	e.worker.state.Store(relieved)
	w.service.early = append(w.service.early, e)
	w.plugin.callBegun()
	return e
}

// takeIn reads the body from the message at hand.
func (e *early) takeIn(in *inbox) error {
	body, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	e.body = bytes.NewReader(body)
	close(e.come)
	return nil
}

// serveEarly runs what has come too early, each request when the one before it
// is decoded. From then on the handler serves what comes.
func (s *service) serveEarly(p *Plugin, handler Handler) {
	for e := s.nextEarly(p, handler); e != nil; e = s.nextEarly(p, handler) {
		select {
		case <-e.come:
		case <-p.done: // It may never come.
		}
		if p.Err() != nil {
			p.callEnded() // Nobody waits for the answer.
			continue
		}
		s.values.valueReader = e.body
		go e.worker.serve(handler)
		<-e.decoded
	}
}

func (s *service) nextEarly(p *Plugin, handler Handler) *early {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(s.early) == 0 {
		s.values.valueReader, s.rpc = &p.in, handler
		return nil
	}
	e := s.early[0]
	s.early = s.early[1:]
	return e
}
