// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"io"
	"net/rpc"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"
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
	answers chan answer // to calls that were not taken out of the client

	ctx    context.Context // ends with the stub
	end    context.CancelFunc
	atOnce context.Context // has ended: a Pick that must not wait

	mu     sync.Mutex
	lanes  map[any]*lane        // by session; nil once closed
	latest atomic.Pointer[lane] // that had an answer

	method *calledMethod // last; of WriteRequest alone
	body   answer        // what ReadResponseBody reads; of the client's reader alone
}

// answer is what the client is given for a call that it has kept.
type answer struct {
	seq   uint64
	fault string // not empty: the error
	// decode, if not nil, decodes the body right from the lane, which waits.
	decode func(body any) error
}

var errStubClosed = errors.New("stub was closed")

func newRPCCodec(kind string, config Config) *rpcCodec {
	c := &rpcCodec{
		Config:  config,
		kind:    kind,
		answers: make(chan answer),
		lanes:   map[any]*lane{},
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	c.atOnce = endedContext()
	return c
}

// WriteRequest puts the call on a lane, or on its way to one. It implements
// rpc.ClientCodec.
func (c *rpcCodec) WriteRequest(r *rpc.Request, args any) error {
	k := &call{
		seq: r.Seq, args: args, calledMethod: c.called(r.ServiceMethod),
		caller: c.pending.take(r.Seq), began: now(),
	}
	if k.caller != nil {
		k.reply = reflect.TypeOf(k.caller.Reply)
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
			lease.Done(NotSent)
			go c.fault(k, &Fault{Reason: ReasonArguments, Method: k.method, Err: err})
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

// ReadResponseHeader waits for an answer to a call that the client has kept. It
// implements rpc.ClientCodec, and ends the client only when the stub is closed.
func (c *rpcCodec) ReadResponseHeader(r *rpc.Response) error {
	select {
	case c.body = <-c.answers:
	case <-c.ctx.Done():
		return io.EOF
	}
	r.Seq, r.Error = c.body.seq, c.body.fault
	return nil
}

// ReadResponseBody gives the caller the body of that answer. It implements
// rpc.ClientCodec.
func (c *rpcCodec) ReadResponseBody(body any) error {
	decode := c.body.decode
	c.body = answer{}
	if decode == nil {
		return nil
	}
	return decode(body)
}

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

// deliver hands an answer to the client, unless the stub is closed.
func (c *rpcCodec) deliver(a answer) {
	select {
	case c.answers <- a:
	case <-c.ctx.Done():
	}
}

// laneOf returns the lane of the lease's session, which may still be opening,
// or nil once the stub is closed.
func (c *rpcCodec) laneOf(lease Lease) *lane {
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
