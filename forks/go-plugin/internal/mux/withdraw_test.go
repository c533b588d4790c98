// SPDX-License-Identifier: MPL-2.0

package mux

import "testing"

// TestWithdrawLooksAtRequests holds that a call which is given up is looked for among the
// requests that wait, and not among all that waits behind them: at a plugin that reads
// nothing those may be millions of other calls given up, each of which would look at all.
func TestWithdrawLooksAtRequests(t *testing.T) {
	o := &outbox{writing: true} // and so nothing leaves
	request := func(number uint64) {
		b := newMessage(kindRequest, 1, number)
		b.call("Plugin.M", 0)
		b.finish(0)
		if _, err := o.put(b, soon); err != nil {
			t.Fatal(err)
		}
	}
	cancel := func(number uint64) {
		b := newMessage(kindCancel, 1, number)
		b.finish(0)
		if err := o.say(b, soon); err != nil {
			t.Fatal(err)
		}
	}
	request(1)
	cancel(7)
	request(2)
	cancel(8)
	// What is behind the last request would not be understood.
	o.waiting.last.next = &buffer{data: []byte("no frame")}
	o.waiting.last = o.waiting.last.next
	for _, number := range []uint64{1, 2} {
		if !o.withdraw(1, number) {
			t.Errorf("request %d was not found", number)
		}
	}
	for _, number := range []uint64{1, 3, 7} {
		if o.withdraw(1, number) {
			t.Errorf("there was a request %d", number)
		}
	}
	o.mu.Lock()
	o.take() // unlocks
	o.waiting.add(&buffer{data: []byte("no frame")})
	if o.withdraw(1, 2) {
		t.Error("a request that has left was found")
	}
}
