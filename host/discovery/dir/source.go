// SPDX-License-Identifier: MPL-2.0

// Package dir is the discovery source for files: executables that run as
// child processes, shared objects that are loaded into the host, and, by a
// source of their own, unix sockets that plugins serve on. A file
// that is still being copied is not offered, and one that is being replaced
// stays offered as it was until the new one is complete.
package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// Options configures a Source. Dir is all that must be set.
type Options struct {
	// Name is the source's, for a program that has several. Empty means "dir", or "sockets".
	Name string
	// Dir is the directory. It need not exist yet.
	Dir string
	// Executables and SharedObjects are patterns of path.Match for the names
	// of files. Empty means "*.po" and "*.so". A name that begins with a dot
	// is never taken.
	Executables, SharedObjects string
	// Sockets takes unix sockets, "*.sock", that plugins serve on, and no files.
	Sockets bool
	// Rescan is the time between two looks when nothing hints at a change.
	// Zero means 5 s.
	Rescan time.Duration
	// Settle is how long a file must stay as it is before it counts. Zero
	// means 300 ms.
	Settle time.Duration
	// PollOnly does without the operating system's notifications, which some
	// network file systems do not give.
	PollOnly bool
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("option Dir is empty")
	}
	abs, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("find directory %s: %w", o.Dir, err)
	}
	o.Dir = abs
	if o.Name == "" && o.Sockets {
		o.Name = "sockets"
	}
	o.Name = cmp.Or(o.Name, "dir")
	o.Executables, o.SharedObjects = cmp.Or(o.Executables, "*.po"), cmp.Or(o.SharedObjects, "*.so")
	for _, pattern := range []string{o.Executables, o.SharedObjects} {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return o, fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	o.Rescan, o.Settle = cmp.Or(o.Rescan, 5*time.Second), cmp.Or(o.Settle, 300*time.Millisecond)
	if o.Rescan < 0 || o.Settle < 0 {
		return o, fmt.Errorf("option Rescan %s, Settle %s: neither may be below zero", o.Rescan, o.Settle)
	}
	return o, nil
}

// patience is how long a file may keep changing before people are told, and
// before the first state is delivered without it.
func (o Options) patience() time.Duration { return 10 * o.Settle }

// Source is a discovery.Source and a discovery.Refresher.
type Source struct {
	opts    Options
	refresh chan struct{}
}

// New makes a source. It does not look at the directory yet.
func New(opts Options) (*Source, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("make directory source: %w", err)
	}
	return &Source{opts: opts, refresh: make(chan struct{}, 1)}, nil
}

// Name implements discovery.Source.
func (s *Source) Name() string { return s.opts.Name }

// Refresh implements discovery.Refresher.
func (s *Source) Refresh() {
	select {
	case s.refresh <- struct{}{}:
	default: // asked already
	}
}

// Run implements discovery.Source. The whole directory is one group.
func (s *Source) Run(ctx context.Context, sink discovery.Sink) error {
	notes := newNotifier(s.opts)
	defer notes.close()
	var (
		known     = newInventory(s.opts)
		started   = time.Now()
		delivered bool
		sent      target.Group
	)
	for {
		notes.follow()
		looked := time.Now()
		err := known.look(ctx, looked)
		if ctx.Err() != nil {
			return nil
		}
		group := known.group(looked)
		unsure := known.settling(looked) && looked.Sub(started) < 2*s.opts.patience()
		if delivered && !group.Equal(sent) || !delivered && !unsure {
			delivered, sent = true, group
			sink.Update(group)
		}
		if err != nil {
			sink.Error(err) // the group says so too: it differs once this is over
		}
		if !s.wait(ctx, notes, looked, known.due(looked)) {
			return nil
		}
	}
}

// wait waits until the next look is due, or a little while after something
// hints at a change: copies come with a stream of hints. It reports false if
// ctx ended.
func (s *Source) wait(ctx context.Context, notes *notifier, looked, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-notes.events:
	case <-notes.errors:
	case <-s.refresh:
	}
	soon := looked.Add(s.opts.Settle / 4)
	if soon.After(due) {
		soon = due
	}
	timer.Reset(time.Until(soon))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
