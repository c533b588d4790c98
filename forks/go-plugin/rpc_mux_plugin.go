// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// serveRPCMux serves a host with the feature rpc-mux until it hangs up or the
// connection is closed.
func (h *hostSession) serveRPCMux() error {
	control := &muxControl{plugins: h.version.plugins, panicked: h.panicked}
	streams := &lazyStreams{}
	session := rpcmux.NewPlugin(h.conn, rpcmux.PluginConfig{
		Control:   control,
		Open:      control.open,
		Calls:     &h.calls,
		Answered:  h.answered,
		Panicked:  h.panicked,
		Settled:   h.before.Settled,
		Settle:    func() { h.before.Wait(context.Background()) },
		Subscribe: h.subscribeMux,
		Streams:   streams.begin,
		Watchdog:  &h.server.watchdog,
		Silence:   hostKeepalive,

		MaxSend:    commonBound(h.server.config.MaxMessageBytes, h.agreed.MaxMessage),
		MaxReceive: h.server.config.MaxMessageBytes,
	})
	defer streams.Close()
	broker := newMuxBroker(streams, newStreamArrivals())
	broker.serving = h.rpcServing()
	streams.init(session, broker, func() (*yamux.Session, error) {
		cfg := yamuxConfig(h.logger)
		cfg.EnableKeepAlive = false // The session has its own.
		return yamux.Server(session.StreamConn(), cfg)
	})
	control.broker, control.session = broker, session
	h.mux = session
	h.setReady()
	return session.Serve()
}

// answered ends the session, not the plugin, once Control.Quit was answered.
func (h *hostSession) answered(method string) {
	if method == "Control.Quit" {
		ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
		defer cancel()
		_ = h.mux.AwaitSent(ctx)
		_ = h.conn.Close()
	}
}

// drainMux lets the calls in flight finish, and their answers leave.
func (h *hostSession) drainMux(ctx context.Context) (cut int) {
	defer h.finishMuxOutput()
	h.mux.SayDraining()
	for h.calls.WaitQuiet(ctx, drainQuiet) == nil {
		if !h.mux.HasUnsent() {
			return 0
		}
		// The host is slow, and may not even have heard that the plugin leaves.
		if h.mux.AwaitSent(ctx) != nil && ctx.Err() != nil {
			return 1 // at least
		}
	}
	return h.calls.Count()
}

// finishMuxOutput sends what the plugin has written by now. A host that does not
// read is waited for no longer than stdio.FlushTimeout.
func (h *hostSession) finishMuxOutput() {
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	h.mux.FinishOutput(ctx)
}

// subscribeMux gives a session the plugin's output as one sequence.
func (h *hostSession) subscribeMux() rpcmux.Output {
	sub := h.server.output.Subscribe()
	h.before.Follow(sub)
	return muxOutput{sub}
}

type muxOutput struct{ *stdio.Subscription }

// Next implements rpcmux.Output.
func (o muxOutput) Next() (stderr bool, data []byte, err error) {
	chunk, err := o.Subscription.Next(context.Background())
	return chunk.Channel == stdio.Stderr, chunk.Data, err
}
