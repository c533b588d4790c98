// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"io"
	"net/rpc"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// rpcCodec is an rpc.ClientCodec without a connection. It sends each request
// on a lane, which is a channel of one session. The lane ends the call.
//
// net/rpc holds one lock for the whole client while WriteRequest runs. So it
// never waits: a call that cannot be put on a lane at once gets a goroutine of
// its own until it can.
type rpcCodec struct {
	Config
	kind    string
	pending pendingCalls

	ctx    context.Context // ends with the stub
	end    context.CancelFunc
	atOnce context.Context // has ended: a Pick that must not wait

	mu     sync.Mutex
	lanes  map[any]*lane        // by session; nil once closed
	latest atomic.Pointer[lane] // that had an answer

	method *calledMethod // last; of WriteRequest alone
}

var errStubClosed = errors.New("stub was closed")

func newRPCCodec(kind string, config Config) *rpcCodec {
	c := &rpcCodec{
		Config: config,
		kind:   kind,
		lanes:  map[any]*lane{},
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	c.atOnce = endedContext()
	return c
}

// WriteRequest puts the call on a lane, or on its way to one. It implements
// rpc.ClientCodec.
func (c *rpcCodec) WriteRequest(r *rpc.Request, args any) error {
	began := time.Now()
	k := &call{
		seq: r.Seq, args: args, calledMethod: c.called(r.ServiceMethod),
		caller: c.pending.take(r.Seq), began: began, handed: began,
	}
	k.reply = reflect.TypeOf(k.caller.Reply)
	if c.ctx.Err() != nil {
		go c.closed(k)
		return nil
	}

	lease, err := c.Router.Pick(c.atOnce, protocolRPC, nil)
	if err != nil {
		go c.route(k, nil)
		return nil
	}
	l := c.latest.Load() // the usual case: all calls go to one session
	if l == nil || l.session != lease.Session() {
		l = c.laneOf(lease)
	}
	if l != nil {
		switch err := l.send(k, lease); {
		case err == nil:
			return nil
		case isFinal(err):
			lease.Done(balancer.NotSent)
			go c.fault(k, Fault{Reason: ReasonArguments, Err: err})
			return nil
		}
	}
	go c.route(k, lease)
	return nil
}

// called is what is known of a method before it is called.
func (c *rpcCodec) called(service string) *calledMethod {
	if c.method == nil || c.method.service != service {
		method := methodOf(service)
		c.method = &calledMethod{service, method, c.options(method)}
	}
	return c.method
}

// methodOf turns "Plugin.Greet" and "/hello.Greeter/Greet" into "Greet".
func methodOf(name string) string {
	return name[strings.LastIndexAny(name, "./")+1:]
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

// Close ends the stub and its lanes. It implements rpc.ClientCodec.
func (c *rpcCodec) Close() error {
	c.end()
	c.mu.Lock()
	lanes := c.lanes
	c.lanes = nil
	c.mu.Unlock()
	for _, l := range lanes {
		l.fail(errStubClosed)
	}
	return nil
}

// laneOf returns the lane of the lease's session, which may still be opening,
// or nil once the stub is closed.
func (c *rpcCodec) laneOf(lease balancer.Lease) *lane {
	session := lease.Session()
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.lanes[session]; l != nil || c.lanes == nil {
		return l
	}
	l := newLane(c, session, lease.Endpoint())
	c.lanes[session] = l
	go l.open()
	return l
}

// forget makes the next call to the session open another lane.
func (c *rpcCodec) forget(l *lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lanes[l.session] == l {
		delete(c.lanes, l.session)
	}
}

// lastBroker is the broker of the session that answered last.
func (c *rpcCodec) lastBroker() *plugin.MuxBroker {
	l := c.latest.Load()
	if l == nil {
		return nil
	}
	if s, ok := l.session.(MuxBrokerSession); ok {
		return s.MuxBroker()
	}
	return nil
}
