// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// HostConfig is what a host's side of a session needs. No field is required.
type HostConfig struct {
	// Draining is called when the plugin says that it is about to leave.
	Draining func()
	// Streams is called when the plugin has opened the first brokered stream,
	// before anything of it can be read from StreamConn. It must not block.
	Streams func()
	// MaxSend and MaxReceive bound one message in each direction, in bytes. The
	// plugin was told the second. Zero is no bound but the format's.
	MaxSend, MaxReceive int
	// Ended is called once with why the session has ended. It must not block.
	Ended func(error)
}

// Host is the host's side of a session: channels on which it calls.
//
// It has no reader of its own. Whoever waits for an answer on a channel reads,
// and hands a message of another channel to who waits there, together with the
// turn to read. So a call's answer is read by who waits for it, unless calls of
// several channels alternate.
type Host struct {
	config  HostConfig
	conn    net.Conn
	in      inbox
	out     outbox
	streams *streamConn
	outputs chan outputChunk // one at most: what the credit was for
	drained sync.Once

	// pending counts calls without an answer.
	pending atomic.Int64
	// turn is there while nobody reads.
	turn chan struct{}
	// message is the last that was read. Who has the turn owns it.
	message message

	mu       sync.Mutex
	channels map[uint64]*Channel
	opened   uint64   // channels that this side has opened
	parked   *Channel // waits for the first byte of a message
	woken    bool     // by a deadline
	err      error
	done     chan struct{}
}

// NewHost starts a session on a connection that is past its handshake. Channel
// 0 is the control channel. The caller closes the Host, which closes conn.
func NewHost(conn net.Conn, config HostConfig) *Host {
	h := &Host{
		config:   config,
		conn:     conn,
		in:       newInbox(conn, config.MaxReceive, nil),
		out:      outbox{conn: conn, try: newTryWriter(conn)},
		turn:     make(chan struct{}, 1),
		channels: make(map[uint64]*Channel),
		outputs:  make(chan outputChunk, 1),
		done:     make(chan struct{}),
	}
	h.out.broken = h.fail
	h.streams = newStreamConn(&h.out, conn)
	h.turn <- struct{}{}
	return h
}

// StreamConn returns what carries the yamux session of brokered streams. It
// ends with the session.
func (h *Host) StreamConn() net.Conn { return h.streams }

// Done is closed when the session has ended.
func (h *Host) Done() <-chan struct{} { return h.done }

// Err says why the session has ended, or nil.
func (h *Host) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Close ends the session and closes its connection.
func (h *Host) Close() error {
	h.fail(net.ErrClosed)
	return nil
}

// fail ends the session once.
func (h *Host) fail(err error) {
	h.mu.Lock()
	if h.err != nil {
		h.mu.Unlock()
		return
	}
	h.err = err
	close(h.done)
	h.mu.Unlock()
	if h.config.Ended != nil {
		h.config.Ended(err)
	}
	h.out.fail(err) // closes the connection
	h.streams.end(err)
}

// receive reads until there is a message for a channel, and leaves it in
// h.message. The caller, the reader of c, has the turn.
func (h *Host) receive(c *Channel) error {
	for {
		if err := h.await(c); err != nil {
			return err
		}
		if err := h.in.next(&h.message); err != nil {
			return err
		}
		switch h.message.kind {
		case answer, failure:
			return nil
		case draining:
			if h.config.Draining != nil {
				h.drained.Do(h.config.Draining)
			}
		case streams:
			if err := h.streams.deliver(&h.in, h.config.Streams); err != nil {
				return err
			}
		case output:
			if err := h.takeOutput(); err != nil {
				return err
			}
		case probe:
			if h.out.isFull() {
				break // What waits there is a sign as well, and enough.
			}
			if err := h.send(newMessage(alive)); err != nil {
				return err
			}
		}
		// Others are of a later version, and can be ignored.
	}
}

// await waits until there is something to read. Close of the channel
// interrupts it: the turn must not stay with a reader that nobody waits for.
func (h *Host) await(c *Channel) error {
	if h.in.buffered() > h.in.left {
		return nil // Part of the next message is here already.
	}
	if err := h.in.skip(); err != nil {
		return err
	}
	for {
		if !h.park(c) {
			return errChannelClosed
		}
		err := h.in.await()
		woken := h.unpark()
		if !woken || !isTimeout(err) {
			return err
		}
		h.in.source.err = nil
	}
}

// isTimeout reports whether a deadline has passed. Not every connection has the
// error of package os for that.
func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

func (h *Host) park(c *Channel) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.isClosed() {
		return false
	}
	h.parked = c
	return true
}

func (h *Host) unpark() (woken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parked = nil
	woken = h.woken
	if woken {
		h.woken = false
		_ = h.conn.SetReadDeadline(time.Time{})
	}
	return woken
}

// Moved counts what the peer's side of the connection gave and took of long
// messages. It grows while one is on its way, and nothing else can be.
func (h *Host) Moved() uint64 { return h.in.source.reads.Load() + h.out.advanced.Load() }

// send sends a message that has no value.
func (h *Host) send(b *buffer) error {
	if err := b.seal(h.config.MaxSend); err != nil {
		return err
	}
	_, err := h.out.put(b, now)
	return err
}

// urgencyOfCall says how a request leaves. While few calls are under way, each
// is waited for. When there are many, it pays to let some more come together.
func (h *Host) urgencyOfCall() urgency {
	if h.pending.Add(1) > lonely {
		return soon
	}
	return now
}

// lonely is up to how many calls under way each request is written at once.
const lonely = 3
