// SPDX-License-Identifier: MPL-2.0

package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
)

// stubborn ends only when it is let go, whatever its context says.
type stubborn struct{ letGo chan struct{} }

func (stubborn) Name() string { return "stubborn" }

func (s stubborn) Run(_ context.Context, sink discovery.Sink) error {
	sink.Update()
	<-s.letGo
	sink.Update(group("late", endpoint("zh", "h:1")))
	return nil
}

func TestManagerRunWaitsForItsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := stubborn{letGo: make(chan struct{})}
		m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{src}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		stop()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Run returned (%v) while its source was running", err)
		default:
		}
		close(src.letGo)
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestManagerRestartsAFailedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := manual.New("one", group("k", endpoint("zh", "h:1")), group("gone", endpoint("zh", "h:2")))
		m := start(t, discovery.Options{Sources: []discovery.Source{src}})
		synctest.Wait()
		src.Fail(t.Context(), errors.New("boom"))
		synctest.Wait()
		wantIDs(t, "the last good state stays", m.Current(), "zh@h:1 from one", "zh@h:2 from one")
		status := m.Status()[0]
		if diff := cmp.Diff("boom", fmt.Sprint(status.LastError)); diff != "" {
			t.Errorf("last error (-want +got)\n%s", diff)
		}
		status.LastError, status.Since = nil, time.Time{}
		want := discovery.Status{Source: "one", Synced: true, Groups: 2, Endpoints: 2, Updates: 1, Errors: 1}
		if diff := cmp.Diff(want, status); diff != "" {
			t.Errorf("status (-want +got)\n%s", diff)
		}

		src.Update(group("gone")) // nobody listens now; the next Run's first state lacks it
		failedAt := time.Now()
		for range m.Sets() {
			if len(m.Current().Endpoints) == 1 {
				break
			}
		}
		if pause := time.Since(failedAt); pause < 200*time.Millisecond || pause > 300*time.Millisecond {
			t.Errorf("restarted after %s, want 250 ms give or take a fifth", pause)
		}
		wantIDs(t, "the first state of a run replaces what earlier ones left", m.Current(), "zh@h:1 from one")
		want = discovery.Status{Source: "one", Synced: true, Groups: 1, Endpoints: 1, Updates: 2, Errors: 1, Restarts: 1}
		status = m.Status()[0]
		if status.Since.Before(failedAt) {
			t.Errorf("in step since %s, although it failed at %s", status.Since, failedAt)
		}
		status.Since = time.Time{}
		if diff := cmp.Diff(want, status); diff != "" {
			t.Errorf("status after the restart (-want +got)\n%s", diff)
		}
	})
}

// luckless fails each time at once and notes when it was run.
type luckless struct{ runs chan time.Time }

func (luckless) Name() string { return "luckless" }

func (s luckless) Run(context.Context, discovery.Sink) error {
	s.runs <- time.Now()
	return errors.New("no luck")
}

func TestManagerBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := luckless{runs: make(chan time.Time, 100)}
		start(t, discovery.Options{Sources: []discovery.Source{src}})
		last := <-src.runs
		for i, want := range []time.Duration{250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000} {
			want *= time.Millisecond
			at := <-src.runs
			if pause := at.Sub(last); pause < want*8/10 || pause > want*12/10 {
				t.Errorf("pause %d is %s, want %s give or take a fifth", i, pause, want)
			}
			last = at
		}
	})
}

func TestManagerErrorOfARunningSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := manual.New("one", group("k", endpoint("zh", "h:1")))
		m := start(t, discovery.Options{Sources: []discovery.Source{src}})
		synctest.Wait()
		src.Error(errors.New("API is away"))
		wantIDs(t, "an error withdraws nothing", m.Current(), "zh@h:1 from one")
		if got := fmt.Sprint(m.Status()[0].LastError); got != "API is away" {
			t.Errorf("last error is %q", got)
		}
		src.Update()
		if s := m.Status()[0]; s.LastError != nil || s.Errors != 1 {
			t.Errorf("an Update without groups did not clear the error: %+v", s)
		}
	})
}

func TestManagerWaitSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := manual.New("good", group("k", endpoint("zh", "h:1")))
		m := start(t, discovery.Options{Sources: []discovery.Source{good}})
		if err := m.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantIDs(t, "Current holds the first state by then", m.Current(), "zh@h:1 from good")
		if !m.Current().Synced {
			t.Error("the set does not say that it is synced")
		}

		m = start(t, discovery.Options{Sources: []discovery.Source{manual.New("fine"), luckless{runs: make(chan time.Time, 100)}}})
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		err := m.WaitSynced(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the cause of the context", err)
		}
		want := "wait for the first state of luckless (no luck): context deadline exceeded"
		if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
			t.Errorf("the error names the source (-want +got)\n%s", diff)
		}
		if m.Current().Synced {
			t.Error("synced without the source that never delivered")
		}
	})
}

func TestManagerIgnoresCallsAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &keepsSink{sinks: make(chan discovery.Sink, 1)}
		m := start(t, discovery.Options{Sources: []discovery.Source{src}})
		sink := <-src.sinks
		synctest.Wait()
		before := m.Status()[0]
		sink.Update(group("k", endpoint("zh", "h:1")))
		sink.Error(errors.New("late"))
		synctest.Wait()
		wantIDs(t, "a call after Run has no effect", m.Current())
		after := m.Status()[0]
		if before.Updates != after.Updates || before.Errors != after.Errors {
			t.Errorf("late calls were counted: %+v, then %+v", before, after)
		}
	})
}

type keepsSink struct{ sinks chan discovery.Sink }

func (*keepsSink) Name() string { return "keeps" }

func (s *keepsSink) Run(_ context.Context, sink discovery.Sink) error {
	s.sinks <- sink
	return errors.New("over")
}

// TestTroubleIsToldOnceAndItsEndToo: the last word on a healthy source is that it is
// healthy.
func TestTroubleIsToldOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedLog
		src := manual.New("one", group("k", endpoint("zh", "h:1")))
		m := start(t, discovery.Options{Sources: []discovery.Source{src}, Logger: hclog.New(&hclog.LoggerOptions{Output: &log, DisableTime: true})})
		synctest.Wait()
		for range 3 {
			src.Error(errors.New("connection refused"))
		}
		synctest.Wait()
		failed := m.Status()[0]
		src.Update(group("k", endpoint("zh", "h:2")))
		src.Update(target.Group{Key: "odd", Problems: []target.Problem{{Plugin: "odd", Subject: "service ns/odd", Reason: "two ports"}}})
		synctest.Wait()
		src.Update(target.Group{Key: "odd"})
		synctest.Wait()
		want := []string{
			`[WARN]  source fails; its last good state stays: source=one error="connection refused"`,
			`[INFO]  source is in step again: source=one after="connection refused"`,
			`[WARN]  discovery found what it cannot offer as it stands: subject="service ns/odd" reason="two ports" plugin=odd source=one`,
			`[INFO]  what discovery could not offer is mended, or removed: subject="service ns/odd" source=one`,
		}
		if diff := cmp.Diff(want, log.lines()); diff != "" {
			t.Errorf("the log (-want +got)\n%s", diff)
		}
		if now := m.Status()[0]; now.LastError != nil || failed.LastError == nil || failed.Since.IsZero() {
			t.Errorf("it failed with %+v, and now is %+v", failed, now)
		}
	})
}

// TestManyProblemsAreFewLines: a namespace of tenants may have thousands, which come
// and go at once.
func TestManyProblemsAreFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedLog
		src := manual.New("one")
		start(t, discovery.Options{Sources: []discovery.Source{src}, Logger: hclog.New(&hclog.LoggerOptions{Output: &log, DisableTime: true})})
		odd := target.Group{Key: "odd"}
		for i := range 3000 {
			odd.Problems = append(odd.Problems, target.Problem{Subject: fmt.Sprintf("service ns/odd-%d", i), Reason: "two ports"})
		}
		src.Update(odd)
		synctest.Wait()
		src.Update(target.Group{Key: "odd"})
		synctest.Wait()
		counts := make(map[string]int)
		for _, line := range log.lines() {
			text, _, _ := strings.Cut(line, ":")
			counts[text]++
		}
		want := map[string]int{
			"[WARN]  discovery found what it cannot offer as it stands":            20,
			"[WARN]  discovery found more that it cannot offer":                    1,
			"[INFO]  what discovery could not offer is mended, or removed":         20,
			"[INFO]  more of what discovery could not offer is mended, or removed": 1,
		}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("lines of the log (-want +got)\n%s", diff)
		}
	})
}

// lockedLog is a writer of lines that may be read meanwhile.
type lockedLog struct {
	mu  sync.Mutex
	out strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lockedLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.out.String()), "\n")
}
