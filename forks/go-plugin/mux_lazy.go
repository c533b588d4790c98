// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"net"
	"sync"

	"github.com/hashicorp/yamux"
)

// lazyStreams is the muxSession of a session with the feature rpc-mux: a yamux
// session inside of it, which begins with the first brokered stream. Most
// plugins never open one.
type lazyStreams struct {
	owner  streamsOwner
	broker *MuxBroker
	make   func() (*yamux.Session, error)

	mu     sync.Mutex
	mux    *yamux.Session
	err    error
	closed bool
}

// streamsOwner is the session that carries the streams.
type streamsOwner interface {
	Done() <-chan struct{}
	Close() error
}

// init completes the streams before the session uses them.
func (l *lazyStreams) init(owner streamsOwner, broker *MuxBroker, make func() (*yamux.Session, error)) {
	l.owner, l.broker, l.make = owner, broker, make
}

// begin starts the yamux session, and takes in what the other side opens. It
// does not wait.
func (l *lazyStreams) begin() { _, _ = l.session() }

func (l *lazyStreams) session() (*yamux.Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	if l.mux == nil && l.err == nil {
		if l.mux, l.err = l.make(); l.err == nil {
			go l.run()
		}
	}
	return l.mux, l.err
}

// run takes in what the other side opens. Without streams a session is of no
// use to who has opened some, nor is it to tell from one that works.
func (l *lazyStreams) run() {
	l.broker.Run()
	_ = l.owner.Close()
}

// Open implements muxSession.
func (l *lazyStreams) Open() (net.Conn, error) {
	mux, err := l.session()
	if err != nil {
		return nil, err
	}
	return mux.Open()
}

// Accept implements muxSession. The broker calls it once the session has begun.
func (l *lazyStreams) Accept() (net.Conn, error) {
	mux, err := l.session()
	if err != nil {
		return nil, err
	}
	return mux.Accept()
}

// CloseChan implements muxSession.
func (l *lazyStreams) CloseChan() <-chan struct{} { return l.owner.Done() }

// Close implements muxSession: it ends the whole session.
func (l *lazyStreams) Close() error {
	err := l.owner.Close()
	l.mu.Lock()
	mux := l.mux
	l.closed = true
	l.mu.Unlock()
	if mux != nil {
		err = errors.Join(err, mux.Close())
	}
	return err
}
