// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// longBudget is how many bytes of long messages a session takes in at the same
	// time, unless one message may have more.
	longBudget = 64 << 20
	// maxPlainRoom is how many bytes a session makes room for at the first ones of values that
	// go past gob, until they have come. Others take no more room than twice what has come.
	maxPlainRoom = 4 << 20
	// leastRoom is what each of them counts for at least, in bytes: many may be tiny.
	leastRoom = 4 << 10
	// maxLong is how many long messages may be on their way in a session.
	maxLong = 64 << 10
	// minWindow and maxWindow are between what is granted and has not come, in bytes.
	minWindow = 256 << 10
	maxWindow = 8 << 20
	// slowRound is how long half of a window takes at most, unless it has to be larger
	// to keep a distant peer busy. It is what small messages wait behind.
	slowRound = 50 * time.Millisecond
	// quickRound is how long it takes at least: each round costs some system calls.
	quickRound = time.Millisecond
)

// arrivals are the long messages of a session that come in. Room for the whole of each
// is reserved before any of it is granted, so that all that was begun can be finished.
type arrivals struct {
	out    *outbox
	most   int // bytes of one message
	budget int

	mu        sync.Mutex
	messages  map[callKey]*arrival // that have not come as a whole
	early     map[*arrival]bool    // that came as a whole before there was room, until they are decoded
	queue     []*arrival           // of them, that there is no room for; the first is next
	gone      int                  // how many in the queue were given up
	wanting   []*arrival           // of them, that more can be granted
	reserved  int                  // bytes of those that there is room for, until they are decoded
	unasked   int                  // bytes that have come of those that there is no room for, and of early
	plainRoom int                  // bytes of values that there is room for as a whole, and have not come so
	due       bool                 // one of wanting has to be told of its grant
	window    int
	granted   int       // bytes that were granted and have not come
	round     time.Time // when the last bytes were granted
}

// arrival is a long message that comes in. The mutex of arrivals guards it, until it has
// come as a whole.
type arrival struct {
	key       callKey
	message   message // its first frame
	data      pieces
	err       error   // why it is not taken; a host's
	worker    *worker // that is to run it; a plugin's
	size      int
	come      int  // bytes of it that were taken in, or are being read
	plainRoom int  // see arrivals.plainRoom
	filling   bool // the last of these are being read, without the mutex
	admitted  bool // room is reserved for it
	gone      bool // it was given up before
	ignored   bool // none of it is kept
	ungiven   int  // bytes that were not granted yet, once it is admitted
	given     int  // bytes that were granted and have not come
	grant     int  // bytes that are to be granted now
	told      bool // the peer was told of a first grant, which may be of 0 bytes
}

// room is what a message counts for among all that there is room for.
func (a *arrival) room() int { return max(a.size, leastRoom) }

func newArrivals(out *outbox, most int) arrivals {
	most = bound(most)
	return arrivals{out: out, most: most, budget: max(most, longBudget), window: minWindow}
}

// begin takes on a message whose first frame is at hand. The error is one of the peer, or a
// *TooLargeError.
func (s *arrivals) begin(m *message) (*arrival, error) {
	key := callKey{m.channel, m.number}
	switch {
	case m.size == 0:
		return nil, fmt.Errorf("%w: a long message of no bytes", errMalformed)
	case m.size > uint64(s.most):
		return nil, &TooLargeError{Size: m.size, Max: uint64(s.most)}
	}
	a := &arrival{key: key, message: *m, size: int(m.size)}
	a.message.method = nil // the worker has what it is
	s.mu.Lock()
	if err := s.expect(a); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	s.queue = append(s.queue, a)
	s.admit()
	s.unlockAndGrant()
	return a, nil
}

// expect remembers a message of which parts are to come.
func (s *arrivals) expect(a *arrival) error {
	if s.messages[a.key] != nil {
		return fmt.Errorf("%w: call %d of channel %d is sent twice at once", errMalformed, a.key.number, a.key.channel)
	}
	if len(s.messages)+len(s.early) >= maxLong {
		return fmt.Errorf("%w: more than %d long messages at once", errMalformed, maxLong)
	}
	if s.messages == nil {
		s.messages = make(map[callKey]*arrival)
	}
	s.messages[a.key] = a
	return nil
}

// take takes in the part at hand. It returns the message when this was the last of it,
// and nil otherwise. Parts of messages that are not expected are dropped.
func (s *arrivals) take(in *inbox, m *message) (*arrival, error) {
	n := in.left
	s.mu.Lock()
	a := s.messages[callKey{m.channel, m.number}]
	if a == nil {
		s.mu.Unlock()
		return nil, nil
	}
	left := a.size - a.come
	if n > left || m.more != (n < left) || n == 0 {
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: a part of %d bytes where %d are left", errMalformed, n, left)
	}
	if a.ignored {
		s.mu.Unlock()
		s.skip(a, n)
		return nil, nil
	}
	granted := a.admitted
	if !granted {
		if s.unasked += n; s.unasked > maxUnasked {
			s.mu.Unlock()
			return nil, fmt.Errorf("%w: more than %d bytes in parts that were not granted", errMalformed, maxUnasked)
		}
	}
	first := a.come == 0
	a.come += n
	a.filling = true
	s.mu.Unlock()
	if first && granted {
		s.planPlain(in, a)
	}
	err := a.data.readFrom(in, n)
	s.mu.Lock()
	a.filling = false
	if s.messages[a.key] != a {
		s.mu.Unlock()
		s.release(a) // It was dropped meanwhile.
		return nil, err
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if granted {
		s.arrived(a, n)
	}
	done := a.come == a.size
	if done {
		s.forget(a)
	}
	s.unlockAndGrant()
	if !done {
		return nil, nil
	}
	return a, nil
}

// arrived counts n bytes of what was granted.
func (s *arrivals) arrived(a *arrival, n int) {
	n = min(n, a.given)
	a.given -= n
	s.granted -= n
}

// forget takes a message out that has come as a whole, or is given up. An admitted one
// keeps its room, and one that came as a whole without counts on among unasked bytes.
func (s *arrivals) forget(a *arrival) {
	delete(s.messages, a.key)
	s.plainRoom -= a.plainRoom
	a.plainRoom = 0
	if len(s.messages) == 0 {
		s.round = time.Time{}
	}
	if a.ignored {
		return
	}
	if !a.admitted {
		if a.come == a.size {
			s.keepEarly(a)
		} else {
			s.unasked -= a.come
		}
		a.gone = true
		s.gone++
		s.clean()
		return
	}
	s.granted -= a.given
	if a.given = 0; a.ungiven > 0 {
		s.wanting = without(s.wanting, a)
	}
}

// clean takes what was given up out of the queue, when that is most of it.
func (s *arrivals) clean() {
	if s.gone <= len(s.queue)/2 {
		return
	}
	s.queue = slices.DeleteFunc(s.queue, func(a *arrival) bool { return a.gone })
	s.gone = 0
}

func without(list []*arrival, a *arrival) []*arrival {
	for i := range list {
		if list[i] == a {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}

// want has the peer told of a grant, even if there is nothing to grant now.
func (s *arrivals) want(a *arrival) {
	s.wanting = append(s.wanting, a)
	s.due = true
}

// release gives back the room of a message that is decoded, or needed no more. Of one that
// came as a whole before there was room, the peer is told by now that it counts no more.
func (s *arrivals) release(a *arrival) {
	a.data.free()
	s.mu.Lock()
	if a.admitted {
		s.reserved -= a.room()
		a.admitted = false
	} else {
		s.releaseEarly(a)
	}
	s.admit()
	s.unlockAndGrant()
}

// admit reserves room for what waits for it, in order.
func (s *arrivals) admit() {
	for len(s.queue) > 0 {
		a := s.queue[0]
		if a.gone {
			s.queue[0] = nil
			s.queue = s.queue[1:]
			s.gone--
			continue
		}
		if s.reserved > 0 && s.reserved+a.room() > s.budget {
			return
		}
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.reserved += a.room()
		s.unasked -= a.come
		a.admitted, a.ungiven = true, a.size-a.come
		s.want(a)
	}
}
