// SPDX-License-Identifier: MPL-2.0

// Package discovery finds out where plugins can be reached. Sources watch one
// kind of place each; the Manager runs them, merges what they say and offers
// the newest whole set to one reader.
package discovery

import (
	"context"

	"github.com/reattach/reattach/host/target"
)

// Source watches one kind of place where plugins are found.
//
// The Manager calls Name at any time and Run from a goroutine of its own, one
// Run at a time. Run blocks. It returns nil after ctx has ended and only then;
// by that time its goroutines have ended and it no longer calls the sink. Any
// other return is a failure: the Manager keeps the source's last good state
// and calls Run again after a pause.
type Source interface {
	// Name is short, constant and unique among the sources of a Manager,
	// such as "static". It appears in logs, metrics and tables.
	Name() string
	// Run delivers to sink, first the whole state, then what changes.
	Run(ctx context.Context, sink Sink) error
}

// Sink takes what a source finds. The source may call it from any of its
// goroutines until Run returns; later calls are ignored. Calls take effect in
// the order in which they are made and return without waiting for any reader.
type Sink interface {
	// Update replaces the groups whose keys are named and leaves the others
	// alone. A group is always the full state of its key, and an empty group
	// withdraws it. The groups belong to the sink from now on: the source
	// must not change them nor their slices.
	//
	// The first Update of each Run holds the whole state at that time, if need be
	// no group at all; what earlier runs delivered and it does not name is
	// withdrawn. Every Update, even one without groups, also says that the
	// source sees its subject again: it clears the last Error.
	//
	// A group that is not valid is refused and counted as an error, and
	// the last good group of its key stays.
	Update(groups ...target.Group)
	// Error says that the source cannot see its subject now and
	// goes on trying. What it has delivered stays in force.
	Error(err error)
	// Partial is an Update by a source that does not see all of its subject, as one of two
	// namespaces or names, for the reason err. It does not clear the last Error, as Error
	// after Update would for a moment, and is counted as an error only if err says something
	// else than the last one. err must not be nil.
	Partial(err error, groups ...target.Group)
}

// Refresher is a Source that can look again before it would by itself, such
// as one that resolves names at intervals.
type Refresher interface {
	// Refresh is a hint that the state may have changed. It returns at once,
	// may be called from any goroutine at any time, and as often as
	// the caller likes: the source limits how often it really looks.
	Refresh()
}
