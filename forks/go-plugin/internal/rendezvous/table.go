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

// Wait is how long one side waits for the other under a broker's id, over net/rpc and
// over gRPC. Every go-plugin peer waits five seconds, so a longer wait on one side only
// would not help.
const Wait = 5 * time.Second

// Options say what becomes of a value that arrives before anybody waits for it.
type Options[V any] struct {
	// Keep is how long a value waits to be taken; zero: until the table is closed.
	Keep time.Duration
	// Limit is how many values wait at once. One more takes the place of the
	// oldest. Zero sets no limit.
	Limit int
	// Replace lets a value take the place of the one that waits under its key, which
	// then belongs to whoever has put it. Otherwise the later one is refused.
	Replace bool
	// Shared lets a value stay until it is removed: everyone who asks gets it.
	Shared bool
	// Dropped, if not nil, is called with each value that is given up: it expired,
	// made way because of Limit, came for a waiter that had given up, or was kept when
	// the table was closed. It may call the table.
	Dropped func(V)
}

// Table is where values and those who wait for them meet. All methods may be called
// from any goroutine, and none but Take blocks.
type Table[K, V comparable] struct {
	options Options[V]

	mu      sync.Mutex
	waiting map[K][]*Waiter[K, V] // the first to come is the first to get a value
	kept    map[K]entry[V]
	arrived uint64 // values kept so far
	closed  bool
}

// entry is a value that is kept.
type entry[V comparable] struct {
	value  V
	number uint64      // in the order of arrival
	expiry *time.Timer // nil: there is none
}

// Waiter waits for one value.
type Waiter[K, V comparable] struct {
	C <-chan V // gives the value

	table *Table[K, V]
	key   K
	value chan V // C
}

// New returns an empty table.
func New[K, V comparable](options Options[V]) *Table[K, V] {
	return &Table[K, V]{options: options, waiting: map[K][]*Waiter[K, V]{}, kept: map[K]entry[V]{}}
}

// Deliver gives v to the first who waits for key. It reports false if none waits.
func (t *Table[K, V]) Deliver(key K, v V) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deliver(key, v)
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

// setWaiting is for callers that hold the lock.
func (t *Table[K, V]) setWaiting(key K, waiting []*Waiter[K, V]) {
	if t.waiting[key] = waiting; len(waiting) == 0 {
		delete(t.waiting, key)
	}
}

// Put gives v to the first who waits for key, or keeps it. It reports false, and leaves
// v to the caller, if another value waits there that is not to be replaced, or the table
// is closed.
func (t *Table[K, V]) Put(key K, v V) bool {
	t.mu.Lock()
	old, waits := t.kept[key]
	if t.closed || waits && !t.options.Replace {
		t.mu.Unlock()
		return false
	}
	var dropped []V
	if !t.deliver(key, v) || t.options.Shared {
		if waits {
			t.forget(key, old)
		} else if t.options.Limit > 0 && len(t.kept) >= t.options.Limit {
			dropped = append(dropped, t.forgetOldest())
		}
		t.arrived++
		e := entry[V]{value: v, number: t.arrived}
		if t.options.Keep > 0 {
			e.expiry = time.AfterFunc(t.options.Keep, func() { t.expire(key, e.number) })
		}
		t.kept[key] = e
	}
	t.mu.Unlock()
	t.drop(dropped...)
	return true
}

// forget removes e, which is kept for key. The caller holds the lock.
func (t *Table[K, V]) forget(key K, e entry[V]) {
	if e.expiry != nil {
		e.expiry.Stop()
	}
	delete(t.kept, key)
}

// forgetOldest removes the value that has been kept longest. The caller holds the lock.
func (t *Table[K, V]) forgetOldest() V {
	var key K
	oldest := entry[V]{number: t.arrived + 1}
	for k, e := range t.kept {
		if e.number < oldest.number {
			key, oldest = k, e
		}
	}
	t.forget(key, oldest)
	return oldest.value
}

func (t *Table[K, V]) expire(key K, number uint64) {
	t.mu.Lock()
	e, kept := t.kept[key]
	if kept = kept && e.number == number; kept { // It may have been taken just now.
		t.forget(key, e)
	}
	t.mu.Unlock()
	if kept {
		t.drop(e.value)
	}
}

// drop is for callers that do not hold the lock.
func (t *Table[K, V]) drop(values ...V) {
	for _, v := range values {
		if t.options.Dropped != nil {
			t.options.Dropped(v)
		}
	}
}

// Keeps reports whether a value is kept for key.
func (t *Table[K, V]) Keeps(key K) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, kept := t.kept[key]
	return kept
}

// Remove forgets v if it is what is kept for key.
func (t *Table[K, V]) Remove(key K, v V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, kept := t.kept[key]; kept && e.value == v {
		t.forget(key, e)
	}
}

// Close gives up what is kept. Nothing is taken in after it, and waits last until their
// own end.
func (t *Table[K, V]) Close() {
	t.mu.Lock()
	t.closed = true
	var left []V
	for key, e := range t.kept {
		t.forget(key, e)
		left = append(left, e.value)
	}
	t.mu.Unlock()
	t.drop(left...)
}

// Expect waits for the next value of key from now on, or takes the one that is kept.
// The caller takes it from the waiter, or calls Cancel.
func (t *Table[K, V]) Expect(key K) *Waiter[K, V] {
	value := make(chan V, 1)
	w := &Waiter[K, V]{C: value, table: t, key: key, value: value}
	t.mu.Lock()
	defer t.mu.Unlock()
	e, kept := t.kept[key]
	if !kept {
		t.waiting[key] = append(t.waiting[key], w)
		return w
	}
	value <- e.value
	if !t.options.Shared {
		t.forget(key, e)
	}
	return w
}

// Take is Expect and its waiter's Take.
func (t *Table[K, V]) Take(ctx context.Context, key K) (V, error) { return t.Expect(key).Take(ctx) }

// Take returns the value, waiting for it until ctx ends, whose cause it returns then.
func (w *Waiter[K, V]) Take(ctx context.Context) (V, error) {
	select {
	case v := <-w.C:
		return v, nil
	case <-ctx.Done():
	}
	v, came := w.leave()
	if came {
		return v, nil
	}
	return v, context.Cause(ctx)
}

// Cancel ends the wait. A value that has come and was not taken is dropped.
func (w *Waiter[K, V]) Cancel() {
	if v, came := w.leave(); came && !w.table.options.Shared {
		w.table.drop(v)
	}
}

// leave ends the wait, and returns what has come before that.
func (w *Waiter[K, V]) leave() (v V, came bool) {
	t := w.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if waiting := t.waiting[w.key]; slices.Contains(waiting, w) {
		t.setWaiting(w.key, slices.DeleteFunc(waiting, func(other *Waiter[K, V]) bool { return other == w }))
	}
	select {
	case v, came = <-w.C:
	default:
	}
	return v, came
}
