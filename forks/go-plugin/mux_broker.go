// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// brokerTimeout is how long both brokers wait for the other side to turn up.
// Every go-plugin peer uses five seconds, so a longer wait on one side only
// would not help.
const brokerTimeout = 5 * time.Second

// maxArrivals is how many streams of a session may wait to be accepted. What the other
// side opens beyond waits in yamux, which refuses all but its own backlog.
const maxArrivals = 1024

// muxSession is what a MuxBroker needs of the multiplexed connection.
// *yamux.Session implements it.
type muxSession interface {
	Open() (net.Conn, error)
	Accept() (net.Conn, error)
	Close() error
	CloseChan() <-chan struct{}
}

// MuxBroker opens further streams beside the calls of a net/rpc session. One
// side takes an id from NextId, accepts on it and tells the id to the other
// side, for example as an argument; the other side dials it. Ids belong to one
// session: in network mode every host has a broker of its own.
type MuxBroker struct {
	// Mutex is part of the type's published shape. The broker does not use it.
	sync.Mutex

	session  muxSession
	arrivals *streamArrivals
	waiting  chan struct{} // one item for each stream that waits to be accepted
	patience time.Duration // of Accept
	serving  rpcServing    // of AcceptAndServe
}

// newMuxBroker returns the broker of a session. arrivals are its own, or those
// that it shares with others.
func newMuxBroker(session muxSession, arrivals *streamArrivals) *MuxBroker {
	return &MuxBroker{
		session: session, arrivals: arrivals, patience: brokerTimeout,
		waiting: make(chan struct{}, maxArrivals),
	}
}

// NextId returns an id that this side has not used before in this session (it
// wraps after 2^32).
func (m *MuxBroker) NextId() uint32 { return m.arrivals.nextID.Add(1) }

// Accept waits up to 5 s for the stream that the other side dials under id.
// The caller closes it. One id is accepted once at a time.
func (m *MuxBroker) Accept(id uint32) (net.Conn, error) {
	timeout := time.NewTimer(m.patience)
	defer timeout.Stop()
	for {
		stream, err := m.await(id, timeout.C)
		if err != nil {
			return nil, err
		}
		// Others may be dialled under the same id from here on.
		if err = writeStreamID(stream, id); err == nil {
			return stream, nil
		}
		// Who dialled has gone meanwhile. Somebody else may.
		_ = stream.Close()
	}
}

// await waits for a stream that was dialled under id.
func (m *MuxBroker) await(id uint32, timeout <-chan time.Time) (net.Conn, error) {
	a := m.arrivals.expect(id)
	select {
	case stream := <-a.stream:
		m.arrivals.forget(id, a)
		return stream, nil
	case <-m.session.CloseChan():
		m.arrivals.forget(id, a)
		return nil, fmt.Errorf("accept brokered stream %d: %w", id, ErrConnectionLost)
	case <-timeout:
		m.arrivals.forget(id, a)
		return nil, fmt.Errorf("timeout waiting for accept: nobody dialled brokered stream %d within %v", id, m.patience)
	}
}

// AcceptAndServe accepts id and serves v under the net/rpc name "Plugin" until
// the stream ends. It returns without serving when nobody dials.
func (m *MuxBroker) AcceptAndServe(id uint32, v interface{}) {
	stream, err := m.Accept(id)
	if err != nil {
		return // The side that should have dialled sees its own call fail.
	}
	serveNetRPC(stream, v, m.serving)
}

// Dial opens the stream that the other side accepts under id, and waits up to
// 5 s for it to do so. The caller closes it.
func (m *MuxBroker) Dial(id uint32) (net.Conn, error) {
	stream, err := m.session.Open()
	if err != nil {
		return nil, fmt.Errorf("open brokered stream %d: %w", id, err)
	}
	if err := handOver(stream, id); err != nil {
		_ = stream.Close()
		return nil, err
	}
	return stream, nil
}

// handOver names the id on a new stream and waits until the other side repeats
// it, which it does when somebody accepted.
func handOver(stream net.Conn, id uint32) error {
	// The acceptor may come 5 s later than we; the margin keeps its answer
	// from racing our deadline.
	_ = stream.SetDeadline(time.Now().Add(brokerTimeout + time.Second))
	if err := writeStreamID(stream, id); err != nil {
		return fmt.Errorf("name brokered stream %d: %w", id, err)
	}
	ack, err := readStreamID(stream)
	if err != nil {
		return fmt.Errorf("brokered stream %d was not accepted: %w", id, err)
	}
	if ack != id {
		return fmt.Errorf("bad ack: %d (expected %d)", ack, id)
	}
	return stream.SetDeadline(time.Time{})
}

// Close ends the whole session, and with it every stream.
func (m *MuxBroker) Close() error {
	if m.session == nil {
		return nil
	}
	return m.session.Close()
}

// Run takes in the streams that the other side opens, until the session ends.
// The library calls it; a user of the broker never does.
func (m *MuxBroker) Run() {
	for {
		select {
		case m.waiting <- struct{}{}:
		case <-m.session.CloseChan():
			return
		}
		stream, err := m.session.Accept()
		if err != nil {
			return
		}
		// A peer that opens a stream and says nothing must not hold up the
		// streams behind it.
		go m.admit(stream)
	}
}

func (m *MuxBroker) admit(stream net.Conn) {
	_ = stream.SetReadDeadline(time.Now().Add(brokerTimeout))
	id, err := readStreamID(stream)
	if err != nil || stream.SetReadDeadline(time.Time{}) != nil {
		_ = stream.Close()
		m.waitsNoMore()
		return
	}
	if !m.arrivals.deliver(id, stream, m.waitsNoMore) {
		_ = stream.Close()
		// yamux keeps the stream until the other side closes it as well. So one that is
		// refused at once must not make room for the next at once.
		time.AfterFunc(brokerTimeout, m.waitsNoMore)
	}
}

// waitsNoMore makes room for another stream. It is called once for each.
func (m *MuxBroker) waitsNoMore() { <-m.waiting }

func writeStreamID(w io.Writer, id uint32) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], id)
	_, err := w.Write(b[:])
	return err
}

func readStreamID(r io.Reader) (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}
