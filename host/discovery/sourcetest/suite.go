// SPDX-License-Identifier: MPL-2.0

// Package sourcetest is the conformance suite that every discovery source
// passes.
package sourcetest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"go.uber.org/goleak"
)

// World is a source and whatever it watches, in the hands of the suite. It
// may also be a Replacer and a Breaker. One goroutine at a time calls its
// methods, before, while and after the source runs.
type World interface {
	// Source gives the source. It is the same one each time.
	Source() discovery.Source
	// Add makes instance n reachable and gives the ID of its endpoint. The
	// suite numbers instances from 0 and never adds one twice in a row.
	Add(n int) string
	// Remove makes instance n unreachable again.
	Remove(n int)
}

// Replacer is a World whose source notices that another instance has taken
// the place of one.
type Replacer interface {
	// Replace puts another instance in the place of n. The ID stays.
	Replace(n int)
}

// Breaker is a World in which the source can lose sight of its subject.
type Breaker interface {
	// Break makes the source unable to see anything.
	Break()
	// Mend undoes Break.
	Mend()
}

// Suite says how to make worlds for one source.
type Suite struct {
	// New makes a world in which there is no instance yet. What it needs to
	// clean up it registers with t.
	New func(t *testing.T) World
	// Bubble runs every case in a synctest bubble, so that a source which
	// looks at intervals is tested in no time. Such a world must not depend
	// on goroutines outside the bubble.
	Bubble bool
}

// Run runs every case as a subtest of t.
func (s Suite) Run(t *testing.T) {
	cases := map[string]func(*subject){
		"FirstUpdateIsTheWholeState": (*subject).firstUpdateIsWhole,
		"NothingIsAStateToo":         (*subject).nothingIsAState,
		"ChangesArrive":              (*subject).changesArrive,
		"ReplacementIsSeen":          (*subject).replacement,
		"SlowSinkGetsTheNewest":      (*subject).slowSink,
		"EndsWithItsContext":         (*subject).endsWithContext,
		"EndsWhileTheSinkIsSlow":     (*subject).endsWhileSlow,
		"NothingIsSentAfterTheEnd":   (*subject).nothingAfterEnd,
		"RunsAgain":                  (*subject).runsAgain,
		"OutageKeepsTheLastGood":     (*subject).outage,
		"RefreshMayBeCalledAnyTime":  (*subject).refresh,
		"NameIsConstantAndNotEmpty":  (*subject).name,
		"ManagerTakesWhatItDelivers": (*subject).manager,
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			if !s.Bubble {
				s.runCase(t, body)
				return
			}
			synctest.Test(t, func(t *testing.T) { s.runCase(t, body) })
		})
	}
}

func (s Suite) runCase(t *testing.T, body func(*subject)) {
	x := &subject{T: t, world: s.New(t), patience: s.patience()}
	before := goleak.IgnoreCurrent()
	defer func() {
		for _, rec := range x.recorders {
			rec.verify(t)
		}
	}()
	body(x)
	goleak.VerifyNone(t, before)
}

// patience is far longer than any source needs, as a busy machine may be slow
// and as sources look at intervals.
func (s Suite) patience() time.Duration {
	if s.Bubble {
		return time.Hour // of the bubble's clock
	}
	return 20 * time.Second
}

// subject is one world under test and the sinks that its source wrote to.
type subject struct {
	*testing.T
	world     World
	recorders []*recorder
	patience  time.Duration
}

// record makes a sink that runCase verifies.
func (x *subject) record() *recorder {
	rec := newRecorder(x.patience)
	x.recorders = append(x.recorders, rec)
	return rec
}

// startWith starts, and waits for the endpoints of the first state.
func (x *subject) startWith(want ...string) (rec *recorder, stop func()) {
	x.Helper()
	rec, stop = x.start()
	rec.awaitIDs(x.T, "first state", want...)
	return rec, stop
}

// start runs the source into a new recorder. The function it gives ends the
// run and checks how it ended; it must be called.
func (x *subject) start() (rec *recorder, stop func()) {
	x.Helper()
	rec = x.record()
	ctx, cancel := context.WithCancel(context.Background())
	x.Cleanup(cancel) // should the case give up
	ended := make(chan error, 1)
	go func() {
		err := x.world.Source().Run(ctx, rec)
		rec.end()
		ended <- err
	}()
	return rec, func() {
		x.Helper()
		cancel()
		timeout := time.NewTimer(x.patience)
		defer timeout.Stop()
		select {
		case err := <-ended:
			if err != nil {
				x.Errorf("Run returned %v after its context had ended, want nil", err)
			}
		case <-timeout.C:
			x.Fatalf("Run did not return within %s after its context had ended", x.patience)
		}
	}
}
