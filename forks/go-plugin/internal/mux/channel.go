// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"io"
	"net/rpc"
	"reflect"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Channel is one kind that the plugin serves, or its control service, with gob
// streams of its own. Send may be called from any goroutine. The other methods
// belong to one reader, which calls ReadHeader until it fails, and after each
// success ReadReply: while it does not, the whole session waits.
type Channel struct {
	host *Host
	id   uint64

	sending sync.Mutex // also held when the plugin is told of the end
	values  values
	traffic traffic

	dec     *gob.Decoder
	refused error         // of the header read last
	reading bool          // the reader holds the read lock
	handed  chan struct{} // another reader hands it the read lock and a message
	closed  chan struct{}
	close   sync.Once
}

var (
	// ErrFull is a request that was not sent because the connection takes none.
	ErrFull = errors.New("the connection does not take requests")

	errChannelClosed = peererr.Lost(errors.New("channel closed"))
)

// EncodeError is a request whose arguments cannot be encoded. It was not sent.
type EncodeError struct{ Err error }

func (e *EncodeError) Error() string { return e.Err.Error() }

// RefusedError is a call that the plugin has not run.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return "the plugin refused the call: " + e.Reason }

// Unwrap returns what the encoder said.
func (e *EncodeError) Unwrap() error { return e.Err }

// Channel returns the channel of an id that the plugin named. Each is asked for
// once. The caller closes it.
func (h *Host) Channel(id uint64) *Channel {
	c := &Channel{host: h, id: id, handed: make(chan struct{}, 1), closed: make(chan struct{})}
	c.dec = gob.NewDecoder(&h.in)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.channels[id] = c
	return c
}

// Send queues a request and does not wait for the connection. It returns where
// the request ends in what Taken counts, ErrFull, an *EncodeError, or why the
// channel or the session has ended. Nothing was sent on an error.
func (c *Channel) Send(r Request, args any) (end uint64, err error) {
	metadata, err := r.check()
	if err != nil {
		return 0, &EncodeError{err}
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	switch {
	case c.isClosed():
		return 0, errChannelClosed
	case c.host.out.isFull():
		return 0, ErrFull
	}
	b := c.values.newMessage(kindRequest, c.id, r.Number)
	b.call(r.Method, r.Timeout, metadata...)
	if err := c.values.add(b, args, c.host.maxSend); err != nil {
		return 0, &EncodeError{err}
	}
	when := now
	if c.traffic.isBusy(c.host.pending.Add(1)) {
		when = soon // It pays to let some more requests join it.
	}
	return c.host.out.put(b, when)
}

// Cancel says that nobody waits for the answer to a request that was sent. One comes all
// the same. It reports whether the plugin will surely not run the call.
func (c *Channel) Cancel(number uint64) (unsent bool) {
	if c.host.out.withdraw(c.id, number) {
		return true
	}
	c.sending.Lock() // Nothing follows the message that releases the channel.
	defer c.sending.Unlock()
	if !c.isClosed() {
		_ = c.host.send(newMessage(kindCancel, c.id, number))
	}
	return false
}

// Taken is how many bytes of all requests the connection was given.
func (c *Channel) Taken() uint64 { return c.host.out.position() }

// Await waits until Send has something else to say than ErrFull, or until ctx
// ends, with its cause.
func (c *Channel) Await(ctx context.Context) error {
	if c.isClosed() {
		return errChannelClosed
	}
	return c.host.out.awaitRoom(ctx, c.closed)
}

// ReadHeader waits for the next answer. An error means that the channel or the
// session was closed.
func (c *Channel) ReadHeader(r *rpc.Response) error {
	h := c.host
	for {
		there := false // a message, which another reader found
		if !c.reading {
			var err error
			if there, err = c.lockRead(); err != nil {
				return err
			}
		}
		if !there {
			if err := h.receive(c); err != nil {
				return c.stop(err)
			}
		}
		if h.message.channel == c.id {
			h.pending.Add(-1)
			return c.header(r)
		}
		if h.handTo(h.message.channel) {
			c.reading = false
		} else {
			h.pending.Add(-1) // That channel was closed before its answer came.
		}
	}
}

// header fills in r from the message at hand.
func (c *Channel) header(r *rpc.Response) error {
	r.Seq = c.host.message.number
	switch c.host.message.kind {
	case kindFailure, kindRefused:
		text, err := io.ReadAll(&c.host.in)
		if err != nil {
			return c.stop(err)
		}
		r.Error = cmp.Or(string(text), "unknown error")
		if c.host.message.kind == kindRefused {
			r.Error = peererr.Text(r.Error)
			c.refused = &RefusedError{r.Error}
		}
		return nil
	}
	if c.host.message.fresh {
		c.dec = gob.NewDecoder(&c.host.in)
	}
	return nil
}

// past is a deadline that interrupts a read.
var past = time.Unix(1, 0)

// ReadReply decodes what belongs to the last header into the value that target
// points to; the zero Value drops it. An error that matches peererr.ErrConnectionLost
// means that the session has ended, a *RefusedError that the call was not run, any other
// that the reply is of another type.
func (c *Channel) ReadReply(target reflect.Value) error {
	switch c.host.message.kind {
	case kindFailure:
		return nil
	case kindRefused:
		return c.refused
	}
	err := DecodeValue(c.dec, target)
	if err != nil && c.host.in.source.err != nil {
		return c.stop(c.host.in.source.err)
	}
	return err
}

// handTo hands the read lock and the message at hand to the reader of another
// channel. It reports false if that channel was closed.
func (h *Host) handTo(id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[id]
	if c == nil {
		return false
	}
	c.handed <- struct{}{} // never blocks: there is only one read lock
	return true
}

// lockRead waits until this reader may read. It reports whether a message for
// it is at hand already.
func (c *Channel) lockRead() (there bool, err error) {
	select {
	case <-c.handed:
		there = true
	case <-c.host.readLock:
	case <-c.closed:
		select {
		case <-c.handed: // before it was closed
			c.reading = true
			c.host.pending.Add(-1)
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

func (c *Channel) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Close ends the channel: the plugin forgets what it served there, and the
// reader's ReadHeader fails. It may be called more than once.
func (c *Channel) Close() error {
	c.close.Do(func() {
		h := c.host
		h.mu.Lock()
		close(c.closed)
		delete(h.channels, c.id)
		if h.parked == c {
			h.woken = true
			_ = h.conn.SetReadDeadline(past)
		}
		h.mu.Unlock()
		c.sending.Lock() // A request that follows would be malformed.
		defer c.sending.Unlock()
		_ = h.send(newMessage(kindRelease, c.id))
	})
	return nil
}
