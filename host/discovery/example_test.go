// SPDX-License-Identifier: MPL-2.0

package discovery_test

import (
	"context"
	"fmt"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// registry is a source that asks, every now and then, where its plugins are.
type registry struct {
	ask   func(context.Context) (map[string]string, error) // addresses by plugin
	every time.Duration
}

// Name implements discovery.Source.
func (registry) Name() string { return "registry" }

// Run implements discovery.Source.
func (r registry) Run(ctx context.Context, sink discovery.Sink) error {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		found, err := r.ask(ctx)
		if err != nil {
			sink.Error(err) // what was delivered stays in force
		} else {
			group := target.Group{Key: "all"}
			for plugin, address := range found {
				group.Endpoints = append(group.Endpoints, target.Endpoint{
					ID: target.MakeID(plugin, address), Plugin: plugin, Placement: target.Network, Address: address,
				})
			}
			sink.Update(group)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func ExampleSource() {
	source := registry{
		ask: func(context.Context) (map[string]string, error) {
			return map[string]string{"store": "10.0.0.7:7000"}, nil
		},
		every: time.Minute,
	}
	manager, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{source}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Run(ctx) }()
	if err := manager.WaitSynced(ctx); err != nil {
		fmt.Println(err)
	}
	for _, e := range manager.Current().Endpoints {
		fmt.Println(e.ID, "found by", e.Source)
	}
	stop()
	fmt.Println(<-ended)
	// Output:
	// store@10.0.0.7:7000 found by registry
	// <nil>
}
