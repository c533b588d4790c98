// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWaitingCallsHaveOneOwner has calls of many senders that are answered, and whose
// deadlines pass, at the same time. Each call must get exactly one owner.
func TestWaitingCallsHaveOneOwner(t *testing.T) {
	const senders, each = 8, 2000
	var owned [senders * each]atomic.Int32
	w := new(waitingCalls)
	var owners sync.WaitGroup
	own := func(k *call) {
		if k != nil {
			owned[k.seq].Add(1)
			owners.Done()
		}
	}
	w.expire = func() {
		for _, k := range w.takeExpired() {
			own(k)
		}
	}
	owners.Add(len(owned))
	for sender := range senders {
		go func() {
			for i := range each {
				method := &calledMethod{options: CallOptions{Timeout: time.Duration(i%3) * time.Millisecond}}
				k := &call{seq: uint64(sender*each + i), callState: callState{calledMethod: method, began: time.Now()}}
				w.add(k)
				if i%2 == 0 {
					own(w.take(k.seq))
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
		w := new(waitingCalls)
		w.expire = func() {
			for _, k := range w.takeExpired() {
				ended <- time.Since(k.deadline())
			}
		}
		began := time.Now()
		method := &calledMethod{options: CallOptions{Timeout: time.Second}}
		for i := range deadlines {
			// Some are due already, some just when others are.
			shift := time.Duration(i*7919%3000-1000) * time.Millisecond
			k := &call{seq: uint64(i), callState: callState{calledMethod: method, began: began.Add(shift)}}
			go w.add(k)
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
