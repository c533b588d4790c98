// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

// deliver acts on the message at hand, which is about a stream. Only the session's
// reader calls it. An error ends the session.
func (t *streamTable) deliver(k kind, in *inbox) error {
	id, err := in.uvarint()
	if err != nil {
		return in.short("a stream's number", err)
	}
	if k == kindStream {
		return t.opened(id, in)
	}
	s, err := t.find(id)
	if s == nil || err != nil {
		return err
	}
	switch k {
	case kindData:
		if err := s.receive(in); err != nil {
			return err
		}
		return t.startLong(s)
	case kindCredit:
		n, err := in.uvarint()
		if err != nil {
			return in.short("the credit of a stream", err)
		}
		return s.credit(n)
	case kindEnd:
		if err := s.receiveEnd(); err != nil {
			return err
		}
		t.complete(s)
	case kindReset:
		reason, err := io.ReadAll(io.LimitReader(in, maxReason))
		if err != nil {
			return err
		}
		s.fail(&ResetError{string(reason)})
		t.givenUp(s)
	}
	return nil
}

// short is the error of a field that was not read to its end: the message has none, or the
// connection has ended.
func (in *inbox) short(field string, err error) error {
	if in.r.err != nil {
		return midway(err, 1)
	}
	return fmt.Errorf("%w: %s: %v", errMalformed, field, err)
}

// find returns a stream, or nil if it is over. A stream that there never was is malformed.
func (t *streamTable) find(id uint64) (*Stream, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s != nil {
		return s, nil
	}
	end := t.latest + 1
	if id%2 == t.own%2 {
		end = t.own
	}
	if id == 0 || id >= end {
		return nil, fmt.Errorf("%w: stream %d was never opened", errMalformed, id)
	}
	return nil, nil
}

// opened takes in a stream that the other side opens, or refuses it.
func (t *streamTable) opened(id uint64, in *inbox) error {
	purpose, err := in.ReadByte()
	if err != nil {
		return in.short("the purpose of a stream", err)
	}
	if in.left > maxStreamHeader {
		return fmt.Errorf("%w: the header of stream %d has %d bytes, at most %d are possible", errMalformed, id, in.left, maxStreamHeader)
	}
	header := make([]byte, in.left)
	if _, err := io.ReadFull(in, header); err != nil {
		return err
	}
	s := newStream(t, id, Purpose(purpose), header)
	refusal, err := t.add(s)
	if err != nil {
		return err
	}
	if refusal == nil {
		refusal = t.accepted(s)
	}
	if refusal == nil {
		if s.purpose != UnaryCall {
			// Its owner has a goroutine for it, which runs first. If a peer that opens
			// thousands at once had them all wait to run, other sessions would wait behind
			// them.
			runtime.Gosched()
		}
		return nil
	}
	if err := t.mayRefuse(refusal); err != nil {
		return err
	}
	return s.Reset(refusal.Error())
}

// add makes s one of the session's streams, unless it says why not. A unary call waits for its
// request, and not for an owner.
func (t *streamTable) add(s *Stream) (refusal, err error) {
	waits := s.purpose != UnaryCall
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.id%2 == t.own%2 || s.id <= t.latest {
		return nil, fmt.Errorf("%w: stream %d cannot be opened after stream %d", errMalformed, s.id, t.latest)
	}
	t.latest = s.id
	switch {
	case t.err != nil:
		return nil, t.err
	case s.purpose >= purposes || t.accept[s.purpose] == nil:
		return fmt.Errorf("unknown purpose %d", s.purpose), nil
	case t.theirs.streams >= maxOpenStreams+moreStreams:
		return fmt.Errorf("%d streams are open, which is the most", t.theirs.streams), nil
	case waits && t.waiting >= maxWaitingStreams:
		return fmt.Errorf("%d streams wait to be accepted, which is the most", t.waiting), nil
	case t.theirs.headers+s.headerSize > maxStreamHeaders+moreHeaders:
		return fmt.Errorf("the headers of open streams have %d bytes, and at most %d are possible", t.theirs.headers+s.headerSize, maxStreamHeaders+moreHeaders), nil
	}
	t.byID[s.id] = s
	t.theirs.add(s)
	t.count(s, 1)
	if waits {
		t.waiting++
		s.waits = true
	}
	return nil, nil
}

// mayRefuse returns when there is room for a refusal. A plugin's reader may wait for the
// host to make some. A host's may not: the plugin may wait for the host in the same way.
func (t *streamTable) mayRefuse(reason error) error {
	switch {
	case !t.isHost:
		return t.out.awaitRoom(context.Background(), nil)
	case t.out.isFull():
		return fmt.Errorf("the plugin opens streams, and does not read why they are refused: %w", reason)
	}
	return nil
}
