// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
)

// maxChannels is how many channels of a session may be open, besides the control channel. A
// host knows of a channel of the plugin's later than the plugin, which therefore ends the
// session only if the host has opened as many by itself.
const maxChannels = 1024

// Open begins a channel on which the plugin serves a kind that it is known to
// have, and does not wait for it. If the plugin cannot serve the kind, all calls
// on the channel are refused. The plugin is told together with the first request, or before
// the channel is read or the session closed. The caller closes the channel. The error says
// that as many are open as may be.
func (h *Host) Open(kind string) (*Channel, error) {
	h.mu.Lock()
	if h.served >= maxChannels {
		h.mu.Unlock()
		return nil, fmt.Errorf("%d channels of the session are open, no more are possible", maxChannels)
	}
	h.opened++
	c := h.channelLocked(2 * h.opened) // The plugin counts in odd numbers.
	c.making.Store(true)
	h.mu.Unlock()
	b := newMessage(kindOpen, c.id)
	b.text(kind)
	if b.seal() == nil {
		c.opening = true
		_ = h.out.say(b, later) // If it fails, so does the first request.
	}
	return c, nil
}

// accept takes a message that opens a channel. Requests on it may follow.
func (w *worker) accept() error {
	p, id := w.plugin, w.message.channel
	if p.in.left > maxMethod {
		return fmt.Errorf("%w: the name of a kind has %d bytes", errMalformed, p.in.left)
	}
	kind, err := io.ReadAll(&p.in)
	if err != nil {
		return err
	}
	w.kind = string(kind)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return p.err
	case p.opened >= maxChannels:
		return fmt.Errorf("%w: more than %d channels are open", errBeyond, maxChannels)
	case p.making >= maxChannels: // for channels of which some were released meanwhile
		return fmt.Errorf("%w: more than %d kinds are being made", errBeyond, maxChannels)
	case id%2 != 0 || p.services[id] != nil:
		return fmt.Errorf("%w: channel %d cannot be opened", errMalformed, id)
	}
	w.service = newService(p, id, nil)
	p.services[id] = w.service
	p.opened++
	p.making++
	p.control.Add(1)
	return nil
}

// open asks for what serves the channel that was opened last. That is code of
// the plugin's author, which may take its time.
func (w *worker) open() {
	p := w.plugin
	defer p.control.Done()
	defer p.made()
	var handler Handler = unserved{errNotOpened}
	defer func() { w.service.serveQueued(p, handler) }() // Open may end its goroutine.
	w.callBegins()
	opened, err := p.config.Open(w.kind)
	if err != nil {
		opened = unserved{err}
	}
	handler = opened
}

// made is told that the plugin's author has made a kind, or will not, and that what had waited
// for it was decoded.
func (p *Plugin) made() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making--
}

var (
	errNotOpened = errors.New("the plugin ended the goroutine that was to open this channel")
	errNoControl = errors.New("this session has no calls of net/rpc")
)

// unserved refuses all requests: on a channel that could not be opened, or beyond a bound.
type unserved struct{ error }

// ServeRequest implements Handler.
func (u unserved) ServeRequest(codec rpc.ServerCodec) error {
	codec.(*worker).refuse = u.error
	var r rpc.Request
	if err := codec.ReadRequestHeader(&r); err != nil {
		return err
	}
	_ = codec.ReadRequestBody(nil) // There is an answer to anything.
	return codec.WriteResponse(&rpc.Response{ServiceMethod: r.ServiceMethod, Seq: r.Seq, Error: u.Error()}, nil)
}
