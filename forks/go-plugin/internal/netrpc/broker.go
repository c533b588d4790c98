// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// Streams is what a broker needs of its session.
type Streams interface {
	// Dial opens the stream that the other side accepts under id, and waits for it to
	// do so.
	Dial(id uint32) (net.Conn, error)
	// Close ends the session, and with it every stream.
	Close() error
	// CloseChan is closed when the session has ended.
	CloseChan() <-chan struct{}
}

// Arrivals brings streams that the other side has dialled together with whoever accepts
// their id, whichever is first. It belongs to one session, or to all that share a broker.
type Arrivals struct {
	lastID atomic.Uint32
	byID   *rendezvous.Table[uint32, arrival]
	// forward connects to who accepts an id in the place of this side; nil: nobody does.
	forward atomic.Pointer[func(id uint32) (net.Conn, error)]
}

// arrival is a stream that was dialled. One of its methods is called, once.
type arrival interface {
	// accept takes the stream, and tells the side that has dialled. An error says that
	// it has given up.
	accept() (net.Conn, error)
	// drop ends the stream, which nobody has accepted in time.
	drop()
}

// NewArrivals returns no arrivals yet.
func NewArrivals() *Arrivals {
	return &Arrivals{byID: rendezvous.New[uint32](rendezvous.Options[arrival]{Keep: rendezvous.Wait, Dropped: arrival.drop})}
}

// Broker opens further streams beside the calls of a session. The root package documents
// its methods, where it is public as MuxBroker.
type Broker struct {
	streams  Streams
	arrivals *Arrivals
	wait     time.Duration // of Accept
	serving  Serving       // of AcceptAndServe
}

// NewBroker returns the broker of a session. arrivals are its own, or those that it
// shares with others; wait is how long Accept waits.
func NewBroker(streams Streams, arrivals *Arrivals, wait time.Duration, serving Serving) *Broker {
	return &Broker{streams: streams, arrivals: arrivals, wait: wait, serving: serving}
}

// NextID returns an id that this side has not used before in this session (it
// wraps after 2^32).
func (b *Broker) NextID() uint32 { return b.arrivals.lastID.Add(1) }

// Accept waits for the stream that the other side dials under id. The caller closes it.
func (b *Broker) Accept(id uint32) (net.Conn, error) {
	timeout := time.NewTimer(b.wait)
	defer timeout.Stop()
	for {
		arrived, err := b.await(id, timeout.C)
		if err != nil {
			return nil, err
		}
		if stream, err := arrived.accept(); err == nil {
			return stream, nil
		}
		// The side that dialled has ended meanwhile. Another session may dial.
	}
}

// await waits for a stream that was dialled under id.
func (b *Broker) await(id uint32, timeout <-chan time.Time) (arrived arrival, err error) {
	expected := b.arrivals.byID.Expect(id)
	select {
	case arrived := <-expected.C:
		return arrived, nil
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

// Forward is that of the broker's arrivals.
func (b *Broker) Forward(dial func(id uint32) (net.Conn, error)) { b.arrivals.Forward(dial) }

// Dial opens the stream that the other side accepts under id, and waits for it to do
// so. The caller closes it.
func (b *Broker) Dial(id uint32) (net.Conn, error) { return b.streams.Dial(id) }

// Close ends the whole session, and with it every stream.
func (b *Broker) Close() error { return b.streams.Close() }

// Run takes in the streams that the other side opens, until the session ends. Only a
// session over yamux needs that: the reader of any other does so by itself.
func (b *Broker) Run() {
	if s, ok := b.streams.(*yamuxStreams); ok {
		s.run(b.arrivals)
		return
	}
	<-b.streams.CloseChan()
}
