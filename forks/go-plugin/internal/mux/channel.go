// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/gob"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Channel is one kind that the plugin serves, or its control service, with gob
// streams of its own. Send may be called from any goroutine. The other methods
// belong to one reader, which calls ReadHeader until it fails, and after each
// success ReadReply or DetachReply, if it likes behind AwaitReply: while it does not, the
// whole session may wait.
type Channel struct {
	host *Host
	id   uint64

	sending  sync.Mutex // also held when the plugin is told of the end
	released bool       // it was told
	values   values
	traffic  traffic
	pending  atomic.Int64          // calls without an answer
	likely   map[string]likelyLong // by method; those that are not
	// anyLikely says that there is one in likely.
	anyLikely atomic.Bool
	// making says that the plugin may still be making the kind, and keep requests until it
	// has. ahead counts those, see maxAhead; the number of the first is one less than firstAhead.
	making     atomic.Bool
	ahead      atomic.Int64
	firstAhead atomic.Uint64

	// These are the reader's.
	source  valueSource  // of dec
	dec     *gob.Decoder // nil: of a stream that has described no types
	opening bool         // the plugin may not have been told of the channel
	reading bool         // it holds the read lock
	head    message
	long    *arrival // the answer at hand, if it is a long one
	refusal string   // the text of the answer at hand
	body    []byte   // the answer at hand, if it was taken in before; until it is decoded
	ownBody bool     // its memory may be given to whom the answer is for

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

// Error implements error with what the encoder said.
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

// Error implements error with the plugin's reason.
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
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channelLocked(id)
}

func (h *Host) channelLocked(id uint64) *Channel {
	c := &Channel{host: h, id: id, handed: make(chan struct{}, 1), closed: make(chan struct{}), arrived: make(chan struct{}, 1)}
	c.source.valueReader = &h.in
	c.values.inPlace = h.out.gather != nil
	h.channels[id] = c
	h.count(id, 1)
	return c
}

// count adds n channels like that of an id to those that the plugin serves. The caller holds
// the session's mu.
func (h *Host) count(id uint64, n int) {
	if id != 0 {
		h.served += n
	}
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
		stopped := h.sent.stopChannel(c.id, false)
		c.released = true
		_ = h.send(newMessage(kindRelease, c.id))
		c.uncountAhead() // What is sent from now on comes behind that.
		h.sent.giveBack(stopped...)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.count(c.id, -1)
	})
	return nil
}
