// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"testing"
	"time"
)

// TestSlotTableGrowsWithItsCalls keeps some calls waiting for good while many others come
// and go: they are passed over again and again, and that alone must not make the table grow.
func TestSlotTableGrowsWithItsCalls(t *testing.T) {
	config := callConfig{start: time.Now()}
	w, method := newWaitingCalls(config.now, func() {}), &calledMethod{options: CallOptions{Timeout: time.Hour}}
	defer w.takeAll()
	add := func() *call {
		k := &call{callState: callState{calledMethod: method}}
		if !w.add(k) {
			t.Fatal("a call was not taken")
		}
		return k
	}
	for range 100 {
		add()
	}
	for range 100_000 {
		if k := add(); w.take(k.number) != k {
			t.Fatalf("call %d was not there", k.number)
		}
	}
	if w.slots.size > 256 {
		t.Errorf("%d slots for 101 calls at a time", w.slots.size)
	}
}

// TestSlotTableIsFull fills a table. It takes a call again when one has left, wherever that was.
func TestSlotTableIsFull(t *testing.T) {
	var table slotTable
	var all []*waitingCall
	put := func() bool {
		n, ok := table.reserve()
		if !ok {
			return false
		}
		w := &waitingCall{number: uint64(len(all))<<slotBits | uint64(n)}
		table.put(w)
		all = append(all, w)
		return true
	}
	for range maxWaiting {
		if !put() {
			t.Fatalf("full with %d calls", len(all))
		}
	}
	for range 3 {
		if put() {
			t.Fatalf("took %d calls", len(all))
		}
		if table.cursor != 0 {
			t.Fatalf("looked at %d slots to refuse a call", table.cursor)
		}
	}
	for _, leaves := range []int{0, 1, firstSlots, maxWaiting/2 - 1, maxWaiting - 1} {
		if w := all[leaves]; table.find(w.number) != w || !table.remove(w) || table.remove(w) || table.find(w.number) != nil {
			t.Fatalf("call %d did not leave once", leaves)
		}
		if !put() {
			t.Fatalf("still full when call %d has left", leaves)
		}
		if put() {
			t.Fatalf("took two calls for one")
		}
	}
	slots := make(map[uint32]bool, maxWaiting)
	for w := range table.all() {
		slots[slotOf(w.number)] = true
	}
	if len(slots) != maxWaiting {
		t.Errorf("all gave %d calls", len(slots))
	}
	if last := slotOf(all[maxWaiting-1].number); last != maxWaiting-1 {
		t.Errorf("the last slot is %d", last)
	}
}
