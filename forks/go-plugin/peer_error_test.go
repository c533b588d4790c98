// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/printable"
)

// rude is a peer whose errors are long, and made for a terminal.
type rude struct {
	grpc_health_v1.UnimplementedHealthServer
}

var rudeText = strings.Repeat("\x1b[2J\u202e\u009b\n", 1<<17)

func (rude) Ping(bool, *struct{}) error { return errors.New(rudeText) }

func (rude) Dispense(string, *uint32) error { return errors.New(rudeText) }

func (rude) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return nil, status.Error(codes.Unavailable, rudeText[:64<<10])
}

// serveNetRPC answers a host of the original library on conn.
func (r rude) serveNetRPC(conn net.Conn) {
	session, err := yamux.Server(conn, netrpc.YamuxConfig(nil))
	if err != nil {
		_ = conn.Close()
		return
	}
	defer session.Close()
	server := rpc.NewServer()
	for _, name := range []string{"Control", "Dispenser"} {
		if err := server.RegisterName(name, r); err != nil {
			return
		}
	}
	for {
		stream, err := session.Accept()
		if err != nil {
			return
		}
		go server.ServeConn(stream)
	}
}

// checkPeerError holds that an error is short, plain and of the peer.
func checkPeerError(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), `\x1b[2J\u202e\u009b\n`) {
		t.Fatalf("%s: %.300v, want what the peer said", what, err)
	}
	if text := err.Error(); len(text) > printable.MaxText+400 || printable.Line(text) != text {
		t.Errorf("%s: %d bytes: %.100q", what, len(text), text)
	}
}

// TestErrorsOfAPeerAreBounded holds what a plugin can say to a question of this
// library, over net/rpc and gRPC.
func TestErrorsOfAPeerAreBounded(t *testing.T) {
	host, there := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		rude{}.serveNetRPC(there)
	}()
	session, err := netrpc.NewYamuxHost(host, netrpc.HostConfig{Detach: func() bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	client := plugin.NewRPCHostClient(session, plugin.PluginSet{"echo": &echoPlugin{}})
	checkPeerError(t, "ping", client.Ping())
	_, err = client.Dispense("echo")
	checkPeerError(t, "dispense", err)
	_ = client.Close()
	<-served

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, rude{})
	go func() { _ = server.Serve(lis) }()
	defer server.Stop()
	cfg := (&servedPlugin{addr: lis.Addr().(*net.TCPAddr)}).clientConfig()
	cfg.Reattach.Protocol, cfg.AllowedProtocols = plugin.ProtocolGRPC, []plugin.Protocol{plugin.ProtocolGRPC}
	cfg.DialTimeout, cfg.PingTimeout = time.Minute, time.Minute
	_, err = plugin.Attach(t.Context(), cfg)
	checkPeerError(t, "health", err)
}
