// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/host/conn"
)

// exitGrace is how long a session whose connection was lost waits for the
// process to end too: how it ended says why.
const exitGrace = 250 * time.Millisecond

// childSession is a session with a process that this host started.
type childSession struct {
	child    *child
	info     conn.Info
	draining <-chan struct{}    // nil: the child never says that it leaves
	protocol clientProtocol     // one of these:
	rpc      *plugin.RPCClient  // nil for gRPC
	grpc     *plugin.GRPCClient // nil for net/rpc

	ctx     context.Context // ends with the session, its cause says why
	end     context.CancelCauseFunc
	workers sync.WaitGroup
}

// clientProtocol is what both of go-plugin's protocols have.
type clientProtocol interface {
	Done() <-chan struct{}
	PingContext(ctx context.Context) error
}

// newChildSession supervises a child that serves.
func newChildSession(c *child, protocol plugin.ClientProtocol) *childSession {
	s := &childSession{child: c}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.protocol, _ = protocol.(clientProtocol)
	s.rpc, _ = protocol.(*plugin.RPCClient)
	s.grpc, _ = protocol.(*plugin.GRPCClient)
	s.info = conn.Info{
		Protocol: string(c.client.Protocol()),
		Version:  c.client.NegotiatedVersion(),
		Instance: "pid " + c.client.ID(),
		Build:    fileBuild(c.cmd.Path),
	}
	if session, err := c.client.Session(); err == nil {
		s.draining = session.Draining()
		if peer := session.Info(); peer != nil {
			s.info.Name, s.info.Kinds = peer.Name, kindsOf(peer)
		}
	}
	s.workers.Go(s.watch)
	return s
}

// fileBuild says what an executable was built from. Only those written in Go
// know.
func fileBuild(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	return BuildText(info)
}

// watch ends the session when the process has ended, or its connection.
func (s *childSession) watch() {
	lost := s.protocol.Done() // gRPC only connects once more, as long as that helps
	exited := s.child.client.Done()
	select {
	case <-exited:
	case <-lost:
		grace := time.NewTimer(exitGrace)
		defer grace.Stop()
		select {
		case <-exited:
		case <-grace.C:
		case <-s.ctx.Done():
		}
	case <-s.ctx.Done():
		return
	}
	s.end(s.child.reason(s.loss()))
}

// loss is why the session was lost.
func (s *childSession) loss() error {
	if err := s.child.client.Err(); err != nil {
		return err
	}
	if s.grpc != nil {
		return fmt.Errorf("%w, though the process still runs: %w", plugin.ErrConnectionLost, s.grpc.Err())
	}
	return fmt.Errorf("%w, though the process still runs", plugin.ErrConnectionLost)
}

// Info implements conn.Session.
func (s *childSession) Info() conn.Info { return s.info }

// Ping implements conn.Session.
func (s *childSession) Ping(ctx context.Context) error {
	if err := cmp.Or(s.Err(), ctx.Err()); err != nil {
		return err
	}
	return s.protocol.PingContext(ctx)
}

// Draining implements conn.Session: a child that knows the handshake says so when
// somebody else than this host tells it to end.
func (s *childSession) Draining() <-chan struct{} { return s.draining }

// Done implements conn.Session.
func (s *childSession) Done() <-chan struct{} { return s.ctx.Done() }

// Err implements conn.Session.
func (s *childSession) Err() error { return context.Cause(s.ctx) }

// Close stops the process.
func (s *childSession) Close() error {
	s.end(plugin.ErrDetached)
	s.child.stop()
	s.workers.Wait()
	return nil
}

// MuxBroker implements stub.MuxBrokerSession.
func (s *childSession) MuxBroker() *plugin.MuxBroker {
	if s.rpc == nil {
		return nil
	}
	return s.rpc.MuxBroker()
}

// GRPCBroker implements stub.GRPCBrokerSession.
func (s *childSession) GRPCBroker() *plugin.GRPCBroker {
	if s.grpc == nil {
		return nil
	}
	return s.grpc.GRPCBroker()
}

// OpenRPC implements stub.RPCSession.
func (s *childSession) OpenRPC(kind string) (plugin.RPCChannel, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	if s.rpc == nil {
		return nil, fmt.Errorf("open %s: the session speaks %s, not net/rpc", kind, s.info.Protocol)
	}
	return s.rpc.OpenRPC(kind)
}

// ClientConn implements stub.GRPCSession.
func (s *childSession) ClientConn() (*grpc.ClientConn, bool) {
	if s.grpc == nil {
		return nil, false
	}
	return s.grpc.Conn, true
}

// InvokeUnary implements stub.GRPCUnarySession.
func (s *childSession) InvokeUnary(ctx context.Context, conn *grpc.ClientConn, method string, req, reply any, opts []grpc.CallOption) (sent bool, err error) {
	if s.grpc == nil {
		return false, plugin.ErrNotInvoked
	}
	return s.grpc.InvokeUnary(ctx, conn, method, req, reply, opts)
}
