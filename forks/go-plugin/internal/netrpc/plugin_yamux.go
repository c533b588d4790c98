// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// YamuxPlugin serves one host over yamux.
type YamuxPlugin struct {
	config *PluginConfig
	conn   io.ReadWriteCloser

	mu      sync.Mutex // guards outputs
	outputs []*sentOutput
}

// NewYamuxPlugin returns a session on conn, which Serve closes. The session keeps config.
func NewYamuxPlugin(conn io.ReadWriteCloser, config *PluginConfig) *YamuxPlugin {
	config.calls = &calls.Gauge{}
	return &YamuxPlugin{config: config, conn: conn}
}

// Serve serves until the host hangs up or the connection is closed. It always closes
// the connection.
func (p *YamuxPlugin) Serve() error {
	session, err := yamux.Server(wholeFrames(p.conn), yamuxConfig(p.config.Yamux))
	if err != nil {
		_ = p.conn.Close()
		return fmt.Errorf("start net/rpc session: %w", err)
	}
	defer session.Close()
	streams, err := p.acceptStreams(session)
	if err != nil {
		return err
	}
	p.sendOutput(streams[1], p.config.Stdout)
	p.sendOutput(streams[2], p.config.Stderr)

	broker := NewBroker(newYamuxStreams(session), NewArrivals(), rendezvous.Wait, p.config.Serving)
	go broker.Run()
	control := &control{
		panicked: p.config.Panicked, within: p.config.within, finishOutput: p.finishOutput,
		draining: p.config.Draining, ended: session.CloseChan(),
		register: func(h mux.Handler) (uint32, error) { return p.register(broker, h), nil },
		remote:   p.config.Remote, raw: true,
	}
	if p.config.Remote == nil {
		control.kinds = p.config.Kinds(broker)
	}
	service := newService(streams[0], control, Serving{Panicked: p.config.Panicked, MaxMessage: p.config.MaxMessage})
	service.answered = func(method string) {
		// Only now, for a child exits right away, and its host takes a missing answer
		// for a plugin that has to be killed.
		if method == methodQuit {
			p.config.Quit()
		}
	}
	service.serve()
	return nil
}

// acceptStreams takes the streams that every host opens first.
func (p *YamuxPlugin) acceptStreams(session *yamux.Session) (streams [len(streamNames)]net.Conn, err error) {
	if p.config.OpenTimeout > 0 {
		defer time.AfterFunc(p.config.OpenTimeout, func() { _ = session.Close() }).Stop()
	}
	for i, name := range streamNames {
		if streams[i], err = session.Accept(); err != nil {
			return streams, fmt.Errorf("accept %s stream: %w", name, err)
		}
	}
	return streams, nil
}

// register serves a kind on a brokered stream and returns the stream's id.
func (p *YamuxPlugin) register(broker *Broker, handler mux.Handler) (id uint32) {
	id = broker.NextID()
	go func() {
		// If the host does not dial, its own call has failed.
		stream, err := broker.Accept(id)
		if raw, ok := handler.(*Raw); ok && err == nil {
			raw.Serve(stream)
		} else if err == nil {
			newService(stream, handler, p.config.Serving).serve()
		}
	}()
	return id
}

// Drain lets the calls in flight finish, until there has been none for quiet. It returns
// how many it cut off when ctx ended first. The caller closes the connection.
func (p *YamuxPlugin) Drain(ctx context.Context, quiet time.Duration) (cut int) {
	if p.config.calls.WaitQuiet(ctx, quiet) != nil {
		// Before the connection is closed: calls that notice it end at once.
		cut = p.config.calls.Count()
	}
	p.FlushOutput()
	return cut
}

// FlushOutput sends the host what the plugin has written by now, and ends the output.
func (p *YamuxPlugin) FlushOutput() { flush(p.finishOutput) }

// sentOutput is one of the plugin's outputs on its way to the host.
type sentOutput struct {
	src    io.Reader
	stream net.Conn
	*stdio.Pump
}

// sendOutput copies one of the plugin's outputs to the host until either ends.
// The stream ends with the output.
func (p *YamuxPlugin) sendOutput(stream net.Conn, src io.Reader) {
	if src == nil {
		return
	}
	pump := stdio.StartPump(func() {
		_, _ = io.Copy(stream, src)
		_ = stream.Close()
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outputs = append(p.outputs, &sentOutput{src, stream, pump})
}

// finishOutput sends what the plugin has written by now, and ends the streams. It gives
// up with ctx.
func (p *YamuxPlugin) finishOutput(ctx context.Context) {
	p.mu.Lock()
	outputs := p.outputs
	p.mu.Unlock()
	var finished []*sentOutput
	for _, out := range outputs {
		if src, ok := out.src.(stdio.Finisher); ok {
			src.Finish(ctx)
			finished = append(finished, out)
		} else {
			_ = out.stream.Close() // The source does not say whether anything is to come.
		}
	}
	for _, out := range finished {
		_ = out.Wait(ctx)
	}
}
