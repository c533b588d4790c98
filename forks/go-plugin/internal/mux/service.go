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

	// The reader's own.
	values  valueSource
	dec     *gob.Decoder
	methods map[string]*method

	sending sync.Mutex
	answers values
}

// maxMethods is how many names of methods a channel remembers. A host may send
// any.
const maxMethods = 1 << 10

func newService(p *Plugin, id uint64, handler Handler) *service {
	s := &service{id: id, rpc: handler, values: valueSource{&p.in}, methods: make(map[string]*method)}
	s.dec = gob.NewDecoder(&s.values)
	return s
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
	if len(s.methods) < maxMethods {
		s.methods[m.name] = m
	}
	return m
}
