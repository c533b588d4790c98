// SPDX-License-Identifier: MPL-2.0

package mux

import "errors"

// encoded are arguments that were encoded before the request that has them was made.
type encoded struct {
	encoder *apart
	long    *sending // nil: it was sent
	err     error
}

var errSentTwice = errors.New("arguments that were encoded ahead were sent already")

// EncodeAhead returns what encodes arguments of a method if they are likely to be long, and
// nil if they are not. It may be called from any goroutine, and what encode returns is given to
// one Send that succeeds, in the place of the arguments. So others need not wait for that.
func (c *Channel) EncodeAhead(method string, args any) (encode func(args any) any) {
	if looksLong(args) || c.isLikelyLong(method) {
		return c.encodeAhead
	}
	return nil
}

func (c *Channel) isLikelyLong(method string) bool {
	if !c.anyLikely.Load() {
		return false
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.likely[method] > 0
}

func (c *Channel) encodeAhead(args any) any {
	c.sending.Lock()
	e := &encoded{encoder: c.values.takeApart()}
	c.sending.Unlock()
	head := newBuffer()
	head.data = append(head.data, make([]byte, partHead)...) // of the first part
	var first *buffer
	if first, e.long, e.err = e.encoder.add(head, args, c.host.maxSend); e.err == nil {
		first.recycle()
	}
	return e
}

// sendEncoded sends a request with such arguments. The caller holds the lock.
func (c *Channel) sendEncoded(b *buffer, key callKey, method string, e *encoded) (end uint64, err error) {
	long := e.long
	if e.long = nil; e.err == nil && long == nil {
		e.err = errSentTwice
	}
	if e.err != nil {
		return 0, &EncodeError{e.err}
	}
	c.values.keepApart(e.encoder, long.left())
	b.data[lengthSize] |= byte(flagMore)
	b.number(uint64(long.left()))
	b.finish(0)
	return c.putLong(b, long, key, method)
}
