// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/forward"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// callbacks carry the brokered connections of gRPC between host and plugin: what one side
// accepts is accepted for the other one as soon as that dials it. A call on them is handed
// on like any other.
type callbacks struct {
	bounds []grpc.ServerOption

	mu     sync.Mutex
	host   *plugin.GRPCBroker
	ended  bool
	served map[callback]bool
}

// callback is an id that one of the two brokers accepts.
type callback struct {
	at *plugin.GRPCBroker
	id uint32
}

// wantedBy gives what is to be told of the ids that are dialled at one broker: they are
// accepted there, and calls go on to what the other one dials.
func (c *callbacks) wantedBy(at func() *plugin.GRPCBroker, dial func() *plugin.GRPCBroker) func(id uint32) {
	return func(id uint32) {
		accepts, dials := at(), dial()
		if accepts == nil || dials == nil {
			return
		}
		k := callback{accepts, id}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended || c.served[k] {
			return
		}
		c.served[k] = true
		go func() {
			c.serve(k, dials)
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.served, k)
		}()
	}
}

// unusedCallback is how long an id is accepted that nobody has dialled.
const unusedCallback = 10 * time.Second

// serve hands calls on until the last connection has ended, or none comes.
func (c *callbacks) serve(k callback, dials *plugin.GRPCBroker) {
	to := &lazyConn{dial: func() (*grpc.ClientConn, error) { return dials.Dial(k.id) }}
	defer to.close()
	relay := forward.Calls{To: to}
	k.at.AcceptAndServe(k.id, func(options []grpc.ServerOption) *grpc.Server {
		users := new(connections)
		server := grpc.NewServer(append(append(append(options, c.bounds...), relay.Options()...), grpc.StatsHandler(users))...)
		users.none = func() { go server.Stop() }
		users.unused = time.AfterFunc(unusedCallback, server.Stop)
		return server
	})
}

// lazyConn connects with the first call.
type lazyConn struct {
	dial func() (*grpc.ClientConn, error)

	mu    sync.Mutex
	conn  *grpc.ClientConn
	ended bool
}

func (l *lazyConn) get() (*grpc.ClientConn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, status.Error(codes.Canceled, "the callback has ended")
	}
	if l.conn != nil {
		return l.conn, nil
	}
	conn, err := l.dial()
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	l.conn = conn
	return conn, nil
}

func (l *lazyConn) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// Invoke implements grpc.ClientConnInterface.
func (l *lazyConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	conn, err := l.get()
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (l *lazyConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := l.get()
	if err != nil {
		return nil, err
	}
	return conn.NewStream(ctx, desc, method, opts...)
}

// setHost is called with the broker of the host, when that has connected.
func (c *callbacks) setHost(b *plugin.GRPCBroker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.host = b
}

func (c *callbacks) hostBroker() *plugin.GRPCBroker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.host
}

// close lets no more be served. What is served ends with its broker, or the process: a
// host that was told of a loss still has the connection of its callbacks.
func (c *callbacks) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// connections is a stats.Handler that tells when a server has none any more.
type connections struct {
	none   func()
	unused *time.Timer // stopped by the first

	mu   sync.Mutex
	open int
}

// HandleConn implements stats.Handler.
func (c *connections) HandleConn(_ context.Context, s stats.ConnStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s.(type) {
	case *stats.ConnBegin:
		c.open++
		c.unused.Stop()
	case *stats.ConnEnd:
		if c.open--; c.open == 0 {
			c.none()
		}
	}
}

// TagConn implements stats.Handler.
func (*connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// TagRPC implements stats.Handler.
func (*connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (*connections) HandleRPC(context.Context, stats.RPCStats) {}
