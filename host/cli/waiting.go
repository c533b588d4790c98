// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
)

// silence is how long a command waits before it says what for.
const silence = 2 * time.Second

// beginWait has say told once the silence is over, unless over was called by then. The context
// of say ends with that, and over returns once say has.
func (o Options) beginWait(ctx context.Context, say func(context.Context)) (over func()) {
	waits, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if o.isSilent(waits) {
			say(waits)
		}
	}()
	return func() {
		end()
		<-done
	}
}

// isSilent reports whether ctx has not ended when the silence is over.
func (o Options) isSilent(ctx context.Context) bool {
	timer := time.NewTimer(silence)
	defer timer.Stop()
	over := timer.C
	if o.silent != nil {
		over = nil
	}
	select {
	case <-over:
	case <-o.silent:
	case <-ctx.Done():
		return false
	}
	return true
}

// sayWait says what a command waits for, if anything.
func (o Options) sayWait(stderr io.Writer, what string) {
	if what == "" {
		return
	}
	_, _ = fmt.Fprintf(stderr, "%s: waiting for %s\n", o.Name, oneLine(what))
}

// waiting is a command that needs a plugin to be ready.
type waiting struct {
	program Options
	stderr  io.Writer
	of      client
	plugin  string
}

// errSaid ends the watch over a plugin.
var errSaid = errors.New("there is nothing more to say")

// run has use ask for the plugin, and says meanwhile, once, what that waits for.
func (w waiting) run(ctx context.Context, use func(context.Context) error) error {
	defer w.program.beginWait(ctx, w.watch)()
	return use(ctx)
}

// watch looks at the plugin with each change until there is something to say, or nothing any
// more.
func (w waiting) watch(ctx context.Context) {
	w.program.sayWait(w.stderr, awaitedOf(ctx, w.of, func(now found) (string, bool) {
		i := slices.IndexFunc(now.Plugins, func(p daemon.Plugin) bool { return p.Name == w.plugin })
		if i < 0 {
			return unfound(now, w.plugin), true
		}
		if p := now.Plugins[i]; !p.Ready {
			return awaited(p), true
		}
		return "", true
	}))
}

// unfound says of a plugin that is waited for that nobody has found it, and whom they have.
func unfound(now found, plugin string) string {
	said := "plugin " + plugin + ", which is not found yet"
	if known := now.names(); len(known) > 0 {
		said += ": known are " + strings.Join(known, ", ")
	}
	return said
}

// awaitedOf gives what a client waits for: a source that has told nothing, or what look says
// of the plugins, now or after a change, as soon as it is sure of that.
func awaitedOf(ctx context.Context, of client, look func(found) (what string, sure bool)) (what string) {
	if source := untold(of); source != "" {
		return source
	}
	// Any other error is why there is nothing to look at, which who waits is told as well.
	_ = of.Watch(ctx, func(now found) error {
		said, sure := look(now)
		if !sure || ctx.Err() != nil {
			return nil
		}
		what = said
		return errSaid
	})
	return what
}

// untold gives a source of a client that has told nothing, if there is one. A daemon elsewhere
// has none.
func untold(of client) (source string) {
	if l, ok := of.(*local); ok {
		if missing := l.d.Unsynced(); len(missing) > 0 {
			return missing[0]
		}
	}
	return ""
}

// untilSynced has use show all plugins as they change, and says meanwhile, once, which source has
// told nothing, if any: what becomes of endpoints is shown.
func (o Options) untilSynced(ctx context.Context, of client, stderr io.Writer, use func(context.Context) error) error {
	defer o.beginWait(ctx, func(context.Context) { o.sayWait(stderr, untold(of)) })()
	return use(ctx)
}

// untilTried has use ask for all plugins, and says meanwhile, once, what that waits for: a
// source, or an endpoint that has not been tried. A daemon elsewhere answers at once.
func (o Options) untilTried(ctx context.Context, of client, stderr io.Writer, use func(context.Context) error) error {
	if _, ok := of.(*local); !ok {
		return use(ctx)
	}
	defer o.beginWait(ctx, func(ctx context.Context) { o.sayWait(stderr, awaitedOf(ctx, of, untried)) })()
	return use(ctx)
}

// untried says which plugin has an endpoint that is tried for the first time.
func untried(now found) (what string, sure bool) {
	if !slices.ContainsFunc(now.Plugins, unsettled) {
		return "", true
	}
	for _, p := range now.Plugins {
		for _, e := range p.Endpoints {
			if e.State == conn.Connecting && e.Failures == 0 {
				return awaited(p), true
			}
		}
	}
	return "", false
}

// awaited names a plugin that is waited for, and says why it is not ready.
func awaited(p daemon.Plugin) string { return "plugin " + p.Name + ": " + waitsFor(p) }

// waitsFor says why a plugin is not ready.
func waitsFor(p daemon.Plugin) string {
	for _, e := range p.Endpoints {
		if e.LastError == "" && e.State == conn.Connecting {
			return fmt.Sprintf("%s to %s", e.State, e.ID)
		}
	}
	return statusOf(p)
}
