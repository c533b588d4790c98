// SPDX-License-Identifier: MPL-2.0

package mux

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
	// Accept takes what the other side opens.
	Accept Acceptors
	// MaxSend and MaxReceive bound one message in each direction, in bytes. The
	// plugin was told the second. Zero is no bound but the format's.
	MaxSend, MaxReceive int
	// Ended is called once with what ended the session, and returns the error that
	// callers get. It must neither block nor use the session.
	Ended func(error) error
}

// Host is the host's side of a session: channels on which it calls.
//
// It has no reader of its own. Whoever waits for an answer on a channel takes the
// read lock and reads, and hands a message of another channel, together with the
// lock, to whoever waits there. So an answer is read by the caller that waits for
// it, unless calls of several channels alternate.
type Host struct {
	session
	config  HostConfig
	drained sync.Once

	// readLock holds a token while nobody reads.
	readLock chan struct{}
	// message is the last that was read. It belongs to the holder of the read lock.
	message message

	// The rest is guarded by the session's mu.
	channels map[uint64]*Channel
	opened   uint64 // channels that this side has opened
	served   int    // channels beside the control channel whose end the plugin was not told of
	parked   reader // waits for the first byte of a message
	woken    bool   // by a deadline
	pings    pings

	// keeper reads where nobody waits for an answer; nil: a channel's reader does.
	keeper      *time.Timer
	callerReads atomic.Uint64 // by callers that have found their answers
	keptReads   atomic.Uint64 // when the keeper last looked
	keeping     atomic.Bool   // the keeper reads

	ahead atomic.Int64 // of all channels, see maxAhead
}

// NewHost starts a session on a connection that is past its handshake. Channel
// 0 is the control channel. The caller closes the Host, which closes conn.
func NewHost(conn net.Conn, config HostConfig) *Host {
	h := &Host{
		config:   config,
		readLock: make(chan struct{}, 1),
		channels: make(map[uint64]*Channel),
	}
	h.ended = config.Ended
	h.init(conn, config.MaxSend, config.MaxReceive, nil)
	h.out.most = maxUnread
	h.streams.init(&h.out, conn, true, config.Accept)
	h.readLock <- struct{}{}
	return h
}

// Close ends the session and closes its connection.
func (h *Host) Close() error {
	h.out.flush() // What waits for a first request.
	return h.session.Close()
}

// receive reads until there is an answer for a channel in one frame, and leaves it in
// h.message, or until a long one for c has come as a whole, which is in c.ready then. The
// caller, the reader of c, holds the read lock.
func (h *Host) receive(c *Channel) error {
	for {
		if there, err := h.receiveOne(c); there || err != nil {
			return err
		}
	}
}

// receiveOne reads one frame, and reports whether it is an answer for a channel, or the
// last of a long one for r. The caller holds the read lock.
func (h *Host) receiveOne(r reader) (forChannel bool, err error) {
	if err := h.await(r); err != nil {
		return false, err
	}
	if err := h.in.next(&h.message); err != nil {
		return false, err
	}
	switch h.message.kind {
	case kindAnswer, kindFailure:
		if h.message.more {
			return h.beginLong(r)
		}
		return h.message.kind == kindAnswer || !h.endLong(), nil
	case kindRefused:
		h.sent.drop(callKey{h.message.channel, h.message.number}) // It may have been refused half way.
		return true, nil
	case kindPart:
		return h.takePart(r)
	case kindGrant:
		h.sent.grant(callKey{h.message.channel, h.message.number}, h.message.size)
	case kindDraining:
		if h.config.Draining != nil {
			h.drained.Do(h.config.Draining)
		}
	case kindStream, kindData, kindCredit, kindEnd, kindReset:
		return false, h.streams.deliver(h.message.kind, &h.in)
	case kindProbe:
		if h.out.isFull() {
			break // What waits there is a sign as well, and enough.
		}
		return false, h.send(newMessage(kindAlive))
	case kindAlive:
		h.mu.Lock()
		h.pings.answered()
		h.mu.Unlock()
	case kindBye:
		return false, h.byeError("plugin")
	}
	// Others are of a later version, and can be ignored.
	return false, nil
}

// reader is whoever holds the read lock. One that is closed reads no further.
type reader interface{ isClosed() bool }

// await waits until there is something to read. Close of the channel interrupts it:
// a reader whose channel is closed must not keep the read lock.
func (h *Host) await(r reader) error {
	if h.in.r.Buffered() > h.in.left {
		return nil // Part of the next message is here already.
	}
	if err := h.in.skip(); err != nil {
		return err
	}
	for {
		woken, err := h.awaitByte(r)
		if !woken || !isTimeout(err) {
			return err
		}
		h.in.r.err = nil
	}
}

// awaitByte waits for one byte. woken reports that Close of the channel interrupted it.
func (h *Host) awaitByte(r reader) (woken bool, err error) {
	if !h.park(r) {
		return false, errChannelClosed
	}
	_, err = h.in.r.Peek(1)
	return h.unpark(), err
}

// isTimeout reports whether a deadline has passed. Not every connection has the
// error of package os for that.
func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

func (h *Host) park(r reader) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.isClosed() {
		return false
	}
	h.parked = r
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
