// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// maxArrivals is how many streams of a session may wait to be accepted. What the other
// side opens beyond waits in yamux, which refuses all but its own backlog.
const maxArrivals = 1024

// yamuxSession is what brokered streams need of a *yamux.Session.
type yamuxSession interface {
	Open() (net.Conn, error)
	Accept() (net.Conn, error)
	Close() error
	CloseChan() <-chan struct{}
}

// yamuxStreams are the brokered streams of a session over yamux, in which the id comes
// first, and is repeated by whoever accepts it.
type yamuxStreams struct {
	yamuxSession
	waiting chan struct{} // one item for each stream that waits to be accepted
}

func newYamuxStreams(session yamuxSession) *yamuxStreams {
	return &yamuxStreams{session, make(chan struct{}, maxArrivals)}
}

// Dial implements Streams.
func (y *yamuxStreams) Dial(id uint32) (net.Conn, error) {
	stream, err := y.Open()
	if err != nil {
		return nil, fmt.Errorf("open brokered stream %d: %w", id, err)
	}
	if err := handOver(stream, id); err != nil {
		_ = stream.Close()
		return nil, err
	}
	return stream, nil
}

// dialTime is how long whoever dials waits for the other side. That may accept
// rendezvous.Wait later than this one dials; the margin keeps its answer from racing the
// deadline.
const dialTime = rendezvous.Wait + time.Second

// handOver names the id on a new stream and waits until the other side repeats
// it, which it does when the id is accepted there.
func handOver(stream net.Conn, id uint32) error {
	_ = stream.SetDeadline(time.Now().Add(dialTime))
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

// run takes in the streams that the other side opens, until the session ends.
func (y *yamuxStreams) run(arrivals *Arrivals) {
	for {
		select {
		case y.waiting <- struct{}{}:
		case <-y.CloseChan():
			return
		}
		stream, err := y.Accept()
		if err != nil {
			return
		}
		// A peer that opens a stream and says nothing must not hold up the
		// streams behind it.
		go y.admit(arrivals, stream)
	}
}

func (y *yamuxStreams) admit(arrivals *Arrivals, stream net.Conn) {
	_ = stream.SetReadDeadline(time.Now().Add(rendezvous.Wait))
	var id uint32
	if err := binary.Read(stream, binary.LittleEndian, &id); err != nil || stream.SetReadDeadline(time.Time{}) != nil {
		_ = stream.Close()
		y.makeRoom()
		return
	}
	if !arrivals.put(id, &yamuxArrival{y, stream, id}) {
		_ = stream.Close()
		// yamux keeps the stream until the other side closes it as well. So one that is
		// refused at once must not make room for the next at once.
		time.AfterFunc(rendezvous.Wait, y.makeRoom)
	}
}

// makeRoom lets another stream in. It is called once for each.
func (y *yamuxStreams) makeRoom() { <-y.waiting }

// yamuxArrival is a stream that has said its id.
type yamuxArrival struct {
	streams *yamuxStreams
	stream  net.Conn
	id      uint32
}

func (a *yamuxArrival) accept() (net.Conn, error) {
	a.streams.makeRoom()
	if err := binary.Write(a.stream, binary.LittleEndian, a.id); err != nil {
		_ = a.stream.Close()
		return nil, err
	}
	return a.stream, nil
}

func (a *yamuxArrival) drop() {
	a.streams.makeRoom()
	_ = a.stream.Close()
}
