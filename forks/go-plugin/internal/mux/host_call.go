// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"time"
)

// keepDelay is after how long without a reader somebody reads all the same.
const keepDelay = 2 * time.Millisecond

// KeepReading sees to it that the session is read while nobody waits for an answer: it has
// no control channel, whose reader would do so. It is called before any call. The first one,
// if it is made at once, reads its answer by itself.
func (h *Host) KeepReading() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keeper = time.AfterFunc(keepDelay, h.keepReading) // which needs mu first
}

// keepReading reads until a caller is given its answer, who may read the next by itself. The
// timer calls it every keepDelay as long as callers read: to set it anew for each of them
// would wake a thread each time.
func (h *Host) keepReading() {
	if h.Err() != nil || h.keeping.Load() {
		return
	}
	reads := h.callerReads.Load()
	if h.keptReads.Swap(reads) != reads && h.streams.urgent.Load() == 0 {
		h.keeper.Reset(keepDelay)
		return
	}
	select {
	case <-h.readLock:
	default: // A caller reads.
		h.keeper.Reset(keepDelay)
		return
	}
	h.keeping.Store(true)
	h.streams.woke = false
	for !h.streams.woke || h.streams.urgent.Load() > 0 {
		if _, err := h.receiveOne(always{}); err != nil {
			h.fail(err)
			return
		}
	}
	h.keeping.Store(false)
	h.readLock <- struct{}{}
	h.keeper.Reset(keepDelay)
}

// unlockRead lets another one read than the caller that did.
func (h *Host) unlockRead() {
	h.in.r.rest()
	h.callerReads.Add(1)
	h.readLock <- struct{}{}
	if h.streams.urgent.Load() > 0 {
		h.keeper.Reset(0)
	}
}

// readNow has the session read without a delay.
func (h *Host) readNow() {
	if len(h.readLock) > 0 {
		h.keeper.Reset(0)
	}
}

// always is a reader that is never closed.
type always struct{}

func (always) isClosed() bool { return false }

// OpenCall opens a stream for a gRPC call and sends first and what is more, which may be
// nothing, and the end if nothing follows. It waits while the plugin does not take as much,
// until ctx ends. The caller closes the stream.
func (h *Host) OpenCall(ctx context.Context, purpose Purpose, header, first []byte, ends bool, more ...[]byte) (*Stream, error) {
	if len(first) <= smallWrite && len(more) == 0 {
		s, err := h.streams.openStream(ctx, purpose, header, first, ends)
		if err == nil && purpose != UnaryCall {
			h.readNow()
		}
		return s, err
	}
	s, err := h.streams.openStream(ctx, purpose, header, nil, false)
	if err != nil {
		return nil, err
	}
	// The plugin's credit has to be read meanwhile.
	h.streams.urgent.Add(1)
	defer h.streams.urgent.Add(-1)
	h.readNow()
	defer context.AfterFunc(ctx, func() { _ = s.Reset(context.Cause(ctx).Error()) })()
	// The plugin may have answered before it has read all, which whoever reads that will see.
	_, err = s.Write(first)
	for _, piece := range more {
		if err == nil {
			_, err = s.Write(piece)
		}
	}
	if err == nil && ends {
		_ = s.CloseWrite()
	}
	return s, nil
}

// callReader reads for a call.
type callReader struct{ ctx context.Context }

func (r *callReader) isClosed() bool { return r.ctx.Err() != nil }

// Await waits until the plugin has ended its half of a stream of OpenCall, or more has come
// than should wait, or the stream is over. It reads the connection meanwhile, unless
// another one does. It returns the cause of ctx if that ends first.
func (h *Host) Await(ctx context.Context, s *Stream) error {
	select {
	case <-s.call.wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.readLock:
	}
	reader := &callReader{ctx}
	defer context.AfterFunc(ctx, func() { h.interrupt(reader) })()
	for over, reads := false, uint64(0); ; {
		if !over && len(s.call.wake) > 0 {
			over, reads = true, h.in.r.reads.Load()
		}
		// It reads on while frames of the same read are left, so that no other caller is woken
		// for them, and stops at the next read, since a peer could go on for ever.
		if over && (h.in.r.Buffered() <= h.in.left || h.in.r.reads.Load() != reads) {
			break
		}
		switch _, err := h.receiveOne(reader); {
		case err == errChannelClosed:
			h.unlockRead()
			return context.Cause(ctx)
		case err != nil:
			h.fail(err)
			return nil // and so has the stream
		}
	}
	<-s.call.wake
	h.unlockRead()
	return nil
}

// interrupt makes a reader that is closed give up.
func (h *Host) interrupt(r reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parked == r {
		h.woken = true
		_ = h.conn.SetReadDeadline(past)
	}
}

// AtEnd reports whether all has come and was read.
func (s *Stream) AtEnd() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.ended && s.in.unread == 0
}

// TakeAvailable is Read that does not wait. It returns 0 and nil when nothing is at hand.
func (s *Stream) TakeAvailable(p []byte) (int, error) {
	s.mu.Lock()
	nothing := s.in.unread == 0 && !s.in.ended && s.err == nil && !s.closed
	s.mu.Unlock()
	if nothing {
		return 0, nil
	}
	return s.Read(p)
}
