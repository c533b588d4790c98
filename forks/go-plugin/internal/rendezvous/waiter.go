// SPDX-License-Identifier: MPL-2.0

package rendezvous

import (
	"context"
	"net"
	"slices"
)

// Waiter waits for one value.
type Waiter[K, V comparable] struct {
	// C gives the value. It is closed without one by Cancel, and with the table.
	C <-chan V

	table *Table[K, V]
	key   K
	value chan V // C
}

// Expect waits for the next value of key from now on, or takes the one that is kept.
// The caller takes it from the waiter, or calls Cancel.
func (t *Table[K, V]) Expect(key K) *Waiter[K, V] {
	value := make(chan V, 1)
	w := &Waiter[K, V]{C: value, table: t, key: key, value: value}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := t.kept[key]; {
	case t.closed:
		close(value)
	case e == nil:
		t.waiting[key] = append(t.waiting[key], w)
	default:
		value <- e.value
		if !t.options.Shared {
			t.forget(key)
		}
	}
	return w
}

// Take returns the value, waiting for it until ctx ends, whose cause it returns then.
// A table that is closed gives net.ErrClosed.
func (w *Waiter[K, V]) Take(ctx context.Context) (V, error) {
	select {
	case v, ok := <-w.C:
		if ok {
			return v, nil
		}
		return v, net.ErrClosed
	case <-ctx.Done():
	}
	w.leave()
	v, ok := <-w.C // It may have come just now.
	if ok {
		return v, nil
	}
	return v, context.Cause(ctx)
}

// Cancel ends the wait. A value that has come and was not taken is dropped.
func (w *Waiter[K, V]) Cancel() {
	w.leave()
	select {
	case v, ok := <-w.C:
		if ok && !w.table.options.Shared {
			w.table.drop(v)
		}
	default: // It was taken.
	}
}

// leave closes C unless a value has come.
func (w *Waiter[K, V]) leave() {
	t := w.table
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.waiting[w.key]
	if i := slices.Index(waiting, w); i >= 0 {
		t.setWaiting(w.key, slices.Delete(waiting, i, i+1))
		close(w.value)
	}
}
