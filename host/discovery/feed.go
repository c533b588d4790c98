// SPDX-License-Identifier: MPL-2.0

package discovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/host/target"
)

// Status is how one source fares, for readiness and metrics.
type Status struct {
	// Source is the source's name.
	Source string
	// Synced is set once it has delivered a first full state. It stays set
	// when the source fails later.
	Synced bool
	// Groups and Endpoints count what it says at present, conflicts included.
	Groups, Endpoints int
	// Updates, Errors and Restarts count since the Manager was made. Errors
	// has refused groups, calls of Sink.Error and runs that failed.
	Updates, Errors, Restarts uint64
	// Since is when the source fell into step, or out of it: when LastError became
	// nil, or something.
	Since time.Time
	// LastError is what keeps the source from seeing its subject now, or
	// nil. The next Update clears it, and Partial does not.
	LastError error
}

// feed holds what one source said and how it fares.
type feed struct {
	source Source
	log    hclog.Logger
	dirty  func() // tells the manager to merge; never blocks

	mu     sync.Mutex
	groups map[string]target.Group
	status Status
}

func newFeed(source Source, log hclog.Logger, dirty func()) *feed {
	return &feed{
		source: source, log: log, dirty: dirty,
		groups: make(map[string]target.Group),
		status: Status{Source: source.Name()},
	}
}

// snapshot gives the groups ordered by key, and the status that fits them.
func (f *feed) snapshot() (sourceGroups, Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	groups := slices.SortedFunc(maps.Values(f.groups), func(a, b target.Group) int {
		return strings.Compare(a.Key, b.Key)
	})
	status := f.status
	status.Groups = len(groups)
	for _, g := range groups {
		status.Endpoints += len(g.Endpoints)
	}
	return sourceGroups{source: status.Source, groups: groups}, status
}

// fail counts err and logs it unless it only repeats the last one.
func (f *feed) fail(err error) {
	f.mu.Lock()
	repeated := f.status.LastError != nil && f.status.LastError.Error() == err.Error()
	if f.status.LastError == nil {
		f.status.Since = time.Now()
	}
	f.status.Errors++
	f.status.LastError = err
	f.mu.Unlock()
	if !repeated {
		f.log.Warn("source fails; its last good state stays", "source", f.status.Source, "error", err)
	}
}

// run is one Run of the source and the Sink that it writes to.
type run struct {
	*feed
	first bool // no Update yet; guarded by feed.mu
	ended bool // guarded by feed.mu
}

// runOnce runs the source once. It reports whether the source delivered
// anything, and why it ended if ctx has not.
func (f *feed) runOnce(ctx context.Context) (delivered bool, err error) {
	r := &run{feed: f, first: true}
	err = f.source.Run(ctx, r)
	f.mu.Lock()
	r.ended = true
	delivered = !r.first
	f.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return delivered, nil
	case err == nil:
		return delivered, errors.New("source ended before it was told to")
	}
	return delivered, err
}

// Update implements Sink.
func (r *run) Update(groups ...target.Group) { r.update(nil, groups) }

// Partial implements Sink.
func (r *run) Partial(err error, groups ...target.Group) {
	r.mu.Lock()
	news := r.status.LastError == nil || r.status.LastError.Error() != err.Error()
	r.mu.Unlock()
	if news {
		r.Error(err) // first, so that the source is not in step in between
	}
	r.update(err, groups)
}

// update takes over groups. The source goes on to fail for the reason amid, unless that is nil.
func (r *run) update(amid error, groups []target.Group) {
	var errs []error
	good := make([]target.Group, 0, len(groups))
	refused := make(map[string]bool)
	for _, g := range groups {
		if err := g.Validate(); err != nil {
			errs = append(errs, err)
			refused[g.Key] = true
			continue
		}
		good = append(good, g)
	}
	counts, recovered := r.store(good, refused, amid)
	if !counts {
		return
	}
	if recovered != nil {
		r.log.Info("source is in step again", "source", r.source.Name(), "after", recovered)
	}
	for _, err := range errs {
		r.fail(fmt.Errorf("refuse group: %w", err))
	}
	r.dirty()
}

// store takes over valid groups. It reports whether the run still counts, and which
// error is over by that: none if some groups were refused, or if the source fails amid.
func (r *run) store(groups []target.Group, refused map[string]bool, amid error) (counts bool, recovered error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false, nil
	}
	if r.first {
		r.first = false
		r.status.Synced = true
		maps.DeleteFunc(r.groups, func(key string, _ target.Group) bool { return !refused[key] })
	}
	for _, g := range groups {
		if g.Empty() {
			delete(r.groups, g.Key)
		} else {
			r.groups[g.Key] = g
		}
	}
	r.status.Updates++
	if len(refused) > 0 || amid != nil {
		return true, nil
	}
	if r.status.LastError != nil || r.status.Since.IsZero() {
		r.status.Since = time.Now()
	}
	recovered, r.status.LastError = r.status.LastError, nil
	return true, recovered
}

// Error implements Sink.
func (r *run) Error(err error) {
	r.mu.Lock()
	ended := r.ended
	r.mu.Unlock()
	if !ended {
		r.fail(err)
	}
}
