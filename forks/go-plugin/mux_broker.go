// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// brokerTimeout is how long both brokers wait for the other side to turn up.
// Every go-plugin peer uses five seconds, so a longer wait on one side only
// would not help.
const brokerTimeout = 5 * time.Second

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
	sync.Mutex // guards arrivals

	session  muxSession
	nextID   atomic.Uint32
	arrivals map[uint32]*arrival
}

// arrival is where a stream and the Accept that wants it meet, whoever is
// first.
type arrival struct {
	stream chan net.Conn
	expiry *time.Timer
}

func newMuxBroker(session muxSession) *MuxBroker {
	return &MuxBroker{session: session, arrivals: make(map[uint32]*arrival)}
}

// NextId returns an id that this side has not used before in this session (it
// wraps after 2^32).
func (m *MuxBroker) NextId() uint32 { return m.nextID.Add(1) }

// Accept waits up to 5 s for the stream that the other side dials under id.
// The caller closes it. One id is accepted once at a time.
func (m *MuxBroker) Accept(id uint32) (net.Conn, error) {
	m.Lock()
	a := m.arrivalLocked(id)
	m.Unlock()

	timeout := time.NewTimer(brokerTimeout)
	defer timeout.Stop()
	select {
	case stream := <-a.stream:
		m.forget(id, a)
		if err := writeStreamID(stream, id); err != nil {
			_ = stream.Close()
			return nil, fmt.Errorf("acknowledge brokered stream %d: %w", id, err)
		}
		return stream, nil
	case <-m.session.CloseChan():
		m.forget(id, a)
		return nil, fmt.Errorf("accept brokered stream %d: %w", id, ErrConnectionLost)
	case <-timeout.C:
		m.forget(id, a)
		return nil, fmt.Errorf("timeout waiting for accept: nobody dialled brokered stream %d within %v", id, brokerTimeout)
	}
}

// AcceptAndServe accepts id and serves v under the net/rpc name "Plugin" until
// the stream ends. It returns without serving when nobody dials.
func (m *MuxBroker) AcceptAndServe(id uint32, v interface{}) {
	stream, err := m.Accept(id)
	if err != nil {
		return // The side that should have dialled sees its own call fail.
	}
	serveNetRPC(stream, "Plugin", v, nil)
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
func (m *MuxBroker) Close() error { return m.session.Close() }

// Run takes in the streams that the other side opens, until the session ends.
// The library calls it; a user of the broker never does.
func (m *MuxBroker) Run() {
	for {
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
	if err != nil || stream.SetReadDeadline(time.Time{}) != nil || !m.deliver(id, stream) {
		_ = stream.Close()
	}
}

// deliver leaves the stream for whoever accepts id. It reports false when one
// is waiting there already.
func (m *MuxBroker) deliver(id uint32, stream net.Conn) bool {
	m.Lock()
	defer m.Unlock()
	a := m.arrivalLocked(id)
	if a.expiry != nil {
		return false
	}
	a.stream <- stream
	a.expiry = time.AfterFunc(brokerTimeout, func() { m.forget(id, a) })
	return true
}

func (m *MuxBroker) arrivalLocked(id uint32) *arrival {
	a := m.arrivals[id]
	if a == nil {
		a = &arrival{stream: make(chan net.Conn, 1)}
		m.arrivals[id] = a
	}
	return a
}

// forget ends a rendezvous, and closes a stream that nobody took.
func (m *MuxBroker) forget(id uint32, a *arrival) {
	m.Lock()
	if m.arrivals[id] == a {
		delete(m.arrivals, id)
	}
	if a.expiry != nil {
		a.expiry.Stop()
	}
	m.Unlock()
	select {
	case stream := <-a.stream:
		_ = stream.Close()
	default:
	}
}

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
