// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// streamArrivals brings streams that the other side has dialled together with
// whoever accepts their id, whoever is first. It belongs to one session, or to
// all that share a broker.
type streamArrivals struct {
	nextID atomic.Uint32

	mu   sync.Mutex
	byID map[uint32]*arrival
}

// arrival is where one stream and its Accept meet.
type arrival struct {
	stream chan net.Conn
	expiry *time.Timer // of a stream that nobody has accepted yet
	leave  func()      // called once when that stream waits no more
}

func newStreamArrivals() *streamArrivals {
	return &streamArrivals{byID: make(map[uint32]*arrival)}
}

// expect returns where the stream for id will be.
func (s *streamArrivals) expect(id uint32) *arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrivalLocked(id)
}

// deliver leaves the stream for whoever accepts id, and calls leave when it waits no
// more. It reports false when one is waiting there already.
func (s *streamArrivals) deliver(id uint32, stream net.Conn, leave func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.arrivalLocked(id)
	if a.expiry != nil {
		return false
	}
	a.stream <- stream
	a.leave = leave
	a.expiry = time.AfterFunc(brokerTimeout, func() { s.forget(id, a) })
	return true
}

func (s *streamArrivals) arrivalLocked(id uint32) *arrival {
	a := s.byID[id]
	if a == nil {
		a = &arrival{stream: make(chan net.Conn, 1)}
		s.byID[id] = a
	}
	return a
}

// forget ends a rendezvous, and closes a stream that nobody took.
func (s *streamArrivals) forget(id uint32, a *arrival) {
	s.mu.Lock()
	if s.byID[id] == a {
		delete(s.byID, id)
	}
	if a.expiry != nil {
		a.expiry.Stop()
	}
	leave := a.leave
	a.leave = nil
	s.mu.Unlock()
	if leave != nil {
		leave()
	}
	select {
	case stream := <-a.stream:
		_ = stream.Close()
	default:
	}
}
