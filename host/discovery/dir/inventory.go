// SPDX-License-Identifier: MPL-2.0

package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reattach/reattach/host/target"
)

// file is what is known of one name in the directory.
type file struct {
	// seen is the newest observation, made first at since and unchanged from
	// then on.
	seen  observation
	since time.Time
	// settled is the newest observation that counted. From it come the
	// endpoint, if any, and the problem, if any.
	settled  observation
	endpoint *target.Endpoint
	problem  string
	// differs is when seen began to differ from settled, zero if it does not.
	differs time.Time
}

// inventory is what is known of the directory. Run's goroutine owns it.
type inventory struct {
	opts  Options
	files map[string]*file
	// problem is what keeps the directory itself from being seen.
	problem string
}

func newInventory(opts Options) *inventory {
	return &inventory{opts: opts, files: make(map[string]*file)}
}

// look looks at the directory once. After an error everything stays as it
// was. A directory that does not exist is no error but a problem: its files
// are surely not there.
func (v *inventory) look(ctx context.Context, now time.Time) error {
	seen, err := v.opts.observe()
	v.problem = ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.problem = fmt.Sprintf("the plugin directory does not exist: create it; it is looked for every %s", v.opts.Rescan)
	case err != nil:
		v.problem = "it cannot be read as a plugin directory: " + cause(err)
		return err
	}
	for name := range seen {
		if v.files[name] == nil {
			v.files[name] = &file{since: now}
		}
	}
	for name, f := range v.files {
		v.update(ctx, name, f, seen[name], now)
		if f.absent() {
			delete(v.files, name)
		}
	}
	return nil
}

// update learns what a look saw of one file and, if it has settled, lets it
// count.
func (v *inventory) update(ctx context.Context, name string, f *file, seen observation, now time.Time) {
	if !seen.same(f.seen) {
		f.seen, f.since = seen, now
	}
	if seen.same(f.settled) {
		f.differs = time.Time{}
		return
	}
	if f.differs.IsZero() {
		f.differs = now
	}
	if v.settledBy(f, now) {
		v.settle(ctx, name, f, now)
	}
}

// settledBy reports whether f was seen unchanged for long enough, or has not
// been written to for long enough by its own account, as a file that was
// renamed into place.
func (v *inventory) settledBy(f *file, now time.Time) bool {
	if now.Sub(f.since) >= v.opts.Settle {
		return true
	}
	return f.seen.problem == "" && f.seen.info != nil && now.Sub(f.seen.info.ModTime()) >= v.opts.Settle
}

// settle lets the newest observation count.
func (v *inventory) settle(ctx context.Context, name string, f *file, now time.Time) {
	if f.seen.info == nil || f.seen.problem != "" {
		f.accept(nil, f.seen.problem)
		return
	}
	path := filepath.Join(v.opts.Dir, name)
	if v.opts.Sockets {
		// It is made anew by every run of the plugin, and not written to.
		f.accept(v.endpoint(name, target.SocketScheme+path, f.seen.info.ModTime().UTC().Format(time.RFC3339Nano)), "")
		return
	}
	sum, err := fingerprint(ctx, path, f.seen.info)
	switch {
	case err == nil:
		f.accept(v.endpoint(name, path, sum), "")
	case errors.Is(err, errIncomplete):
		// What was there before may still be running, so that it stays.
		f.accept(f.endpoint, err.Error())
	case errors.Is(err, errChanged):
		f.since = now
	default:
		f.problem = "it cannot be read: " + cause(err)
		f.since = now.Add(v.opts.Rescan - v.opts.Settle) // try again with the next rescan
	}
}

func (v *inventory) endpoint(name, address, fingerprint string) *target.Endpoint {
	plugin := pluginName(name)
	return &target.Endpoint{
		ID: target.MakeID(plugin, address), Plugin: plugin,
		Placement: v.opts.placement(name), Address: address, Fingerprint: fingerprint,
	}
}

// accept settles what was seen.
func (f *file) accept(endpoint *target.Endpoint, problem string) {
	f.settled, f.differs = f.seen, time.Time{}
	f.endpoint, f.problem = endpoint, problem
}

// absent reports whether nothing is left to know about the name.
func (f *file) absent() bool {
	nothing := observation{}
	return f.seen.same(nothing) && f.settled.same(nothing)
}

// stuck reports whether f has failed to settle for so long that people should
// know.
func (v *inventory) stuck(f *file, now time.Time) bool {
	return !f.differs.IsZero() && now.Sub(f.differs) >= v.opts.patience()
}

// settling reports whether any file has not settled, but is likely to soon.
func (v *inventory) settling(now time.Time) bool {
	for _, f := range v.files {
		if !f.differs.IsZero() && !v.stuck(f, now) {
			return true
		}
	}
	return false
}

// due says when the next look should be: when the next file may have
// settled, at the latest for the rescan.
func (v *inventory) due(now time.Time) time.Time {
	due := now.Add(v.opts.Rescan)
	for _, f := range v.files {
		if f.differs.IsZero() {
			continue
		}
		if at := f.since.Add(v.opts.Settle); at.Before(due) {
			due = at
		}
	}
	return due
}

// group gives the state of the whole directory.
func (v *inventory) group(now time.Time) target.Group {
	g := target.Group{Key: v.opts.Dir}
	if v.problem != "" {
		g.Problems = append(g.Problems, target.Problem{Subject: v.opts.Dir, Reason: v.problem})
	}
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		f := v.files[name]
		plugin, problem := pluginName(name), f.problem
		if problem == "" && v.stuck(f, now) {
			problem = "it keeps changing, as if it were still being written"
		}
		if err := target.ValidateName(plugin); err != nil {
			g.Problems = append(g.Problems, v.problemOf(name, "", err.Error()))
			continue
		}
		if problem != "" {
			g.Problems = append(g.Problems, v.problemOf(name, plugin, problem))
		}
		if f.endpoint != nil {
			g.Endpoints = append(g.Endpoints, *f.endpoint)
		}
		if p := (target.Plugin{Name: plugin}); (problem != "" || f.endpoint != nil) && !slices.Contains(g.Plugins, p) {
			g.Plugins = append(g.Plugins, p)
		}
	}
	return g
}

func (v *inventory) problemOf(name, plugin, reason string) target.Problem {
	return target.Problem{Plugin: plugin, Subject: filepath.Join(v.opts.Dir, name), Reason: reason}
}

// pluginName is the file's name without its ending.
func pluginName(name string) string {
	return strings.TrimSuffix(name, filepath.Ext(name))
}
