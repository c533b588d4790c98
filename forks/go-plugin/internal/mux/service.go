// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/gob"
	"sync"
	"sync/atomic"
)

// service is what is served on a channel.
type service struct {
	id  uint64
	rpc Handler // nil: the channel is being opened

	// queue holds the requests that came meanwhile. The goroutine that opens the
	// channel reads values until it is empty. running are the calls that can be
	// cancelled, by their numbers. The plugin's mu guards both.
	queue   []*queuedRequest
	running map[uint64]*worker
	names   *int // what methods of all channels are remembered with

	// The reader's own.
	values  valueSource
	dec     *gob.Decoder // nil: of a stream that has described no types
	methods map[string]*method

	sending sync.Mutex
	answers values
}

const (
	// maxMethods is how many names of methods a channel remembers. A host may send any.
	maxMethods = 1 << 10
	// maxNames is how many bytes all channels of a session remember them with, of which
	// each takes nameCost beside its own.
	maxNames = 1 << 20
	nameCost = 256
)

func newService(p *Plugin, id uint64, handler Handler) *service {
	s := &service{id: id, rpc: handler, names: &p.names, values: valueSource{&p.in}}
	s.answers.inPlace = p.out.gather != nil
	return s
}

// decoder is that of the stream of arguments.
func (s *service) decoder() *gob.Decoder {
	if s.dec == nil {
		s.dec = gob.NewDecoder(&s.values)
	}
	return s.dec
}

// method is what is known of a method.
type method struct {
	name    string
	latency latency
	likely  atomic.Int32 // likelyLong, of its answers
}

func (s *service) method(name []byte) *method {
	if m, ok := s.methods[string(name)]; ok { // does not allocate
		return m
	}
	m := &method{name: string(name)}
	m.latency.busy.Store(unknown)
	if cost := len(name) + nameCost; len(s.methods) < maxMethods && *s.names+cost <= maxNames {
		if s.methods == nil {
			s.methods = make(map[string]*method)
		}
		s.methods[m.name] = m
		*s.names += cost
	}
	return m
}

// forgetNames is called when the channel is released. Requests on it that still wait know
// their methods.
func (s *service) forgetNames() {
	for name := range s.methods {
		*s.names -= len(name) + nameCost
	}
	clear(s.methods)
}
