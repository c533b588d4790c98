// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// MuxPlugin serves one host with the feature mux.
type MuxPlugin struct {
	config *PluginConfig
	mux    *mux.Plugin
}

// NewMuxPlugin returns a session on conn, which Serve closes. The session keeps config.
func NewMuxPlugin(conn net.Conn, config *PluginConfig) *MuxPlugin {
	config.calls = &calls.Gauge{}
	p := &MuxPlugin{config: config}
	streams := &muxStreams{arrivals: NewArrivals()}
	broker := NewBroker(streams, streams.arrivals, rendezvous.Wait, config.Serving)
	control := &control{
		kinds: config.Kinds(broker), panicked: config.Panicked, within: config.within,
		register: func(h mux.Handler) (uint32, error) {
			id, err := p.mux.Register(h)
			return uint32(id), err
		},
		finishOutput: func(ctx context.Context) { p.mux.FinishOutput(ctx) },
	}
	p.mux = mux.NewPlugin(conn, mux.PluginConfig{
		Control:    control,
		Open:       control.open,
		Calls:      config.calls,
		Answered:   p.answered,
		Panicked:   config.Panicked,
		Barrier:    config.Output,
		Subscribe:  func() mux.Output { return config.Subscribe() },
		Accept:     mux.Acceptors{mux.Brokered: streams.admit},
		Watchdog:   config.Watchdog,
		Silence:    config.Silence,
		MaxCalls:   config.MaxCalls,
		MaxSend:    config.MaxSend,
		MaxReceive: config.MaxMessage,
	})
	streams.session = p.mux
	return p
}

// Serve serves until the host hangs up or the connection is closed, closes it in any case, and
// calls ended with the reason. It may have returned by then.
func (p *MuxPlugin) Serve(ended func(error)) { p.mux.Serve(ended) }

// answered lets the answer to Quit leave before it is acted on.
func (p *MuxPlugin) answered(method string) {
	if method == methodQuit {
		flush(func(ctx context.Context) { _ = p.mux.AwaitSent(ctx) })
		p.config.Quit()
	}
}

// Drain lets the calls in flight finish, and their answers leave, until there has been
// none for quiet. It returns how many it cut off when ctx ended first. The caller closes
// the connection.
func (p *MuxPlugin) Drain(ctx context.Context, quiet time.Duration) (cut int) {
	defer flush(p.mux.FinishOutput)
	p.mux.SayDraining()
	for p.config.calls.WaitQuiet(ctx, quiet) == nil {
		if !p.mux.HasUnsent() {
			return 0
		}
		// The host is slow, and may not even have heard that the plugin leaves.
		if p.mux.AwaitSent(ctx) != nil && ctx.Err() != nil {
			return 1 // at least
		}
	}
	return p.config.calls.Count()
}
