// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"cmp"
	"encoding/gob"
	"errors"
	"io"
	"net/rpc"
	"reflect"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// ReadHeader waits for the next answer. An error means that the channel or the
// session was closed.
func (c *Channel) ReadHeader(r *rpc.Response) error {
	h := c.host
	if c.opening {
		c.opening = false
		h.out.flush()
	}
	for {
		if c.isReady.Load() && c.takeReady() {
			return c.header(r)
		}
		there := false // a message, which another reader found
		if !c.reading {
			var err error
			if there, err = c.lockRead(); err != nil {
				return err
			}
			if !c.reading {
				continue // Something is ready.
			}
		}
		if !there {
			if err := h.receive(c); err != nil {
				return c.stop(err)
			}
			if c.isReady.Load() {
				continue
			}
		}
		if h.message.channel == c.id {
			c.pending.Add(-1)
			c.head = h.message
			return c.header(r)
		}
		if err := h.handOver(c); err != nil {
			return c.stop(err)
		}
	}
}

// header fills in r from the answer at hand.
func (c *Channel) header(r *rpc.Response) error {
	r.Seq = c.head.number
	if c.making.Load() {
		c.noteMade()
	}
	switch {
	case c.long != nil && c.long.err != nil:
		r.Error = c.long.err.Error()
	case c.long != nil && c.head.kind == kindFailure:
		text, _ := io.ReadAll(&c.long.data) // from memory
		r.Error = string(text)
	case c.head.kind != kindAnswer:
		text, err := io.ReadAll(&c.source)
		if err != nil {
			return c.stop(err)
		}
		r.Error = cmp.Or(string(text), "unknown error")
		if c.head.kind == kindRefused {
			r.Error = peererr.Text(r.Error)
			c.refusal = r.Error
		}
	case c.head.fresh && c.long == nil:
		c.dec = nil
	}
	return nil
}

// decoder is that of the stream of replies.
func (c *Channel) decoder() *gob.Decoder {
	if c.dec == nil {
		c.dec = gob.NewDecoder(&c.source)
	}
	return c.dec
}

// past is a deadline that interrupts a read.
var past = time.Unix(1, 0)

// ReadReply decodes what belongs to the last header into the value that target
// points to; the zero Value drops it. An error that matches peererr.ErrConnectionLost
// means that the session has ended, any other that there is no reply that target can
// take.
func (c *Channel) ReadReply(target reflect.Value) error {
	if decode := c.DetachReply(); decode != nil {
		return decode(target)
	}
	switch c.head.kind {
	case kindFailure:
		return nil
	case kindRefused:
		return &RefusedError{Reason: c.refusal, Busy: c.head.size == refusedBusy}
	}
	if c.reading && target.IsValid() && c.host.in.decodeShort(target.Interface()) {
		return nil
	}
	done, err := false, error(nil)
	switch {
	case !target.IsValid():
	case c.reading:
		done, err = c.host.in.decodeMiddling(target.Interface())
	default:
		done = decodeBody(c.body, c.ownBody, target.Interface())
	}
	c.body = nil
	if !done {
		err = DecodeValue(c.decoder(), target)
	}
	if err != nil && c.reading && c.host.in.r.err != nil {
		return c.stop(c.host.in.r.err)
	}
	return err
}

// AwaitReply waits until a reply that comes in one frame has come whole, for a reader who
// could not say of a reply that the connection was lost in the middle of it. Others read the
// session from then on, if it was a long way. An error is one of ReadHeader.
func (c *Channel) AwaitReply() error {
	in := &c.host.in
	if !c.reading || c.long != nil || in.left <= in.r.Buffered() {
		return nil
	}
	body := newValue(in.left)[:in.left]
	if _, err := io.ReadFull(in, body); err != nil {
		return c.stop(err)
	}
	c.goAway(body)
	return nil
}

// goAway has others read while this reader is busy with an answer that it has as a whole,
// and which goes before those that become ready meanwhile. The next ReadHeader takes those
// first, and reads again when there are none.
func (c *Channel) goAway(body []byte) {
	c.host.mu.Lock()
	c.away = true
	c.isReady.Store(true)
	c.host.mu.Unlock()
	c.reading = false
	c.host.readLock <- struct{}{}
	c.source.valueReader = bytes.NewReader(body)
	c.body, c.ownBody = body, true
}

// DetachReply returns what decodes the reply at hand in the place of ReadReply, if it is a
// long one, and nil otherwise. It is called once, from any goroutine, so that those who wait
// for other answers need not wait for a long one to be decoded.
func (c *Channel) DetachReply() (decode func(target reflect.Value) error) {
	a := c.long
	if a == nil {
		return nil
	}
	c.long = nil
	return func(target reflect.Value) error {
		defer c.host.come.release(a)
		if a.err != nil || a.message.kind == kindFailure || !target.IsValid() {
			return a.err
		}
		return decodeLong(&a.data, target)
	}
}

// lockRead waits until this reader may read, or something is ready for it: then it does
// not hold the read lock. It reports whether a message for it is at hand already.
func (c *Channel) lockRead() (there bool, err error) {
	select {
	case <-c.handed:
		there = true
	case <-c.host.readLock:
	case <-c.arrived:
		return false, nil
	case <-c.closed:
		select {
		case <-c.handed: // before it was closed
			c.reading = true
		default:
		}
		return false, c.stop(errChannelClosed)
	case <-c.host.done:
		return false, c.host.Err()
	}
	c.reading = true
	return there, nil
}

// stop ends reading on the channel: it releases the read lock, or ends the session
// if the connection has failed.
func (c *Channel) stop(err error) error {
	if !errors.Is(err, errChannelClosed) {
		c.host.fail(err)
		return c.host.Err()
	}
	if c.reading {
		c.reading = false
		c.host.readLock <- struct{}{}
	}
	return err
}
