// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"errors"
	"sync"

	"github.com/reattach/reattach/host/fleet"
)

// follow calls the hook of each plugin that became ready, and forgets the metrics of
// each that is not known any more, until ctx ends. It returns when all hooks have.
func (d *Daemon) follow(ctx context.Context) error {
	var hooks sync.WaitGroup
	defer hooks.Wait()
	ready := make(map[string]bool)
	for generation := uint64(0); ; {
		view, err := d.fleet.Wait(ctx, generation)
		if ctx.Err() != nil || errors.Is(err, fleet.ErrShutdown) {
			return nil
		}
		if err != nil {
			return err
		}
		generation = view.Generation
		now := make(map[string]bool, len(view.Plugins))
		for _, p := range view.Plugins {
			now[p.Name] = p.Ready > 0
			if now[p.Name] && !ready[p.Name] && d.opts.OnReady != nil {
				hooks.Go(func() { d.opts.OnReady(ctx, d, p.Name) })
			}
		}
		for name := range ready {
			if _, still := now[name]; !still {
				d.metrics.forget(name)
			}
		}
		ready = now
	}
}
