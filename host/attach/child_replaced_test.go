// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/host/target"
)

// replacing makes servers that give their connections up all the time. A deaf one
// has a broker as plugins of the original library have: for the first connection.
func replacing(deaf bool) func([]grpc.ServerOption) *grpc.Server {
	return func(options []grpc.ServerOption) *grpc.Server {
		options = append(options, grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: 200 * time.Millisecond, MaxConnectionAgeGrace: 100 * time.Millisecond,
		}))
		var links atomic.Int32
		if deaf {
			options = append(options, grpc.ChainStreamInterceptor(
				func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
					if strings.HasSuffix(info.FullMethod, "/StartStream") && links.Add(1) > 1 {
						return nil
					}
					return handler(srv, stream)
				}))
		}
		return grpc.NewServer(options...)
	}
}

// replacedChild starts a child whose connections are replaced all the time.
func replacedChild(t *testing.T, role string, stdout io.Writer) conn.Session {
	t.Helper()
	dialer := childDialer(t, role, func(o *attach.ChildOptions) {
		o.Contract = contract(plugin.ProtocolGRPC)
		o.Output = func(target.Endpoint) (io.Writer, io.Writer) { return stdout, io.Discard }
	})
	session, err := dialer.Dial(t.Context(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// A child whose connections are replaced is one session: it answers, and is heard.
func TestChildConnectionsAreReplaced(t *testing.T) {
	var stdout lockedBuffer
	session := replacedChild(t, "short-lived", &stdout)
	cc, ok := session.(stub.GRPCSession).ClientConn()
	if !ok {
		t.Fatal("the session is not of gRPC")
	}
	raw, err := (&commons.GreeterPlugin{}).GRPCClient(t.Context(), nil, cc)
	if err != nil {
		t.Fatal(err)
	}
	greeter := raw.(commons.Greeter)
	deadline := time.Now().Add(20 * time.Second)
	for began := time.Now(); time.Since(began) < time.Second; {
		if _, err := greeter.Greet(served.Print); err != nil && !errors.Is(err, plugin.ErrConnectionLost) {
			t.Fatal(err)
		}
		if err := session.Ping(t.Context()); err != nil && !errors.Is(err, plugin.ErrConnectionLost) {
			t.Fatal(err)
		}
	}
	before := strings.Count(stdout.String(), "to stdout")
	for strings.Count(stdout.String(), "to stdout") == before {
		if _, err := greeter.Greet(served.Print); err != nil && !errors.Is(err, plugin.ErrConnectionLost) {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the output is not read any more")
		}
	}
	if err := session.Err(); err != nil {
		t.Errorf("the session has ended: %v", err)
	}
}

// A session ends when its plugin's broker was lost for good, if it is used.
func TestChildWhoseBrokerIsLost(t *testing.T) {
	session := replacedChild(t, "deaf", io.Discard)
	broker := session.(stub.GRPCBrokerSession).GRPCBroker()
	id := broker.NextId()
	lis, err := broker.Accept(id)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		_ = session.Ping(ctx) // gRPC connects when there is a call.
		select {
		case <-session.Done():
		case <-ctx.Done():
			t.Fatal("the session does not end")
		default:
			continue
		}
		break
	}
	if err := session.Err(); !errors.Is(err, plugin.ErrConnectionLost) || !strings.Contains(err.Error(), "broker") {
		t.Errorf("Err = %v", err)
	}
}
