// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
)

// mountsHost is a host that has the kind mounts in two versions over gRPC, and in one
// that is net/rpc alone.
func mountsHost(addr net.Addr) *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig:  testHandshake,
		VersionedPlugins: mountVersions(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC},
		Reattach:         &plugin.ReattachConfig{Addr: addr},
		DialTimeout:      10 * time.Second,
		Logger:           hclog.NewNullLogger(),
	}
}

// onLoopback listens, and runs serve until the test ends.
func onLoopback(t *testing.T, serve func(net.Listener), stop func()) net.Addr {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		serve(lis)
	}()
	t.Cleanup(func() {
		stop()
		<-served
	})
	return lis.Addr()
}

// servePlainGRPC serves the service of mounts as somebody does who never heard of
// go-plugin. It has the health service for those names, if there are any.
func servePlainGRPC(t *testing.T, healthy ...string) net.Addr {
	t.Helper()
	server := grpc.NewServer()
	server.RegisterService(mountsDesc(), &mountTable{keyed: true, values: map[string]string{}})
	if len(healthy) > 0 {
		names := health.NewServer()
		for _, name := range healthy {
			names.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_SERVING)
		}
		grpc_health_v1.RegisterHealthServer(server, names)
	}
	return onLoopback(t, func(lis net.Listener) { _ = server.Serve(lis) }, server.Stop)
}

// Any gRPC server with the kind's service is a plugin. Its first bytes tell its
// protocol; its version is the host's to know.
func TestAttachToPlainGRPC(t *testing.T) {
	for name, tc := range map[string]struct {
		healthy []string
		change  func(*plugin.ClientConfig)
		version int
		refused string
	}{
		"one version over gRPC":      {version: 5, change: func(c *plugin.ClientConfig) { delete(c.VersionedPlugins, 3) }},
		"the handshake's is of gRPC": {version: 3, change: func(c *plugin.ClientConfig) { c.ProtocolVersion = 3 }},
		"named version":              {version: 5, change: func(c *plugin.ClientConfig) { c.Reattach.ProtocolVersion = 5 }},
		"health of the server":       {healthy: []string{""}, version: 5, change: func(c *plugin.ClientConfig) { c.Reattach.ProtocolVersion = 5 }},
		"health of plugin":           {healthy: []string{"plugin"}, version: 5, change: func(c *plugin.ClientConfig) { c.Reattach.ProtocolVersion = 5 }},
		"two versions over gRPC":     {refused: "[3 5] over gRPC"},
		"the host names net/rpc": {
			change:  func(c *plugin.ClientConfig) { c.Reattach.Protocol = plugin.ProtocolNetRPC },
			refused: `ReattachConfig.Protocol is "netrpc", and the plugin speaks "grpc"`,
		},
		"the host has no gRPC": {
			change:  func(c *plugin.ClientConfig) { c.AllowedProtocols = c.AllowedProtocols[:1]; c.ProtocolVersion = 3 },
			refused: "unsupported plugin protocol",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := mountsHost(servePlainGRPC(t, tc.healthy...))
			if tc.change != nil {
				tc.change(config)
			}
			session, err := plugin.Attach(t.Context(), config)
			if tc.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tc.refused) {
					t.Fatalf("error %v, want one that says %q", err, tc.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if session.Version() != tc.version || session.Protocol() != plugin.ProtocolGRPC {
				t.Errorf("version %d over %s", session.Version(), session.Protocol())
			}
			conn, _ := session.ClientConn()
			out := new(wrapperspb.StringValue)
			if err := conn.Invoke(t.Context(), "/test.Mounts/Do", wrapperspb.String("one=1"), out); err != nil || out.GetValue() != "1" {
				t.Errorf("Do = %q, %v", out.GetValue(), err)
			}
			if err := session.Ping(); err != nil {
				t.Errorf("ping: %v", err)
			}
		})
	}
}

// A web server answers every path with 404, which gRPC takes for a method that is not
// implemented.
func TestAttachToWebServer(t *testing.T) {
	server := &http.Server{Handler: http.NotFoundHandler(), Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	addr := onLoopback(t, func(lis net.Listener) { _ = server.Serve(lis) }, func() { _ = server.Close() })
	config := mountsHost(addr)
	config.Reattach.Protocol = plugin.ProtocolGRPC
	config.Reattach.ProtocolVersion = 5
	session, err := plugin.Attach(t.Context(), config)
	if err == nil {
		_ = session.Close()
		t.Fatal("a web server passed for a plugin")
	}
	if !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v", err)
	}
}
