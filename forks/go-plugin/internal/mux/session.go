// SPDX-License-Identifier: MPL-2.0

// Package mux carries the net/rpc calls of a session, and what else the
// session needs, as messages on one connection. PROTOCOL.md, "Messages",
// describes them.
//
// Beside yamux with a net/rpc connection in each stream, it saves goroutines,
// buffers and system calls. No goroutine stands between the connection and
// whoever waits for it: the host's readers pass a read lock to one another, and
// the plugin runs a method that is known to be quick in the goroutine that read
// its request. Messages that are due at the same time leave in one write.
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

// session is what both sides have of a session.
type session struct {
	conn    net.Conn
	in      inbox
	out     outbox
	sent    sendings // long messages
	come    arrivals
	streams streamTable
	maxSend int               // bytes of a message; zero: any number
	ended   func(error) error // gives what callers get for what ended it; may be nil

	mu   sync.Mutex
	err  error
	done chan struct{}
}

// init starts the session. beforeRead, if not nil, is called before reading may have
// to wait.
func (s *session) init(conn net.Conn, maxSend, maxReceive int, beforeRead func()) {
	s.conn, s.maxSend, s.done = conn, maxSend, make(chan struct{})
	s.in = newInbox(conn, beforeRead)
	s.out = outbox{conn: conn, socket: newNonblockingWriter(conn), broken: s.fail}
	s.out.gather, _ = s.out.socket.(gatherWriter)
	s.sent.out = &s.out
	s.come = newArrivals(&s.out, maxReceive)
}

// OpenStream opens a stream with a header of at most 32 KiB. It waits only while the
// connection takes nothing, until ctx ends, and not for the other side: Stream has
// AwaitAccept for that. Bytes can be written at once. The caller closes it.
func (s *session) OpenStream(ctx context.Context, purpose Purpose, header []byte) (*Stream, error) {
	return s.streams.openStream(ctx, purpose, header, nil, false)
}

// Done is closed when the session has ended.
func (s *session) Done() <-chan struct{} { return s.done }

// Err says why the session has ended, or nil.
func (s *session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the session and closes its connection.
func (s *session) Close() error {
	s.fail(net.ErrClosed)
	return nil
}

// fail ends the session once.
func (s *session) fail(err error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	if s.ended != nil {
		err = s.ended(err)
	}
	s.err = err
	close(s.done)
	s.mu.Unlock()
	if errors.Is(err, errMalformed) || errors.Is(err, errBeyond) {
		s.out.sayBye(err.Error())
	}
	s.out.fail(err) // closes the connection
	s.streams.end(err)
}

// send sends a message that has no value.
func (s *session) send(b *buffer) error {
	b.finish(0)
	return s.out.say(b, now)
}

// byeError gives what ends the session for a peer's last frame, which is at hand. who is the
// peer.
func (s *session) byeError(who string) error {
	text, err := io.ReadAll(&s.in)
	if err != nil {
		return err
	}
	return fmt.Errorf("the %s has ended the session: %s", who, peererr.Text(string(text)))
}

// Moved counts what the peer's side of the connection gave, and took of long
// messages. It grows while a message is on its way.
func (s *session) Moved() uint64 { return s.in.r.reads.Load() + s.out.advanced.Load() }
