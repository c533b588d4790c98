// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"sync"
	"sync/atomic"
)

// callTable is where the calls of a lane wait for their answers. Who takes a
// call out of it owns the call. Calls are numbered one after the other, so each
// finds its place free unless one of long ago is still under way, and senders,
// the reader and deadlines do not wait for each other.
type callTable struct {
	places [256]atomic.Pointer[call] // by the last bits of the number

	crowd atomic.Int64 // len(rest)
	mu    sync.Mutex
	rest  map[uint64]*call // those whose places were taken
}

func (t *callTable) place(number uint64) *atomic.Pointer[call] {
	return &t.places[number%uint64(len(t.places))]
}

func (t *callTable) add(k *call) {
	if t.place(k.seq).CompareAndSwap(nil, k) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rest == nil {
		t.rest = map[uint64]*call{}
	}
	t.rest[k.seq] = k
	t.crowd.Add(1)
}

// find returns a call that stays in the table, or nil. Only what never changes
// may be read of it.
func (t *callTable) find(number uint64) *call {
	if k := t.place(number).Load(); k != nil && k.seq == number {
		return k
	}
	if t.crowd.Load() == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rest[number]
}

// take returns the call to its new owner, or nil if it is not in the table.
func (t *callTable) take(number uint64) *call {
	k := t.find(number)
	if k == nil || !t.remove(k) {
		return nil
	}
	return k
}

// remove reports whether k was in the table.
func (t *callTable) remove(k *call) bool {
	if t.place(k.seq).CompareAndSwap(k, nil) {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rest[k.seq] != k {
		return false
	}
	delete(t.rest, k.seq)
	t.crowd.Add(-1)
	return true
}

// list returns the calls that are in the table. None of them is the caller's.
func (t *callTable) list() []*call {
	var all []*call
	for i := range t.places {
		if k := t.places[i].Load(); k != nil {
			all = append(all, k)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.rest {
		all = append(all, k)
	}
	return all
}
