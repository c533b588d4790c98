// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/panics"
)

// SharedBroker lets the sessions with several instances of one plugin share
// their broker ids: what this host accepts can be dialled from any session
// that has joined. A stub whose calls go now to one instance and then to
// another needs that, because it does not know which of them will call back.
// Sessions join by ClientConfig.Broker. All methods may be called from any
// goroutine.
//
// The instances have to trust each other: one that guesses an id can dial what
// was meant for another.
type SharedBroker struct {
	// MaxMessageBytes bounds one message of a callback in either direction, as
	// ClientConfig.MaxMessageBytes does one of a call: [DefaultMaxMessageBytes] if
	// zero, not at all if negative. It is set before a broker is made.
	MaxMessageBytes int

	// Around, if not nil, runs each call that a plugin makes to what this host accepts. It is
	// set before a broker is made.
	Around Around

	logger  hclog.Logger
	wait    time.Duration
	streams *netrpc.Arrivals // of net/rpc
	group   *broker.Group    // of gRPC
	// panicked answers a panic in what this host serves to its plugins.
	panicked panics.Func

	ctx context.Context // ends with the broker
	end context.CancelFunc
}

// NewSharedBroker returns a broker without sessions. What is accepted on it
// over net/rpc waits that long to be dialled where a broker of one session
// waits 5 s: the call may have to wait for an instance first. The caller closes
// it, after the sessions. A nil logger logs nothing.
func NewSharedBroker(wait time.Duration, logger hclog.Logger) *SharedBroker {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	b := &SharedBroker{logger: logger, wait: wait, streams: netrpc.NewArrivals(), group: broker.NewGroup()}
	b.panicked = panics.NewGuard().ReportTo(logger)
	b.ctx, b.end = context.WithCancel(context.Background())
	return b
}

// MuxBroker returns a broker that accepts from all net/rpc sessions and dials
// through the session whose broker latest returns: an id that a plugin accepts
// means nothing to its other instances. latest returns nil if there is none.
func (b *SharedBroker) MuxBroker(latest func() *MuxBroker) *MuxBroker {
	return &MuxBroker{broker: netrpc.NewBroker(&sharedStreams{b, latest}, b.streams, b.wait,
		netrpc.Serving{Panicked: b.panicked, MaxMessage: b.maxMessage(), Around: b.Around})}
}

// GRPCBroker returns the same for gRPC sessions. It may be closed before the
// shared broker is.
func (b *SharedBroker) GRPCBroker(latest func() *GRPCBroker) *GRPCBroker {
	cfg := broker.Config{
		Logger:        b.logger.Named("broker"),
		ServerOptions: slices.Concat(grpcconn.AnswerPanics(b.panicked), grpcconn.AroundOptions(b.Around), grpcconn.ServerBound(b.maxMessage())),
	}
	return &GRPCBroker{engine: b.group.Broker(b.ctx, cfg, func() (*broker.Broker, error) {
		if callee := latest(); callee != nil {
			return callee.engine, nil
		}
		return nil, errNoLatest
	})}
}

func (b *SharedBroker) maxMessage() int { return cmp.Or(b.MaxMessageBytes, DefaultMaxMessageBytes) }

// Close ends what is accepted, and every broker that was made of this one.
func (b *SharedBroker) Close() {
	b.end()
}

// arrivals returns where the streams of net/rpc sessions arrive that have joined b;
// nil for a nil b.
func (b *SharedBroker) arrivals() *netrpc.Arrivals {
	if b == nil {
		return nil
	}
	return b.streams
}

var errNoLatest = errors.New("no instance of the plugin has answered yet, so there is none to dial")

// sharedStreams is the netrpc.Streams of a shared broker.
type sharedStreams struct {
	shared *SharedBroker
	latest func() *MuxBroker
}

func (s *sharedStreams) Dial(id uint32) (net.Conn, error) {
	if broker := s.latest(); broker != nil {
		return broker.broker.Dial(id)
	}
	return nil, errNoLatest
}

func (s *sharedStreams) CloseChan() <-chan struct{} { return s.shared.ctx.Done() }

// Close leaves the sessions alone: their owners close them.
func (s *sharedStreams) Close() error { return nil }
