// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"container/list"
	"net"
	"sync"
)

// connBound bounds the connections of unknown peers. Beyond it the oldest is closed: a
// peer needs a few round trips, so what is old has most likely been left, and a flood
// cannot lock others out.
type connBound struct {
	mu    sync.Mutex
	limit int
	conns *list.List // of net.Conn, oldest first
}

func newConnBound(limit int) *connBound { return &connBound{limit: limit, conns: list.New()} }

// enter counts conn in until leave is called, which may be called again.
func (b *connBound) enter(conn net.Conn) (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns.Len() >= b.limit {
		oldest := b.conns.Front()
		b.conns.Remove(oldest)
		_ = oldest.Value.(net.Conn).Close()
	}
	entry := b.conns.PushBack(conn)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.conns.Remove(entry)
	}
}
