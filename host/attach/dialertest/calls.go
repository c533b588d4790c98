// SPDX-License-Identifier: MPL-2.0

package dialertest

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/commons/commonspb"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// patience bounds every wait of the suite.
const patience = 20 * time.Second

// rpcSession and grpcSession are what stubs ask of a session.
type rpcSession interface {
	OpenRPC(kind string) (plugin.RPCChannel, error)
}

type grpcSession interface {
	ClientConn() (*grpc.ClientConn, bool)
}

// dial makes a session that the test's end closes.
func (s suite) dial(t *testing.T, e target.Endpoint) conn.Session {
	t.Helper()
	return dialWith(t, s.Dialer(t, s.contract), e)
}

func dialWith(t *testing.T, dialer conn.Dialer, e target.Endpoint) conn.Session {
	t.Helper()
	session, err := dialer.Dial(t.Context(), e)
	if err != nil {
		t.Fatalf("dial %s: %v", e.Address, err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// greeter opens the kind "greeter" of a session and returns how to call it. The
// function may be used from many goroutines.
func greeter(t testing.TB, session conn.Session) func(name string) (string, error) {
	t.Helper()
	if grpc, ok := session.(grpcSession); ok {
		if cc, ok := grpc.ClientConn(); ok {
			return greetGRPC(cc)
		}
	}
	rpcSession, ok := session.(rpcSession)
	if !ok {
		t.Fatalf("a %T can neither open net/rpc channels nor give a gRPC connection", session)
	}
	channel, err := rpcSession.OpenRPC(commons.GreeterKind)
	if err != nil {
		t.Fatalf("open greeter: %v", err)
	}
	client := plugin.NewChannelClient(channel)
	t.Cleanup(func() { _ = client.Close() })
	return func(name string) (string, error) {
		var greeting string
		err := client.Call("Plugin.Greet", map[string]any{"name": name}, &greeting)
		return greeting, err
	}
}

func greetGRPC(cc *grpc.ClientConn) func(name string) (string, error) {
	client := commonspb.NewGreeterClient(cc)
	return func(name string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		reply, err := client.Greet(ctx, &commonspb.GreetRequest{Name: &name})
		return reply.GetGreeting(), err
	}
}

// within fails the test unless done is closed in time.
func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
}

// isOpen reports whether done has not been closed.
func isOpen(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}
