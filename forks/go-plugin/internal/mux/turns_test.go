// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"io"
	"net"
	"testing"
)

// numbered is a bulk of frames of the same number each.
type numbered struct {
	number uint64
	left   int
	during func() // called while its part runs; may be nil
}

func (b *numbered) part(to *buffer, n int) bool {
	if b.during != nil {
		b.during()
	}
	if b.left == 0 {
		return false
	}
	start := to.begin(kindData, b.number)
	to.text("x")
	to.finish(start)
	b.left--
	return b.left > 0
}

// sent gives the numbers of the frames that come until the connection ends.
func sent(t *testing.T, conn net.Conn) (numbers []uint64) {
	t.Helper()
	in := newInbox(conn, nil)
	for {
		var m message
		if err := in.next(&m); err == io.EOF {
			return numbers
		} else if err != nil {
			t.Error(err)
			return numbers
		}
		number, err := in.ReadByte()
		if err != nil || m.kind != kindData && m.kind != kindProbe {
			t.Errorf("got %+v, %v", m, err)
		}
		numbers = append(numbers, uint64(number))
	}
}

// TestTurns has bulks take turns, and frames that are put meanwhile go before all of
// them.
func TestTurns(t *testing.T) {
	here, there := net.Pipe()
	o := &outbox{conn: here, broken: func(err error) { t.Error(err) }}
	done := make(chan struct{})
	a, b := &numbered{number: 1, left: 3}, &numbered{number: 2, left: 2}
	late := &numbered{number: 3, left: 1}
	a.during = func() {
		if a.left != 2 {
			return
		}
		small := newMessage(kindProbe, 9)
		if err := small.seal(); err != nil {
			t.Error(err)
		}
		if _, err := o.put(small, later); err != nil {
			t.Error(err)
		}
		o.enlist(late)
		o.enlist(late) // once is enough
		o.enlist(a)    // its part runs: another turn, in which it may have more or nothing
	}
	o.mu.Lock() // both are there before the first turn
	o.turns.add(a)
	o.turns.add(b)
	o.turns.add(a)
	o.mu.Unlock()
	o.flush()
	go func() {
		defer close(done)
		got := sent(t, there)
		want := []uint64{1, 2, 1, 9, 2, 3, 1}
		if len(got) != len(want) {
			t.Errorf("got %v, want %v", got, want)
			return
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("got %v, want %v", got, want)
				return
			}
		}
	}()
	if err := o.awaitThat(t.Context(), nil, func() bool { return !o.writing }); err != nil {
		t.Error(err)
	}
	_ = here.Close()
	<-done
	if o.turns.len() != 0 || len(o.turns.waiting) != 0 {
		t.Errorf("the outbox keeps %+v", o.turns)
	}
}

// TestEnlistAfterEnd gives no turn once the session has ended.
func TestEnlistAfterEnd(t *testing.T) {
	here, _ := net.Pipe()
	o := &outbox{conn: here}
	o.fail(net.ErrClosed)
	o.enlist(&numbered{number: 1, left: 1})
	if o.turns.len() != 0 {
		t.Error("it waits for a turn")
	}
}

// puttingBulk puts an answer while its part is made.
type puttingBulk struct {
	o   *outbox
	end uint64 // of the answer
}

func (b *puttingBulk) part(to *buffer, _ int) bool {
	answer := newMessage(kindAnswer, 1, 1)
	answer.finish(0)
	b.end, _ = b.o.put(answer, later)
	start := to.begin(kindData, 1)
	to.data = append(to.data, make([]byte, 1000)...)
	to.finish(start)
	return false
}

// An answer that is put while a part is made is not on its way with that part.
func TestPutBesidePart(t *testing.T) {
	here, there := net.Pipe()
	o := &outbox{conn: here, broken: func(err error) { t.Error(err) }}
	b := &puttingBulk{o: o}
	o.mu.Lock()
	o.turns.add(b)
	o.writing = true
	o.take() // unlocks
	if taken := o.position(); taken >= b.end {
		t.Errorf("the connection is said to have been given %d, and the answer ends at %d", taken, b.end)
	}
	o.mu.Lock()
	if !o.proceedLocked() {
		t.Error("nothing is left to write")
	}
	o.mu.Unlock()
	if !o.hasUnsent() {
		t.Error("the answer is said to be sent")
	}
	_, _ = here.Close(), there.Close()
}
