// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Channel is one kind that the plugin serves, or its control service, with gob
// streams of its own. Send may be called from any goroutine. The other methods
// belong to one reader, which calls ReadHeader until it fails, and after each
// success ReadReply or DetachReply: while it does not, the whole session may wait.
type Channel struct {
	host *Host
	id   uint64

	sending sync.Mutex // also held when the plugin is told of the end
	values  values
	traffic traffic
	likely  map[string]likelyLong // by method; those that are not
	// anyLikely says that there is one in likely.
	anyLikely atomic.Bool

	// These are the reader's.
	source  valueSource // of dec
	dec     *gob.Decoder
	reading bool // it holds the read lock
	head    message
	long    *arrival // the answer at hand, if it is a long one
	refusal string   // the text of the answer at hand

	handed chan struct{} // another reader hands over the read lock and a message
	closed chan struct{}
	close  sync.Once

	// These are guarded by the session's mu.
	ready   []readyAnswer // that were taken in for the reader; the first is next
	kept    int           // bytes of them, without long ones
	away    bool          // the reader has taken a ready one, and not come back
	arrived chan struct{} // one token: ready is no longer empty
	isReady atomic.Bool   // ready is not empty, or the reader is away
}

var (
	// ErrFull is a request that was not sent because the connection takes none.
	ErrFull = errors.New("the connection does not take requests")

	errChannelClosed = peererr.Lost(errors.New("channel closed"))
)

// EncodeError is a request whose arguments cannot be encoded. It was not sent.
type EncodeError struct{ Err error }

func (e *EncodeError) Error() string { return e.Err.Error() }

// Unwrap returns what the encoder said.
func (e *EncodeError) Unwrap() error { return e.Err }

// RefusedError is a call that the plugin has not run, and why.
type RefusedError struct {
	// Reason is the plugin's own text.
	Reason string
	// Busy says that the same plugin may take the call later.
	Busy bool
}

func (e *RefusedError) Error() string { return "the plugin refused the call: " + e.Reason }

// HasNoReply reports whether an error of ReadReply is what the call has come to, in the
// place of a reply: the plugin has refused it, or its answer has too many bytes. The header
// has the text of it as well.
func HasNoReply(err error) bool {
	var refused *RefusedError
	var tooLarge *TooLargeError
	return errors.As(err, &refused) || errors.As(err, &tooLarge)
}

// Channel returns the channel of an id that the plugin named. Each is asked for
// once. The caller closes it.
func (h *Host) Channel(id uint64) *Channel {
	c := &Channel{host: h, id: id, handed: make(chan struct{}, 1), closed: make(chan struct{}), arrived: make(chan struct{}, 1)}
	c.source.valueReader = &h.in
	c.dec = gob.NewDecoder(&c.source)
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
	if err := c.takes(); err != nil {
		return 0, err
	}
	b, key := newMessage(kindRequest, c.id, r.Number), callKey{c.id, r.Number}
	b.call(r.Method, r.Timeout, metadata...)
	if e, ok := args.(*encoded); ok {
		return c.sendEncoded(b, key, r.Method, e)
	}
	if c.likely[r.Method] > 0 || looksLong(args) {
		return c.sendLong(b, key, r.Method, args)
	}
	first, long, err := c.values.add(b, args, c.host.maxSend)
	if err != nil {
		return 0, &EncodeError{err}
	}
	if long != nil {
		return c.putLong(first, long, key, r.Method)
	}
	when := now
	if c.traffic.isBusy(c.host.pending.Add(1)) {
		when = soon // It pays to let some more requests join it.
	}
	return c.host.out.put(first, when)
}

// takes says why the channel takes no request, if so.
func (c *Channel) takes() error {
	switch {
	case c.isClosed():
		return errChannelClosed
	case c.host.out.isFull():
		return ErrFull
	}
	return nil
}

// sendLong sends a request whose arguments are likely to be long. Others need not wait for
// their encoding.
func (c *Channel) sendLong(b *buffer, key callKey, method string, args any) (end uint64, err error) {
	encoder := c.values.takeApart()
	c.sending.Unlock()
	first, long, err := encoder.add(b, args, c.host.maxSend)
	c.sending.Lock()
	if err != nil {
		return 0, &EncodeError{err}
	}
	c.values.keepApart(encoder, long.left())
	if c.isClosed() {
		return 0, errChannelClosed
	}
	return c.putLong(first, long, key, method)
}

// putLong queues the first frame of a request, and its parts.
func (c *Channel) putLong(first *buffer, long *sending, key callKey, method string) (end uint64, err error) {
	h := c.host
	if c.likely == nil {
		c.likely = make(map[string]likelyLong)
	}
	if c.likely[method] = c.likely[method].after(long.left()); c.likely[method] == 0 {
		delete(c.likely, method)
	}
	c.anyLikely.Store(len(c.likely) > 0)
	long.key = key
	if !h.sent.start(long) {
		return 0, &EncodeError{fmt.Errorf("call %d is being sent already", key.number)}
	}
	h.pending.Add(1)
	if end, err = h.out.put(first, later); err == nil {
		h.out.enlist(long)
	}
	return end, err
}

// Cancel says that nobody waits for the answer to a request that was sent. One comes all
// the same. It reports whether the plugin will surely not run the call.
func (c *Channel) Cancel(number uint64) (unsent bool) {
	h, key := c.host, callKey{c.id, number}
	h.sent.drop(key)
	if h.out.withdraw(c.id, number) {
		return true
	}
	h.come.drop(key)
	c.sending.Lock() // Nothing follows the message that releases the channel.
	defer c.sending.Unlock()
	if !c.isClosed() {
		b := newMessage(kindCancel, c.id, number)
		b.finish(0)
		_, _ = h.out.put(b, soon) // If it fails, the call is over.
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
			h.pending.Add(-1)
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
		c.dec = gob.NewDecoder(&c.source)
	}
	return nil
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
	err := DecodeValue(c.dec, target)
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
	body := make([]byte, in.left)
	if _, err := io.ReadFull(in, body); err != nil {
		return c.stop(err)
	}
	if !c.host.keep(c.id, readyAnswer{head: c.head, body: body}) || !c.takeReady() {
		return c.stop(errChannelClosed)
	}
	return nil
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
		dropped := c.ready
		c.ready, c.kept = nil, 0
		if h.parked == c {
			h.woken = true
			_ = h.conn.SetReadDeadline(past)
		}
		h.mu.Unlock()
		for _, answer := range dropped {
			if answer.long != nil {
				h.come.release(answer.long)
			}
		}
		h.come.dropChannel(c.id)
		c.sending.Lock() // A request that follows would be malformed.
		defer c.sending.Unlock()
		h.sent.dropChannel(c.id)
		_ = h.send(newMessage(kindRelease, c.id))
	})
	return nil
}
