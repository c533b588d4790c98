// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// HostConfig is what the host's side of a session needs. No field is required.
type HostConfig struct {
	// Detach is called first by Close, which sends Quit only if it says so. Nil asks
	// for it.
	Detach func() (ask bool)
	// Remote says that the plugin is not this host's to end: Quit ends no more than the
	// session. The output of any other plugin is taken also if nobody wants it, because
	// that waits for it.
	Remote bool
	// Cause says why the session has ended, for the errors of its calls.
	Cause func() error
	// PingTimeout bounds Ping; zero waits for ever.
	PingTimeout time.Duration
	// MaxMessage bounds each message, in bytes; zero does not. MaxSend is the same for
	// what is sent with the feature mux, where the plugin has a say.
	MaxMessage, MaxSend int
	// Arrivals are those that the broker shares with others; nil is its own.
	Arrivals *Arrivals
	// Panicked says what becomes of a panic in what the broker serves.
	Panicked panics.Func
	// Yamux returns the configuration of a yamux session; nil is YamuxConfig(nil).
	Yamux func() *yamux.Config
}

func (c *HostConfig) newBroker(streams Streams, arrivals *Arrivals) *Broker {
	return NewBroker(streams, arrivals, rendezvous.Wait, Serving{Panicked: c.Panicked, MaxMessage: c.MaxMessage})
}

// Host is the host's side of a session. All methods may be called from any goroutine.
type Host struct {
	config    HostConfig
	transport transport
	control   func() *rpc.Client // the same for each call
	broker    *Broker
	outputs   []*stdio.Pump // since ReceiveOutput
}

// transport is what a session travels on.
type transport interface {
	// open returns a channel on which the plugin serves a kind. Its Send may wait for
	// the connection if waits is set.
	open(kind string, waits bool) (Channel, error)
	// receive starts to take the plugin's output.
	receive(stdout, stderr *stdio.Sink) []*stdio.Pump
	// endsOutput reports whether the output ends before Quit is answered. Otherwise
	// all of it has come by then.
	endsOutput() bool
	// moved grows while a message is on its way that keeps the answer of a ping back.
	// It is zero when the session has ended.
	moved() uint64
}

// Done is closed when the session has ended.
func (h *Host) Done() <-chan struct{} { return h.broker.streams.CloseChan() }

// Broker returns the session's broker.
func (h *Host) Broker() *Broker { return h.broker }

// Open asks the plugin to serve a kind on a channel of its own. The caller closes it.
func (h *Host) Open(kind string) (Channel, error) { return h.transport.open(kind, false) }

// Client asks the plugin to serve a kind and returns a client of it. The caller closes
// it.
func (h *Host) Client(kind string) (*rpc.Client, error) {
	channel, err := h.transport.open(kind, true)
	if err != nil {
		return nil, err
	}
	return NewClient(channel), nil
}

// ReceiveOutput copies what the plugin writes to its stdout and stderr, in the
// background, until the session ends. It is called once.
func (h *Host) ReceiveOutput(stdout, stderr io.Writer) {
	h.outputs = h.transport.receive(stdio.NewSink(stdout, nil), stdio.NewSink(stderr, nil))
}

// AwaitOutput waits until what has come of the plugin's output was passed on and
// there is no more, or until ctx ends.
func (h *Host) AwaitOutput(ctx context.Context) {
	for _, output := range h.outputs {
		_ = output.Wait(ctx)
	}
}

// dispense asks the plugin to serve a kind and returns the id under which it
// does.
func (h *Host) dispense(kind string) (id uint32, err error) {
	err = h.control().Call(methodDispense, kind, &id)
	return id, peererr.Clean(err)
}

// Ping asks the plugin for an answer within HostConfig.PingTimeout.
func (h *Host) Ping() error {
	if h.config.PingTimeout <= 0 {
		return h.PingContext(context.Background())
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.config.PingTimeout)
	defer cancel()
	return h.PingContext(ctx)
}

// PingContext asks the plugin for an answer until ctx ends. A long message that is in
// the way, and moves, is as good as an answer.
func (h *Host) PingContext(ctx context.Context) error {
	moved := h.transport.moved()
	err := h.call(ctx, methodPing)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && h.transport.moved() > moved {
		return nil
	}
	return err
}

// WatchDrain blocks until the plugin says that it is about to leave.
func (h *Host) WatchDrain(ctx context.Context) error { return h.call(ctx, methodGoAway) }

// call makes one of the calls that carry nothing but their name. When ctx ends first,
// the answer is dropped; the call itself ends with the session at the latest.
func (h *Host) call(ctx context.Context, method string) error {
	// Sending alone can block, on a connection whose other end has stopped
	// reading.
	answer := make(chan error, 1)
	go func() { answer <- h.control().Call(method, true, &struct{}{}) }()
	select {
	case err := <-answer:
		return peererr.Clean(err)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
}

// Close ends the session. A child is asked to end as well; the error says if it could
// not be asked. What the plugin wrote before is passed on first, unless that takes more
// than stdio.FlushTimeout from the answer on.
func (h *Host) Close() error {
	asked, err := h.quit()
	// What came before the answer is read from now on, however long that took.
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	if asked && err == nil && h.transport.endsOutput() {
		h.AwaitOutput(ctx)
	}
	// What has come on the streams of the output can be read after their end.
	closed := h.broker.Close()
	h.AwaitOutput(ctx)
	return errors.Join(err, closed)
}

// Abandon ends the session without a word to the plugin.
func (h *Host) Abandon() error { return h.broker.Close() }

// quit asks the plugin to end, if it is this host's, or to end the session, if it
// takes Quit for no more than that. The error says that a child could not be
// asked.
func (h *Host) quit() (asked bool, err error) {
	if h.config.Detach != nil && !h.config.Detach() {
		return false, nil
	}
	wait := stdio.ShutdownTimeout
	if h.config.Remote {
		wait = stdio.FlushTimeout
	}
	// A plugin that hangs does not answer, and yamux would notice it only after
	// 40 s.
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	err = h.call(ctx, methodQuit)
	if errors.Is(err, peererr.ErrConnectionLost) || errors.Is(err, rpc.ErrShutdown) || h.config.Remote {
		err = nil // A plugin that ends does not always get to answer.
	}
	return true, err
}
