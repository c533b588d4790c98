// SPDX-License-Identifier: MPL-2.0

package relay

import (
	"errors"
	"sync"

	"github.com/hashicorp/go-plugin/internal/calls"
)

// maxStreams bounds the streams of one session that the host has opened and that have not
// ended. A Go plugin costs two goroutines for each.
const maxStreams = 4096

// traffic counts the calls of a net/rpc session by what passes on the streams that the
// host has opened.
type traffic struct {
	gauges []*calls.Gauge

	mu      sync.Mutex
	streams map[uint32]*countedStream
}

// countedStream is a stream of the host's.
type countedStream struct {
	asked, answered gobCounter
	inFlight        int
	ended           uint16 // flagFIN of the host, and shifted by one of the child
}

func newTraffic(gauges ...*calls.Gauge) *traffic {
	return &traffic{gauges: gauges, streams: map[uint32]*countedStream{}}
}

// see looks at a frame of either side.
func (t *traffic) see(h header, data []byte, ofHost bool) error {
	if h.stream%2 == 0 {
		return nil // the session's, or a callback's
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.streams[h.stream]
	if s == nil {
		if !ofHost || h.flags&flagSYN == 0 {
			return nil
		}
		if len(t.streams) >= maxStreams {
			return errors.New("the host opens too many streams")
		}
		s = &countedStream{asked: newGobCounter(), answered: newGobCounter()}
		t.streams[h.stream] = s
	}
	if ofHost {
		t.begin(s, s.asked.pairs(data))
	} else {
		t.end(s, s.answered.pairs(data))
	}
	fin := h.flags & flagFIN
	if !ofHost {
		fin <<= 1
	}
	if s.ended |= fin; h.flags&flagRST != 0 || s.ended == flagFIN|flagFIN<<1 {
		delete(t.streams, h.stream)
		t.end(s, s.inFlight)
	}
	return nil
}

func (t *traffic) begin(s *countedStream, n int) {
	for range n {
		s.inFlight++
		for _, g := range t.gauges {
			g.Begin()
		}
	}
}

func (t *traffic) end(s *countedStream, n int) {
	for range min(n, s.inFlight) {
		s.inFlight--
		for _, g := range t.gauges {
			g.End()
		}
	}
}

// close counts the calls out that are in flight when the session ends.
func (t *traffic) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, s := range t.streams {
		delete(t.streams, id)
		t.end(s, s.inFlight)
	}
}
