// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
)

// silence is how long a command waits for a plugin before it says so.
const silence = 2 * time.Second

// waiting is a command that needs a plugin to be ready.
type waiting struct {
	program string // the name with which lines begin
	stderr  io.Writer
	of      client
	plugin  string
}

// errSaid ends the watch over a plugin.
var errSaid = errors.New("there is nothing more to say")

// run has use ask for the plugin, and says meanwhile, once, what that waits for.
func (w waiting) run(ctx context.Context, use func(context.Context) error) error {
	watching, end := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		w.watch(watching)
	}()
	err := use(ctx)
	end()
	<-over
	return err
}

// watch looks at the plugin at the end of the silence, and with each change until there is
// something to say, or nothing any more.
func (w waiting) watch(ctx context.Context) {
	timer := time.NewTimer(silence)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	// Any other error is why there is nothing to look at, which use is told as well.
	_ = w.of.Watch(ctx, func(now found) error {
		i := slices.IndexFunc(now.Plugins, func(p daemon.Plugin) bool { return p.Name == w.plugin })
		if i < 0 || ctx.Err() != nil {
			return nil
		}
		if p := now.Plugins[i]; !p.Ready {
			_, _ = fmt.Fprintf(w.stderr, "%s: waiting for plugin %s: %s\n", w.program, w.plugin, oneLine(waitsFor(p)))
		}
		return errSaid
	})
}

// waitsFor says why a plugin is not ready.
func waitsFor(p daemon.Plugin) string {
	for _, e := range p.Endpoints {
		if e.LastError == "" && e.State == conn.Connecting {
			return fmt.Sprintf("%s to %s", e.State, e.ID)
		}
	}
	return statusOf(p)
}
