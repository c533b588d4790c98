// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"encoding/gob"
	"sync"
)

// service is what is served on a channel.
type service struct {
	id  uint64
	rpc Handler
	// opened is closed when rpc is set; nil: it always was.
	opened chan struct{}

	// The reader's own.
	dec     *gob.Decoder
	methods map[string]*method

	sending sync.Mutex
	enc     *gob.Encoder // nil: the next answer begins a new stream
	sink    sink
}

// maxMethods is how many names of methods a channel remembers. A host may send
// any.
const maxMethods = 1 << 10

func newService(p *Plugin, id uint64, handler Handler) *service {
	return &service{id: id, rpc: handler, dec: gob.NewDecoder(&p.in), methods: make(map[string]*method)}
}

// method is what is known of a method.
type method struct {
	name string
	pace pace
}

func (s *service) method(name []byte) *method {
	if m, ok := s.methods[string(name)]; ok { // does not allocate
		return m
	}
	m := &method{name: string(name)}
	m.pace.busy.Store(unknown)
	if len(s.methods) < maxMethods {
		s.methods[m.name] = m
	}
	return m
}
