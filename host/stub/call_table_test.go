// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func numbers(calls []*call) (all []uint64) {
	for _, k := range calls {
		all = append(all, k.seq)
	}
	slices.Sort(all)
	return all
}

// TestCallTableCollisions has calls whose places are taken by others.
func TestCallTableCollisions(t *testing.T) {
	var table callTable
	places := uint64(len(table.places))
	first, second, third := &call{seq: 3}, &call{seq: 3 + places}, &call{seq: 3 + 2*places}
	table.add(first)
	table.add(second)
	if table.find(third.seq) != nil || table.take(third.seq) != nil || table.remove(third) {
		t.Error("a call was found that was not added")
	}
	table.add(third)
	if got := numbers(table.list()); !slices.Equal(got, []uint64{first.seq, second.seq, third.seq}) {
		t.Errorf("list = %v", got)
	}
	if got := table.take(first.seq); got != first {
		t.Errorf("take(%d) = %v", first.seq, got)
	}
	// The place is free, and the others are found all the same.
	fourth := &call{seq: 3 + 3*places}
	table.add(fourth)
	for _, k := range []*call{second, third, fourth} {
		if table.find(k.seq) != k || table.take(k.seq) != k || table.find(k.seq) != nil || table.take(k.seq) != nil || table.remove(k) {
			t.Errorf("call %d: not found once", k.seq)
		}
	}
	if n := len(table.list()); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

// TestCallTableOneOwner has a sender, a reader and two who end calls. Each call
// must get exactly one owner.
func TestCallTableOneOwner(t *testing.T) {
	var table callTable
	const calls, inFlight = 20_000, 400 // more than there are places
	added := make(chan *call, inFlight)
	var owned [calls]atomic.Int32
	own := func(k *call) { owned[k.seq].Add(1) }

	var all sync.WaitGroup
	all.Go(func() {
		defer close(added)
		for i := range uint64(calls) {
			k := &call{seq: i}
			table.add(k)
			added <- k
		}
	})
	done := make(chan struct{})
	for range 2 {
		all.Go(func() {
			for {
				for _, k := range table.list() {
					if k.seq%3 == 0 && table.remove(k) {
						own(k)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	all.Go(func() {
		defer close(done)
		for k := range added {
			if got := table.take(k.seq); got != nil {
				own(got)
			}
		}
	})
	all.Wait()
	for i := range owned {
		if n := owned[i].Load(); n != 1 {
			t.Fatalf("call %d has %d owners", i, n)
		}
	}
	if n := len(table.list()); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

func BenchmarkCallTable(b *testing.B) {
	for name, distance := range map[string]uint64{"free": 1, "taken": uint64(len(callTable{}.places))} {
		b.Run(name, func(b *testing.B) {
			var table callTable
			table.add(&call{seq: 0})
			k := &call{}
			b.ReportAllocs()
			for b.Loop() {
				k.seq += distance
				table.add(k)
				if table.take(k.seq) != k {
					b.Fatal("not found")
				}
			}
		})
	}
}
