// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func newWaitingCalls(now func() time.Duration, expire func()) *waitingCalls {
	w := new(waitingCalls)
	w.init(now, expire)
	return w
}

// TestWaitingCallsHaveOneOwner has calls of many senders that are answered, and whose
// deadlines pass, at the same time. Each call must get exactly one owner.
func TestWaitingCallsHaveOneOwner(t *testing.T) {
	const senders, each = 8, 2000
	var owned [senders * each]atomic.Int32
	config := callConfig{start: time.Now()}
	w := newWaitingCalls(config.now, nil)
	var owners sync.WaitGroup
	own := func(k *call) {
		if k != nil {
			owned[k.args.(int)].Add(1)
			owners.Done()
		}
	}
	w.expire = func() {
		for _, k := range w.takeExpired() {
			own(k)
		}
	}
	owners.Add(len(owned))
	var sending sync.Mutex
	for sender := range senders {
		go func() {
			for i := range each {
				method := &calledMethod{options: CallOptions{Timeout: time.Duration(i%3) * time.Millisecond}}
				k := &call{args: sender*each + i, callState: callState{calledMethod: method, began: config.now()}}
				sending.Lock()
				w.add(k)
				sending.Unlock()
				if i%2 == 0 {
					own(w.take(k.number))
				}
			}
		}()
	}
	owners.Wait()
	for i := range owned {
		if n := owned[i].Load(); n != 1 {
			t.Fatalf("call %d has %d owners", i, n)
		}
	}
	if rest := w.takeAll(); len(rest) > 0 {
		t.Errorf("%d calls are left", len(rest))
	}
}

// TestDeadlineTimerForgetsNothing adds calls while others run out.
func TestDeadlineTimerForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const deadlines = 1000
		ended := make(chan time.Duration, deadlines)
		var sending sync.Mutex
		config := callConfig{start: time.Now()}
		w := newWaitingCalls(config.now, nil)
		w.expire = func() {
			for _, k := range w.takeExpired() {
				ended <- config.now() - k.deadline()
			}
		}
		method := &calledMethod{options: CallOptions{Timeout: time.Second}}
		for i := range deadlines {
			// Some are due already, some just when others are.
			shift := time.Duration(i*7919%3000-1000) * time.Millisecond
			k := &call{callState: callState{calledMethod: method, began: shift}}
			go func() {
				sending.Lock()
				defer sending.Unlock()
				w.add(k)
			}()
			if i%100 == 0 {
				time.Sleep(50 * time.Millisecond)
			}
		}
		for range deadlines {
			// Some were late by that much when they were added.
			if late := <-ended; late > 500*time.Millisecond {
				t.Fatalf("%v late", late)
			}
		}
		w.takeAll()
	})
}

// TestWaitingCallsAreTold has more calls wait than ever before, after others have left: an
// answer finds the call that it is for, and an old one none.
func TestWaitingCallsAreTold(t *testing.T) {
	config := callConfig{start: time.Now()}
	w := newWaitingCalls(config.now, func() {})
	defer w.takeAll()
	method := &calledMethod{options: CallOptions{Timeout: time.Hour}}
	numbers := make(map[uint64]*call)
	add := func(n int) {
		for range n {
			k := &call{callState: callState{calledMethod: method}}
			if !w.add(k) {
				t.Fatalf("a call was not taken")
			}
			if numbers[k.number] != nil {
				t.Fatalf("two calls have the number %d", k.number)
			}
			numbers[k.number] = k
		}
	}
	add(10)
	for number, k := range numbers {
		if got := w.take(number); got != k {
			t.Fatalf("take gave %p, want %p", got, k)
		}
	}
	old := slices.Collect(maps.Keys(numbers))
	add(20)
	for _, number := range append(old, 7, 1<<40) {
		if w.find(number) != nil || w.take(number) != nil {
			t.Errorf("there is a call with the number %d, which has been answered or never was", number)
		}
	}
	for number, k := range numbers {
		if got := w.find(number); got != k && !slices.Contains(old, number) {
			t.Errorf("find gave %p, want %p", got, k)
		}
	}
}

// TestLongestTimeout waits for an answer as long as can be said.
func TestLongestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := callConfig{start: time.Now()}
		w := newWaitingCalls(config.now, nil)
		w.expire = func() { t.Error("the call has expired") }
		time.Sleep(time.Hour)
		method := &calledMethod{options: CallOptions{Timeout: math.MaxInt64}}
		k := &call{callState: callState{calledMethod: method, began: config.now()}}
		w.add(k)
		time.Sleep(1000 * time.Hour)
		if w.takeExpired() != nil || w.take(k.number) != k {
			t.Error("the call does not wait any more")
		}
		w.takeAll()
	})
}
