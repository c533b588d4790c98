// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Purpose says what a stream is for. PROTOCOL.md has them all.
type Purpose byte

const (
	// Brokered is a connection that was named by an id. The header is the id.
	Brokered Purpose = 1
	// output is the plugin's output. Only a host opens it, once.
	output Purpose = 2
	// HTTP2 is the connection of a gRPC session that speaks HTTP/2.
	HTTP2 Purpose = 3
	// Call is a gRPC call. The header begins with its method, behind the length of that.
	Call Purpose = 4
	// UnaryCall is one whose request is a single message. It is not run before all of that
	// has come, unless it is long.
	UnaryCall Purpose = 5

	purposes = UnaryCall + 1
)

// Stream is one end of a stream of bytes in a session. It is a net.Conn with half
// close. Its addresses are those of the session's connection. All methods may be called
// from any goroutine. Its owner closes it.
//
// What was written before Close still reaches the other side, unless the session ends.
// Reading gives what has come, then io.EOF if the other side has ended its half in
// order, and else why the stream is over. When the session was lost, that matches
// peererr.ErrConnectionLost.
type Stream struct {
	table   *streamTable
	id      uint64
	purpose Purpose
	header  []byte
	waits   bool // nobody has taken it; guarded by the table

	headerSize int // in bytes, also when the header was forgotten

	// sending is held by whoever puts frames of the stream into the outbox, which keeps
	// them in order. It is locked before mu.
	sending sync.Mutex

	mu       sync.Mutex // guards the rest
	in       receiver
	out      sender
	readable sync.Cond // there is something for Read
	writable sync.Cond // there is something for Write, or for AwaitAccept
	accepted bool      // the other side has taken the stream
	closed   bool      // by this side
	unsaid   int       // frames that end it or its half, and are still to be put
	err      error     // why it is over in both directions, other than by closed
	over     chan struct{}
	failed   func(error) // of OnFail
	call     streamCall
}

func newStream(t *streamTable, id uint64, purpose Purpose, header []byte) *Stream {
	s := &Stream{table: t, id: id, purpose: purpose, header: header, headerSize: len(header)}
	s.in.window, s.out.allowed = streamWindow, streamWindow
	s.readable.L, s.writable.L = &s.mu, &s.mu
	if t.isHost && purpose == UnaryCall {
		s.call.wake = make(chan struct{}, 1)
	}
	return s
}

// isOurs reports that this side has opened the stream.
func (s *Stream) isOurs() bool { return (s.id%2 == 0) == s.table.isHost }

// Header returns what the stream was opened with.
func (s *Stream) Header() []byte { return s.header }

// Purpose returns what the stream is for.
func (s *Stream) Purpose() Purpose { return s.purpose }

// Take says that this side has an owner for the stream, which the other side opened. It
// does not wait among the others any more.
func (s *Stream) Take() { s.table.take(s) }

// Accept is Take, and tells the other side. It returns why the stream is over, if it is.
func (s *Stream) Accept() error {
	s.Take()
	s.mu.Lock()
	err := s.endLocked()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.table.send(newMessage(kindCredit, s.id, 0))
}

// AwaitAccept waits until the other side has accepted the stream, or for the end of ctx,
// whose cause it returns. It returns why the stream is over, if it is.
func (s *Stream) AwaitAccept(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writable.Broadcast()
	})()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch err := s.endLocked(); {
		case s.accepted:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		s.writable.Wait()
	}
}

// endLocked returns why the stream can be used no more, if it cannot.
func (s *Stream) endLocked() error {
	if s.closed {
		return net.ErrClosed
	}
	return s.err
}

// Done is closed when the stream is over in both directions. What has come can still be
// read then, unless this side has closed it.
func (s *Stream) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = make(chan struct{})
		if s.isOverLocked() {
			close(s.over)
		}
	}
	return s.over
}

// OnFail has f called once if the other side resets the stream, or the session ends, while
// the stream is not over. f must not block. A second call replaces the first.
func (s *Stream) OnFail(f func(error)) {
	s.mu.Lock()
	err := s.err
	if err == nil {
		s.failed = f
	}
	s.mu.Unlock()
	if err != nil && f != nil {
		f(err)
	}
}

// explain makes err an error of the connection. io.EOF stays as it is.
func (s *Stream) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "stream", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

// ResetError is a stream that the other side has reset.
type ResetError struct {
	// Reason is what the other side says.
	Reason string
}

// Error implements error.
func (e *ResetError) Error() string { return peererr.Text(e.Reason) }

var errWriteClosed = fmt.Errorf("the stream was closed for writing: %w", io.ErrClosedPipe)

// lostStream is why a stream is over whose session has ended.
func lostStream(err error) error {
	if errors.Is(err, net.ErrClosed) {
		err = errors.New("the session was closed")
	}
	return peererr.Lost(err)
}

// LocalAddr implements net.Conn.
func (s *Stream) LocalAddr() net.Addr { return s.table.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (s *Stream) RemoteAddr() net.Addr { return s.table.conn.RemoteAddr() }
