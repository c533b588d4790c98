// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/link"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// Remote is a server that is reached at an address, through whatever lies between.
type Remote struct {
	Address string
	// Attach makes a session of a greet.Worker with the server, at its address or at
	// another one that leads there.
	Attach func(address string) (Session, error)
	// HeldBack is how often the endpoint was held back from calls; nil: never.
	HeldBack func() int
}

// beside says how long small calls take beside large ones.
func (r Remote) beside(b wire.Beside) (waits wire.Waits, err error) {
	address := r.Address
	if b.Rate > 0 {
		slow, err := link.New(address, b.Rate)
		if err != nil {
			return waits, err
		}
		defer slow.Close()
		address = slow.Addr()
	}
	session, err := r.Attach(address)
	if err != nil {
		return waits, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	worker, err := as[greet.Worker](session)
	if err != nil {
		return waits, err
	}
	if err := errors.Join(small(worker), large(worker, b.Reply, 1)); err != nil {
		return waits, err
	}
	waits = sideBySide(worker, b)
	if r.HeldBack != nil {
		if n := r.HeldBack(); n > 0 {
			waits.Failed, waits.Failure = waits.Failed+n, "the endpoint was held back"
		}
	}
	return waits, nil
}

func small(w greet.Worker) error {
	_, err := w.Greet("small")
	return err
}

func large(w greet.Worker, reply bool, size int) error {
	var (
		n   int
		err error
	)
	if reply {
		var data []byte
		data, err = w.Give(size)
		n = len(data)
	} else {
		n, err = w.Take(make([]byte, size))
	}
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes have arrived, not %d", n, size)
	}
	return err
}

// sideBySide makes a small call every now and then, whether or not those before have
// been answered, for as long as there are large ones.
func sideBySide(w greet.Worker, b wire.Beside) wire.Waits {
	ended := make(chan struct{})
	var larges, smalls times
	var calls sync.WaitGroup
	calls.Go(func() {
		defer close(ended)
		for began := time.Now(); ; {
			if !larges.take(func() error { return large(w, b.Reply, b.Bytes) }) || time.Since(began) >= b.For {
				return
			}
		}
	})
	tick := time.NewTicker(b.Every)
	defer tick.Stop()
	for on := true; on; {
		select {
		case <-ended:
			on = false
		case <-tick.C:
			calls.Go(func() { smalls.take(func() error { return small(w) }) })
		}
	}
	calls.Wait()
	waits := wire.Waits{
		Small: len(smalls.took), P50: smalls.at(50), P99: smalls.at(99), Max: smalls.at(100), Large: larges.at(50),
		Failed: smalls.failed + larges.failed,
	}
	if err := errors.Join(larges.err, smalls.err); err != nil {
		waits.Failure = err.Error()
	}
	return waits
}

// times are how long calls took, those that failed included.
type times struct {
	mu     sync.Mutex
	took   []time.Duration
	failed int
	err    error // the first
}

// take makes a call, and reports whether it was answered.
func (t *times) take(call func() error) bool {
	began := time.Now()
	err := call()
	took := time.Since(began)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took = append(t.took, took)
	if err != nil {
		t.failed++
		if t.err == nil {
			t.err = err
		}
	}
	return err == nil
}

// at gives the time that so many hundredths of all calls took at most.
func (t *times) at(hundredths int) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	slices.Sort(t.took)
	return t.took[min(len(t.took)*hundredths/100, len(t.took)-1)]
}
