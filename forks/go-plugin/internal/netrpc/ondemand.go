// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"errors"
	"net"
	"sync"

	"github.com/hashicorp/yamux"
)

// onDemand is the Streams of a session with the feature mux: a yamux session inside
// of it, which begins with the first brokered stream. Most plugins never open one.
type onDemand struct {
	carrier carrier
	broker  *Broker
	start   func(net.Conn) (*yamux.Session, error)

	mu      sync.Mutex
	session *yamux.Session
	err     error
	closed  bool
}

// carrier is the session that carries the streams.
type carrier interface {
	StreamConn() net.Conn
	Done() <-chan struct{}
	Close() error
}

// begin starts the yamux session, and takes in what the other side opens. It
// does not wait.
func (o *onDemand) begin() { _, _ = o.begun() }

func (o *onDemand) begun() (*yamux.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, net.ErrClosed
	}
	if o.session == nil && o.err == nil {
		if o.session, o.err = o.start(o.carrier.StreamConn()); o.err == nil {
			go o.run()
		}
	}
	return o.session, o.err
}

// run takes in what the other side opens. When the streams end, so does the session:
// to a plugin that has opened some it would be of no use without them, and could not
// be told from one that works.
func (o *onDemand) run() {
	o.broker.Run()
	_ = o.carrier.Close()
}

func (o *onDemand) Open() (net.Conn, error) { return o.stream((*yamux.Session).Open) }

func (o *onDemand) Accept() (net.Conn, error) { return o.stream((*yamux.Session).Accept) }

func (o *onDemand) stream(from func(*yamux.Session) (net.Conn, error)) (net.Conn, error) {
	session, err := o.begun()
	if err != nil {
		return nil, err
	}
	return from(session)
}

func (o *onDemand) CloseChan() <-chan struct{} { return o.carrier.Done() }

// Close ends the whole session.
func (o *onDemand) Close() error {
	err := o.carrier.Close()
	o.mu.Lock()
	session := o.session
	o.closed = true
	o.mu.Unlock()
	if session != nil {
		err = errors.Join(err, session.Close())
	}
	return err
}
