// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/reattach/reattach/test/bench/internal/load"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// batched is the payload below which a subject's Batch matters.
const batched = 1 << 10

// calls loads the session, and counts what both sides need for it.
func (o *opened) calls(l wire.Load) (wire.Rate, error) {
	batch := 1
	if l.Payload < batched {
		batch = cmp.Or(o.subject.Batch, 1)
	}
	plugin, host := o.servers.Usage(false).CPU, cpu()
	rate, err := load.Run(o.session.Greet, l, batch)
	rate.HostCPU = cpu() - host
	rate.PluginCPU = o.servers.Usage(false).CPU - plugin
	return rate, err
}

// attach says how long it takes, n times, to attach and be answered some calls.
func (o *opened) attach(n, trips int) ([]time.Duration, error) {
	times := make([]time.Duration, 0, n)
	for range n {
		start := time.Now()
		s, err := o.target.Attach()
		if err != nil {
			return nil, fmt.Errorf("attach: %w", err)
		}
		for range max(trips, 1) {
			if _, err = s.Greet("first"); err != nil {
				break
			}
		}
		times = append(times, time.Since(start))
		if err := errors.Join(err, s.Close()); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// memory says what each of n sessions holds.
func (o *opened) memory(n int) (wire.Cost, error) {
	var all []Session
	defer func() {
		for _, s := range all {
			_ = s.Close()
		}
	}()
	return Cost(o.servers, n, func() error {
		for range n {
			s, err := o.target.Attach()
			if err != nil {
				return err
			}
			all = append(all, s)
			if _, err := s.Greet("first"); err != nil {
				return err
			}
		}
		return nil
	})
}

// Cost says what each of the n things holds that do makes.
func Cost(servers *Servers, n int, do func() error) (wire.Cost, error) {
	plugin, host := servers.Usage(true), usage(true)
	if err := do(); err != nil {
		return wire.Cost{}, err
	}
	return wire.Cost{
		Plugin: share(plugin, servers.Usage(true), n),
		Host:   share(host, usage(true), n),
	}, nil
}

func share(before, after Usage, n int) wire.Holding {
	return wire.Holding{
		Heap:       (float64(after.Heap) - float64(before.Heap)) / float64(n),
		Stack:      (float64(after.Stack) - float64(before.Stack)) / float64(n),
		Goroutines: float64(after.Goroutines-before.Goroutines) / float64(n),
	}
}

// Took measures what it takes this process and the servers to do something.
func Took(servers *Servers, do func() error) (wire.Effort, error) {
	plugin, host, start := servers.Usage(false).CPU, cpu(), time.Now()
	if err := do(); err != nil {
		return wire.Effort{}, err
	}
	wall, used := time.Since(start), cpu()-host
	return wire.Effort{Wall: wall, HostCPU: used, PluginCPU: servers.Usage(false).CPU - plugin}, nil
}
