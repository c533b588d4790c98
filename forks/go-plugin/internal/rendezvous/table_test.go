// SPDX-License-Identifier: MPL-2.0

package rendezvous_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// try takes what is there now.
func try(t *testing.T, table *rendezvous.Table[int, string], key int) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := table.Take(ctx, key)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Take(%d) = %v", key, err)
	}
	return v
}

func TestTableWaits(t *testing.T) {
	for shared, want := range map[bool][]string{false: {"a", "b", "c"}, true: {"a", "a", "a"}} {
		table := rendezvous.New[int](rendezvous.Options[string]{Shared: shared, Replace: shared})
		waiters := []*rendezvous.Waiter[int, string]{table.Expect(1), table.Expect(1), table.Expect(1)}
		other := table.Expect(2)
		for _, v := range []string{"a", "b", "c"} {
			table.Put(1, v)
		}
		for i, w := range waiters {
			if got, err := w.Take(t.Context()); got != want[i] || err != nil {
				t.Errorf("shared %v: waiter %d got %q, %v, want %q", shared, i, got, err, want[i])
			}
		}
		other.Cancel()
		select {
		case v := <-other.C:
			t.Errorf("a waiter for another key got %q", v)
		default:
		}
	}
}

// Whoever has given up gets nothing, and no value is lost with it.
func TestTableWaiterGivesUp(t *testing.T) {
	var dropped []string
	table := rendezvous.New[int](rendezvous.Options[string]{Dropped: func(s string) { dropped = append(dropped, s) }})
	reason := errors.New("five seconds are over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if _, err := table.Take(ctx, 1); err != reason {
		t.Errorf("Take = %v, want the cause of its context", err)
	}
	table.Expect(1).Cancel()
	if table.Deliver(1, "a") {
		t.Error("a value was delivered though nobody waits")
	}
	late := table.Expect(1)
	if !table.Deliver(1, "b") {
		t.Error("a value was not delivered though somebody waits")
	}
	late.Cancel()
	late.Cancel()
	if !slices.Equal(dropped, []string{"b"}) {
		t.Errorf("dropped %q, want what came before Cancel", dropped)
	}
	// A value that came before the context's end is not lost.
	late = table.Expect(1)
	table.Deliver(1, "c")
	if got, err := late.Take(ctx); got != "c" || err != nil {
		t.Errorf("Take = %q, %v", got, err)
	}
}

func TestTableClose(t *testing.T) {
	dropped := 0
	table := rendezvous.New[int](rendezvous.Options[string]{Dropped: func(string) { dropped++ }})
	table.Put(1, "a")
	table.Close()
	table.Close()
	if table.Put(2, "b") || try(t, table, 1) != "" || try(t, table, 2) != "" || dropped != 1 {
		t.Errorf("a closed table takes or has a value, and %d were dropped, want one", dropped)
	}
}

// A value and its waiter meet, whoever is first.
func TestTableAtOnce(t *testing.T) {
	table := rendezvous.New[int](rendezvous.Options[int]{Keep: time.Minute})
	defer table.Close()
	var work wait.Group
	for key := range 500 {
		work.Go(func() { table.Put(key, -key) })
		work.Go(func() {
			if v, err := table.Take(t.Context(), key); err != nil || v != -key {
				t.Errorf("Take(%d) = %d, %v", key, v, err)
			}
		})
	}
	work.Wait()
}
