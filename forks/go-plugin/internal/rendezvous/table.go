// SPDX-License-Identifier: MPL-2.0

// Package rendezvous brings together, under a key, a value that arrives and
// whoever waits for it, whichever comes first.
package rendezvous

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Options say what becomes of a value that arrives before anybody waits for it.
type Options[V any] struct {
	// Keep is how long a value waits to be taken; zero: until the table is closed.
	Keep time.Duration
	// Limit is how many values wait at once. One more takes the place of the
	// oldest. Zero sets no limit.
	Limit int
	// Shared lets a value stay until it is removed: everybody who asks gets it.
	Shared bool
	// Dropped, if not nil, is called with each value that is given up: it expired,
	// made way because of Limit, or was kept when the table was closed. It may call
	// the table.
	Dropped func(V)
}

// Table is where values and those who wait for them meet. All methods may be called
// from any goroutine, and none but Take blocks.
type Table[K, V comparable] struct {
	options Options[V]

	mu      sync.Mutex
	waiting map[K][]*Waiter[K, V] // the first to come is the first to get a value
	kept    map[K]*entry[V]
	arrived uint64 // values kept so far
	closed  bool
}

// entry is a value that is kept.
type entry[V any] struct {
	value  V
	number uint64      // in the order of arrival
	expiry *time.Timer // nil: there is none
}

// New returns an empty table.
func New[K, V comparable](options Options[V]) *Table[K, V] {
	return &Table[K, V]{options: options, waiting: map[K][]*Waiter[K, V]{}, kept: map[K]*entry[V]{}}
}

// Deliver gives v to the first who waits for key. It reports false if nobody does.
func (t *Table[K, V]) Deliver(key K, v V) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deliver(key, v)
}

// Add gives v to the first who waits for key, or keeps it. It reports false, and
// leaves v to the caller, if another value is kept for key or the table is closed.
func (t *Table[K, V]) Add(key K, v V) bool { return t.put(key, v, false) }

// Put is Add, except that v takes the place of a value that is kept for key. That
// one is forgotten, and belongs to whoever has put it.
func (t *Table[K, V]) Put(key K, v V) bool { return t.put(key, v, true) }

func (t *Table[K, V]) put(key K, v V, replace bool) bool {
	t.mu.Lock()
	if t.closed || t.kept[key] != nil && !replace {
		t.mu.Unlock()
		return false
	}
	if t.deliver(key, v) && !t.options.Shared {
		t.mu.Unlock()
		return true
	}
	t.forget(key)
	makesWay := t.oldest()
	t.keep(key, v)
	t.mu.Unlock()
	t.drop(makesWay...)
	return true
}

// deliver hands v to the first who waits for key, or to all of them if values are
// shared. The caller holds the lock.
func (t *Table[K, V]) deliver(key K, v V) bool {
	waiting := t.waiting[key]
	n := min(1, len(waiting))
	if t.options.Shared {
		n = len(waiting)
	}
	for _, w := range waiting[:n] {
		w.value <- v
	}
	t.setWaiting(key, slices.Delete(waiting, 0, n))
	return n > 0
}

// setWaiting is for a caller that holds the lock.
func (t *Table[K, V]) setWaiting(key K, waiting []*Waiter[K, V]) {
	if len(waiting) > 0 {
		t.waiting[key] = waiting
	} else {
		delete(t.waiting, key)
	}
}

// keep is for a caller that holds the lock.
func (t *Table[K, V]) keep(key K, v V) {
	t.arrived++
	e := &entry[V]{value: v, number: t.arrived}
	if t.options.Keep > 0 {
		e.expiry = time.AfterFunc(t.options.Keep, func() { t.expire(key, e) })
	}
	t.kept[key] = e
}

// forget removes what is kept for key. The caller holds the lock.
func (t *Table[K, V]) forget(key K) {
	if e := t.kept[key]; e != nil && e.expiry != nil {
		e.expiry.Stop()
	}
	delete(t.kept, key)
}

// oldest removes and returns the value that must make way for one more, if there is
// one. The caller holds the lock.
func (t *Table[K, V]) oldest() []V {
	if t.options.Limit == 0 || len(t.kept) < t.options.Limit {
		return nil
	}
	var key K
	var oldest *entry[V]
	for k, e := range t.kept {
		if oldest == nil || e.number < oldest.number {
			key, oldest = k, e
		}
	}
	t.forget(key)
	return []V{oldest.value}
}

func (t *Table[K, V]) expire(key K, e *entry[V]) {
	t.mu.Lock()
	expired := t.kept[key] == e // It may have been taken just now.
	if expired {
		t.forget(key)
	}
	t.mu.Unlock()
	if expired {
		t.drop(e.value)
	}
}

// drop is for a caller that does not hold the lock.
func (t *Table[K, V]) drop(values ...V) {
	if t.options.Dropped == nil {
		return
	}
	for _, v := range values {
		t.options.Dropped(v)
	}
}

// Remove forgets v if it is what is kept for key.
func (t *Table[K, V]) Remove(key K, v V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.kept[key]; e != nil && e.value == v {
		t.forget(key)
	}
}

// Take returns the value of key, waiting for one until ctx ends, whose cause it
// returns then. A table that is closed gives net.ErrClosed.
func (t *Table[K, V]) Take(ctx context.Context, key K) (V, error) { return t.Expect(key).Take(ctx) }

// Close gives up what is kept and ends every wait. Nothing is kept after it.
func (t *Table[K, V]) Close() {
	t.mu.Lock()
	t.closed = true
	var left []V
	for key, e := range t.kept {
		t.forget(key)
		left = append(left, e.value)
	}
	for _, waiting := range t.waiting {
		for _, w := range waiting {
			close(w.value)
		}
	}
	clear(t.waiting)
	t.mu.Unlock()
	t.drop(left...)
}
