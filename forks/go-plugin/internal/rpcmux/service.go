// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"encoding/gob"
	"net/rpc"
	"sync"
	"sync/atomic"
	"time"
)

// service is what is served on a channel.
type service struct {
	id  uint64
	rpc *rpc.Server

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

func newService(p *Plugin, id uint64, server *rpc.Server) *service {
	return &service{id: id, rpc: server, dec: gob.NewDecoder(&p.in), methods: make(map[string]*method)}
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
	m.pace.worst.Store(int64(quick))
	if len(s.methods) < maxMethods {
		s.methods[m.name] = m
	}
	return m
}

// How long a method may take for its call to be run by the goroutine that has
// read it. Nobody reads meanwhile, so it must be less than it costs to wake
// another goroutine; when more requests wait, less than the reading of one.
const (
	quick      = 50 * time.Microsecond
	veryQuick  = 5 * time.Microsecond
	longest    = 10 * time.Millisecond // that is remembered
	forgetting = 64                    // calls, until a run that was slow counts a third
)

// pace is how long the runs of a method take at worst. What was long ago counts
// less.
type pace struct{ worst atomic.Int64 }

func (p *pace) record(took time.Duration) {
	worst := p.worst.Load()
	if took := int64(min(took, longest)); took > worst {
		worst = took
	} else {
		worst -= (worst - took + forgetting - 1) / forgetting
	}
	p.worst.Store(worst)
}

// isQuick guesses whether the next run is. crowded says that more requests
// wait to be read.
func (p *pace) isQuick(crowded bool) bool {
	limit := quick
	if crowded {
		limit = veryQuick
	}
	return time.Duration(p.worst.Load()) <= limit
}
