// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// PluginConfig is what a plugin's side of a session needs.
type PluginConfig struct {
	// Control serves channel 0. Nil refuses its calls, as a session of gRPC has none.
	Control Handler
	// Open returns what serves a kind for which the host opens a channel. Nil
	// knows none.
	Open func(kind string) (Handler, error)
	// Calls, if not nil, counts the calls on all other channels.
	Calls Counter
	// Answered, if not nil, is called with the method when an answer on
	// channel 0 has been put on its way.
	Answered func(method string)
	// Panicked, if not nil, is called with what a method has panicked with, in
	// the deferred function that has recovered it, and returns the error that the
	// caller gets. The value is nil if the method has ended its goroutine instead.
	// Nil lets a panic end the process.
	Panicked func(method string, value any) (text string)
	// Barrier, if not nil, keeps the answers on all channels but 0 behind the plugin's
	// output.
	Barrier Barrier
	// Subscribe is called when the host asks for output, once. Nil has no output.
	Subscribe func() Output
	// Accept takes what the other side opens.
	Accept Acceptors
	// Accepted, if not nil, is told of broker ids that the host accepts. It must not block.
	Accepted func(id uint32)
	// Unary runs a gRPC call whose request has come, and returns when it was answered.
	// The reader of the session may call it. One that is too long to wait for is given to
	// Accept.
	Unary func(*Stream)
	// MaxSend and MaxReceive bound one message in each direction, in bytes. The
	// host was told the second. Zero is no bound but the format's.
	MaxSend, MaxReceive int
	// MaxCalls is how many calls may be under way at once, besides those that are known
	// to be quick. Others are refused. Zero is any number.
	MaxCalls int
	// Watchdog is shared by the sessions of a process. Nil is one of its own.
	Watchdog *Watchdog
	// Silence is after how long a host that says nothing, and takes nothing that
	// is on its way, is asked for a sign of life, and after as long again given
	// up. Zero never asks.
	Silence time.Duration
}

// Handler reads one request, runs it, and answers. *rpc.Server is one.
type Handler interface {
	ServeRequest(rpc.ServerCodec) error
}

// ContextCodec is an rpc.ServerCodec that knows the context of the request whose header
// was read last. Whoever asks for it calls cancel once the method has returned.
type ContextCodec interface {
	CallContext() (ctx context.Context, cancel context.CancelFunc)
}

// Barrier keeps answers behind the output that was written before them. Wait may block
// until Settled says that there is none.
type Barrier interface {
	Settled() bool
	Wait(ctx context.Context)
}

// Counter counts calls that were read and not yet answered.
type Counter interface {
	Begin()
	End()
}

// ErrSilent is a host that does not answer.
var ErrSilent = errors.New("the host gives no sign of life")

// Plugin is the plugin's side of a session: kinds, each on a channel.
type Plugin struct {
	session
	config PluginConfig
	feed   *outputFeed
	// ctx ends with the session. The calls' contexts are made of it.
	ctx    context.Context
	endCtx context.CancelCauseFunc

	// idle is where one goroutine waits that has nothing to do. It is the first
	// to be asked when a reader is needed.
	idle   chan struct{}
	idling atomic.Bool

	// control counts the calls of channel 0 under way, which Serve waits for.
	control sync.WaitGroup

	// These are guarded by the session's mu.
	services   map[uint64]*service
	registered uint64 // channels, by Register
	opened     int    // channels that the host has opened, and not released
	making     int    // kinds that the plugin's author makes for such channels, and for some that were
	open       int    // registered calls
	names      int    // bytes of what methods of channels are remembered with
	queued     int    // bytes of requests whose channels are being opened
	dequeuing  int    // goroutines that decode such requests, when the channels are open

	dequeued chan struct{} // tells the reader that either has changed

	methods map[string]*method // of gRPC calls; the reader's
}

// NewPlugin prepares a session on a connection that is past its handshake.
func NewPlugin(conn net.Conn, config PluginConfig) *Plugin {
	if config.Watchdog == nil {
		config.Watchdog = &Watchdog{}
	}
	if config.Control == nil {
		config.Control = unserved{errNoControl}
	}
	if config.Calls == nil {
		config.Calls = &calls.Gauge{}
	}
	if config.Open == nil {
		config.Open = func(kind string) (Handler, error) { return nil, fmt.Errorf("unknown plugin type: %s", kind) }
	}
	p := &Plugin{config: config, idle: make(chan struct{}), dequeued: make(chan struct{}, 1), services: make(map[uint64]*service)}
	p.ctx, p.endCtx = context.WithCancelCause(context.Background())
	p.ended = func(err error) error {
		p.endCtx(peererr.Lost(err))
		return err
	}
	// What waits to be written leaves before reading may have to wait.
	p.init(conn, config.MaxSend, config.MaxReceive, p.out.flush)
	config.Accept[output] = p.giveOutput
	p.streams.init(&p.out, conn, false, config.Accept)
	p.services[0] = newService(p, 0, config.Control)
	return p
}

// Serve serves until the host hangs up or Close is called, and closes the connection. Then it
// calls ended with the reason, in another goroutine: none waits for it, and Serve itself may
// return before, as soon as another one reads. It waits for the methods of channel 0, which
// make what others are served by. Other methods that run then still end later.
func (p *Plugin) Serve(ended func(error)) {
	stop := func() {}
	if p.config.Silence > 0 {
		stop = p.watchSilence()
	}
	context.AfterFunc(p.ctx, func() {
		stop()
		p.finish()
		ended(p.Err())
	})
	p.work()
}

// finish is called when the session has ended.
func (p *Plugin) finish() {
	<-p.done
	p.endArriving()
	p.control.Wait()
	p.mu.Lock()
	feed := p.feed
	p.mu.Unlock()
	if feed != nil {
		feed.end()
	}
}

// watchSilence gives up a host that says nothing, until stop is called.
func (p *Plugin) watchSilence() (stop func()) {
	last, asked := uint64(0), false
	var timer *time.Timer
	armed := make(chan struct{})
	timer = time.AfterFunc(p.config.Silence, func() {
		<-armed
		moved := p.Moved()
		switch {
		case moved != last:
			last, asked = moved, false
		case asked:
			p.fail(ErrSilent)
			return
		default:
			asked = true
			if p.send(newMessage(kindProbe)) != nil {
				return
			}
		}
		timer.Reset(p.config.Silence)
	})
	close(armed)
	return func() { timer.Stop() }
}

// Register serves a handler on a new channel, and returns its id. The error says that as
// many channels are open as may be.
func (p *Plugin) Register(handler Handler) (id uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.services) > maxChannels {
		return 0, fmt.Errorf("%d channels of the session are open, no more are possible", maxChannels)
	}
	id = 2*p.registered + 1 // The host counts in even numbers.
	p.registered++
	p.services[id] = newService(p, id, handler)
	return id, nil
}

// SayDraining tells the host that the plugin is about to leave. It does not
// wait.
func (p *Plugin) SayDraining() { _ = p.send(newMessage(kindDraining)) }

// AwaitWritten waits until the connection has taken all that was sent by now. The error
// says that it will not, or that ctx has ended.
func (p *Plugin) AwaitWritten(ctx context.Context) error { return p.out.awaitSent(ctx, true) }

// HasUnsent reports whether there is an answer, or the notice of SayDraining,
// that the connection has not taken yet.
func (p *Plugin) HasUnsent() bool { return p.out.hasUnsent() }

// AwaitSent waits until the connection has taken what HasUnsent knows of now.
// The error says that it will not, or that ctx has ended.
func (p *Plugin) AwaitSent(ctx context.Context) error { return p.out.awaitSent(ctx, false) }
