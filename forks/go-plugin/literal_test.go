// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hashicorp/go-plugin"
)

// echoConn is a kind whose stub is its connection.
type echoConn struct {
	plugin.NetRPCUnsupportedPlugin
}

func (echoConn) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (echoConn) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// Programs make a GRPCClient of its public fields, around a connection of their own.
func TestLiteralGRPCClient(t *testing.T) {
	conn, server := plugin.TestGRPCConn(t, func(s *grpc.Server) {
		status := health.NewServer()
		status.SetServingStatus(plugin.GRPCServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
		grpc_health_v1.RegisterHealthServer(s, status)
	})
	defer server.Stop()
	client := &plugin.GRPCClient{Conn: conn, Plugins: map[string]plugin.Plugin{"echo": echoConn{}}}
	if stub, err := client.Dispense("echo"); err != nil || stub != conn {
		t.Errorf("Dispense = %v, %v, want the connection", stub, err)
	}
	if err := client.Ping(); err != nil {
		t.Errorf("Ping = %v", err)
	}
	if err := client.PingContext(t.Context()); err != nil {
		t.Errorf("PingContext = %v", err)
	}
	select {
	case <-client.Done():
		t.Errorf("it is lost: %v", client.Err())
	default:
	}
	if err := client.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if client.Ping() == nil {
		t.Error("Close has not closed the connection")
	}
}

// What a Client that NewClient has not made can say is that it has nothing.
func TestLiteralClient(t *testing.T) {
	client := new(plugin.Client)
	defer client.Kill()
	if client.Exited() || client.ID() != "" || client.NegotiatedVersion() != 0 || client.ReattachConfig() != nil || client.Err() != nil {
		t.Error("it says something")
	}
}
