// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"io"
	"net/rpc"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// rpcCodec is an rpc.ClientCodec without a connection. It sends each request on a
// session channel, which ends the call.
//
// net/rpc holds one lock for the whole client while WriteRequest runs. So it never
// waits: a call that cannot be put on a channel at once, because the connection takes none
// or its arguments are long to encode, gets a goroutine of its own until it can.
type rpcCodec struct {
	callConfig
	kind    string
	pending pendingCalls
	replays *replays // what each endpoint must have had; nil: there is no state

	ctx    context.Context // ends with the stub
	end    context.CancelCauseFunc
	atOnce context.Context // has ended: a Pick that must not wait

	mu       sync.Mutex
	channels map[any]*sessionChannel        // by session; nil once closed
	latest   atomic.Pointer[sessionChannel] // that had an answer
}

var errStubClosed = errors.New("stub was closed")

func newRPCCodec(kind string, config Config) *rpcCodec {
	c := &rpcCodec{callConfig: callConfig{Config: config, start: time.Now()}, kind: kind, atOnce: endedContext(), channels: map[any]*sessionChannel{}}
	c.ctx, c.end = context.WithCancelCause(context.Background())
	if config.State != nil {
		c.replays = config.State.replaysOf(kind)
	}
	c.settle()
	return c
}

// endedContext makes a Router not wait.
func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// WriteRequest puts the call on a session channel, or on its way to one. It implements
// rpc.ClientCodec.
func (c *rpcCodec) WriteRequest(r *rpc.Request, args any) error {
	k := &call{
		callState: c.newState(r.ServiceMethod), args: args, caller: c.pending.take(r.Seq),
	}
	k.reply = reflect.TypeOf(k.caller.Reply)
	if c, ok := args.(*plugin.ContextCall); ok {
		k.carry(c)
	}
	k.trace = c.Tracing.begin(k.context(), protocolRPC, k.name)
	lease, err := c.Router.Pick(c.atOnce, protocolRPC, nil)
	if err != nil {
		go c.route(k, nil)
		return nil
	}
	s := c.latest.Load() // the usual case: all calls go to one session
	if s == nil || s.session != lease.Session() {
		s = c.channelOf(lease)
	}
	if s == nil || c.replays.isDue(lease, k.calledMethod) || s.encoder(k) != nil || s.send(k, lease, k.args) != nil {
		go c.route(k, lease)
	}
	return nil
}

// ReadResponseHeader ends the client's goroutine that reads: the client has no call
// that could be answered. If it returned an error instead, the client would refuse all
// calls from then on with an error that is no [Fault]. It implements rpc.ClientCodec.
func (c *rpcCodec) ReadResponseHeader(*rpc.Response) error {
	runtime.Goexit()
	return io.EOF
}

// ReadResponseBody implements rpc.ClientCodec. It is never called.
func (c *rpcCodec) ReadResponseBody(any) error { return io.EOF }

// Close ends the stub and its channels. It implements rpc.ClientCodec.
func (c *rpcCodec) Close() error { return c.closeWith(nil) }

func (c *rpcCodec) closeWith(cause error) error {
	c.end(cause)
	c.mu.Lock()
	channels := c.channels
	c.channels = nil
	c.mu.Unlock()
	for _, s := range channels {
		s.fail(errStubClosed)
	}
	return nil
}

// channelOf returns the channel of the lease's session, which may still be opening,
// or nil once the stub is closed.
func (c *rpcCodec) channelOf(lease balancer.Lease) *sessionChannel {
	session := lease.Session()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.channels[session]; s != nil || c.channels == nil {
		return s
	}
	s := newSessionChannel(c, session, lease.Endpoint())
	c.channels[session] = s
	go s.run()
	return s
}

// forget makes the next call to the session open another channel.
func (c *rpcCodec) forget(s *sessionChannel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.channels[s.session] == s {
		delete(c.channels, s.session)
	}
}

// lastBroker is the broker of the session that answered last.
func (c *rpcCodec) lastBroker() *plugin.MuxBroker {
	s := c.latest.Load()
	if s == nil {
		return nil
	}
	if session, ok := s.session.(MuxBrokerSession); ok {
		return session.MuxBroker()
	}
	return nil
}
