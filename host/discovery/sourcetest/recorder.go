// SPDX-License-Identifier: MPL-2.0

package sourcetest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// recorder is the sink of the suite: it keeps what it was sent and a copy of
// it, so that a change made afterwards shows.
type recorder struct {
	// gate has room for one: whoever put something in holds up Update. It is
	// no mutex, as waiting for one would stop the clock of a bubble.
	gate    chan struct{}
	blocked chan struct{} // gets one when an Update finds the gate taken

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced by every call
	state     map[string]target.Group
	first     []target.Group // of the first Update
	sent      []target.Group
	copies    []target.Group
	updates   int
	lastError error // cleared by an Update
	ended     bool  // Run has returned
	faults    []string

	patience time.Duration // bounds every wait
}

func newRecorder(patience time.Duration) *recorder {
	return &recorder{
		gate:    make(chan struct{}, 1),
		blocked: make(chan struct{}, 1),
		changed: make(chan struct{}),
		state:   make(map[string]target.Group),

		patience: patience,
	}
}

// Update implements discovery.Sink.
func (r *recorder) Update(groups ...target.Group) { r.update(nil, groups) }

// Partial implements discovery.Sink.
func (r *recorder) Partial(err error, groups ...target.Group) {
	if err == nil {
		r.mu.Lock()
		r.fault("Partial was called without an error")
		r.mu.Unlock()
	}
	r.update(err, groups)
}

// update records groups, and what keeps the source from seeing all.
func (r *recorder) update(amid error, groups []target.Group) {
	r.pass()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note("Update")
	keys := make(map[string]bool)
	for _, g := range groups {
		if err := g.Validate(); err != nil {
			r.fault("a group is not valid: %v", err)
		}
		if keys[g.Key] {
			r.fault("one Update names key %q twice", g.Key)
		}
		keys[g.Key] = true
		for _, e := range g.Endpoints {
			if want := target.MakeID(e.Plugin, e.Address); e.ID != want {
				r.fault("endpoint has ID %q, want %q", e.ID, want)
			}
		}
		r.sent = append(r.sent, g)
		r.copies = append(r.copies, g.Clone())
		if g.Empty() {
			delete(r.state, g.Key)
		} else {
			r.state[g.Key] = g
		}
	}
	if r.updates == 0 {
		r.first = groups
	}
	r.updates++
	r.lastError = amid
}

// Error implements discovery.Sink.
func (r *recorder) Error(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note("Error")
	if err == nil {
		r.fault("Error was called without an error")
	}
	r.lastError = err
}

// pass waits until the gate is open.
func (r *recorder) pass() {
	select {
	case r.gate <- struct{}{}:
	default:
		select {
		case r.blocked <- struct{}{}:
		default:
		}
		r.gate <- struct{}{}
	}
	<-r.gate
}

// hold closes the gate, lets change happen elsewhere, and waits until
// an Update is held up. The function it gives opens the gate and waits for
// change to be done.
func (r *recorder) hold(t *testing.T, change func()) (release func()) {
	t.Helper()
	r.gate <- struct{}{}
	done := make(chan struct{})
	go func() { // a world that calls the sink itself has to wait for it
		defer close(done)
		change()
	}()
	timeout := time.NewTimer(r.patience)
	defer timeout.Stop()
	select {
	case <-r.blocked:
	case <-timeout.C:
		t.Errorf("no Update within %s of a change", r.patience)
	}
	return func() {
		<-r.gate
		<-done
	}
}

// note wakes who waits, and notices calls that come too late.
func (r *recorder) note(method string) {
	if r.ended {
		r.fault("%s was called after Run had returned", method)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// await waits until done says so of the recorder, whose lock is held.
func (r *recorder) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	timeout := time.NewTimer(r.patience)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		ok, changed := done(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("%s: not within %s; the state is %v, problems %v, last error %v",
				what, r.patience, r.ids(), r.problems(), r.lastError)
		}
	}
}

// awaitIDs waits until exactly these endpoints are there.
func (r *recorder) awaitIDs(t *testing.T, what string, want ...string) {
	t.Helper()
	slices.Sort(want)
	r.await(t, fmt.Sprintf("%s: want %v", what, want), func() bool {
		return r.updates > 0 && slices.Equal(r.ids(), want)
	})
}

// ids and problems need the lock.
func (r *recorder) ids() []string { return idsOf(slices.Collect(maps.Values(r.state))) }

func (r *recorder) problems() []target.Problem {
	var out []target.Problem
	for _, g := range r.state {
		out = append(out, g.Problems...)
	}
	return out
}

// endpoint finds one by its ID, or gives none. It needs the lock.
func (r *recorder) endpoint(id string) target.Endpoint {
	for _, g := range r.state {
		if i := slices.IndexFunc(g.Endpoints, func(e target.Endpoint) bool { return e.ID == id }); i >= 0 {
			return g.Endpoints[i]
		}
	}
	return target.Endpoint{}
}

// verify reports every breach of the contract that was seen.
func (r *recorder) verify(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		t.Error(f)
	}
	if diff := cmp.Diff(r.copies, r.sent); diff != "" {
		t.Errorf("groups were changed after they had been sent (-then +now)\n%s", diff)
	}
}

func idsOf(groups []target.Group) []string {
	var out []string
	for _, g := range groups {
		for _, e := range g.Endpoints {
			out = append(out, e.ID)
		}
	}
	slices.Sort(out)
	return out
}

var _ discovery.Sink = (*recorder)(nil)
