// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// maxArrivals is how many streams of a session may wait to be accepted. What the other
// side opens beyond waits in yamux, which refuses all but its own backlog.
const maxArrivals = 1024

// Streams is what a broker needs of the multiplexed connection of its session.
// *yamux.Session implements it.
type Streams interface {
	Open() (net.Conn, error)
	Accept() (net.Conn, error)
	Close() error
	CloseChan() <-chan struct{}
}

// Arrivals brings streams that the other side has dialled together with whoever accepts
// their id, whichever is first. It belongs to one session, or to all that share a broker.
type Arrivals struct {
	lastID atomic.Uint32
	byID   *rendezvous.Table[uint32, *arrival]
}

// arrival is a stream that was dialled.
type arrival struct {
	stream net.Conn
	leave  func() // called once, when the stream waits no more
}

// NewArrivals returns no arrivals yet.
func NewArrivals() *Arrivals {
	return &Arrivals{byID: rendezvous.New[uint32](rendezvous.Options[*arrival]{Keep: rendezvous.Wait, Dropped: (*arrival).drop})}
}

func (a *arrival) drop() {
	a.leave()
	_ = a.stream.Close()
}

// Broker opens further streams beside the calls of a session. The root package documents
// its methods, where it is public as MuxBroker.
type Broker struct {
	streams  Streams
	arrivals *Arrivals
	waiting  chan struct{} // one item for each stream that waits to be accepted
	wait     time.Duration // of Accept
	serving  Serving       // of AcceptAndServe
}

// NewBroker returns the broker of a session. arrivals are its own, or those that it
// shares with others; wait is how long Accept waits.
func NewBroker(streams Streams, arrivals *Arrivals, wait time.Duration, serving Serving) *Broker {
	return &Broker{streams: streams, arrivals: arrivals, waiting: make(chan struct{}, maxArrivals), wait: wait, serving: serving}
}

// NextID returns an id that this side has not used before in this session (it
// wraps after 2^32).
func (b *Broker) NextID() uint32 { return b.arrivals.lastID.Add(1) }

// Accept waits for the stream that the other side dials under id. The caller closes it.
func (b *Broker) Accept(id uint32) (net.Conn, error) {
	timeout := time.NewTimer(b.wait)
	defer timeout.Stop()
	for {
		stream, err := b.await(id, timeout.C)
		if err != nil {
			return nil, err
		}
		if err = binary.Write(stream, binary.LittleEndian, id); err == nil {
			return stream, nil
		}
		// The side that dialled has ended meanwhile. Another session may dial.
		_ = stream.Close()
	}
}

// await waits for a stream that was dialled under id.
func (b *Broker) await(id uint32, timeout <-chan time.Time) (stream net.Conn, err error) {
	expected := b.arrivals.byID.Expect(id)
	select {
	case a := <-expected.C:
		a.leave()
		return a.stream, nil
	case <-b.streams.CloseChan():
		err = fmt.Errorf("accept brokered stream %d: %w", id, peererr.ErrConnectionLost)
	case <-timeout:
		err = fmt.Errorf("timeout waiting for accept: nobody dialled brokered stream %d within %v", id, b.wait)
	}
	expected.Cancel()
	return nil, err
}

// AcceptAndServe accepts id and serves v under the net/rpc name "Plugin" until
// the stream ends. It returns without serving if the other side does not dial.
func (b *Broker) AcceptAndServe(id uint32, v any) {
	stream, err := b.Accept(id)
	if err != nil {
		return // The side that should have dialled sees its own call fail.
	}
	b.serving.serve(stream, v)
}

// Open opens a stream that has no id yet. The caller closes it.
func (b *Broker) Open() (net.Conn, error) { return b.streams.Open() }

// Dial opens the stream that the other side accepts under id, and waits for it to do
// so. The caller closes it.
func (b *Broker) Dial(id uint32) (net.Conn, error) {
	stream, err := b.streams.Open()
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
// it, which it does when the id is accepted there.
func handOver(stream net.Conn, id uint32) error {
	// The other side may accept 5 s later than this one dials; the margin keeps its
	// answer from racing the deadline.
	_ = stream.SetDeadline(time.Now().Add(rendezvous.Wait + time.Second))
	if err := binary.Write(stream, binary.LittleEndian, id); err != nil {
		return fmt.Errorf("name brokered stream %d: %w", id, err)
	}
	var ack uint32
	if err := binary.Read(stream, binary.LittleEndian, &ack); err != nil {
		return fmt.Errorf("brokered stream %d was not accepted: %w", id, err)
	}
	if ack != id {
		return fmt.Errorf("bad ack: %d (expected %d)", ack, id)
	}
	return stream.SetDeadline(time.Time{})
}

// Close ends the whole session, and with it every stream.
func (b *Broker) Close() error { return b.streams.Close() }

// Run takes in the streams that the other side opens, until the session ends.
func (b *Broker) Run() {
	for {
		select {
		case b.waiting <- struct{}{}:
		case <-b.streams.CloseChan():
			return
		}
		stream, err := b.streams.Accept()
		if err != nil {
			return
		}
		// A peer that opens a stream and says nothing must not hold up the
		// streams behind it.
		go b.admit(stream)
	}
}

func (b *Broker) admit(stream net.Conn) {
	_ = stream.SetReadDeadline(time.Now().Add(rendezvous.Wait))
	var id uint32
	if err := binary.Read(stream, binary.LittleEndian, &id); err != nil || stream.SetReadDeadline(time.Time{}) != nil {
		_ = stream.Close()
		b.makeRoom()
		return
	}
	if !b.arrivals.byID.Put(id, &arrival{stream, b.makeRoom}) {
		_ = stream.Close()
		// yamux keeps the stream until the other side closes it as well. So one that is
		// refused at once must not make room for the next at once.
		time.AfterFunc(rendezvous.Wait, b.makeRoom)
	}
}

// makeRoom lets another stream in. It is called once for each.
func (b *Broker) makeRoom() { <-b.waiting }
