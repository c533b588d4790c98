// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"fmt"
)

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
	if c.likely[r.Method] > 0 || looksLong(args) || c.isFarAhead() {
		return c.sendLong(b, key, r.Method, args)
	}
	first, long, err := c.values.add(b, args, c.host.maxSend)
	if err != nil {
		return 0, &EncodeError{err}
	}
	if long != nil {
		return c.putLong(first, long, key, r.Method)
	}
	c.countAhead(r.Number, len(first.data))
	when := now
	if c.traffic.isBusy(c.pending.Add(1)) {
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
	c.pending.Add(1)
	if end, err = h.out.put(first, later); err == nil {
		h.out.enlist(long)
	}
	return end, err
}

// Cancel says that nobody waits for the answer to a request that was sent. One comes all
// the same. It reports whether the plugin will surely not run the call.
func (c *Channel) Cancel(number uint64) (unsent bool) {
	h, key := c.host, callKey{c.id, number}
	stopped, _ := h.sent.stop(key)
	defer h.sent.giveBack(stopped)
	if h.out.withdraw(c.id, number) {
		return true
	}
	c.sending.Lock() // Nothing follows the message that releases the channel.
	defer c.sending.Unlock()
	if !c.released {
		b := newMessage(kindCancel, c.id, number)
		b.finish(0)
		_ = h.out.say(b, soon) // If it fails, the call is over.
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
