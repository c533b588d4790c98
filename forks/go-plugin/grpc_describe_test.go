// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// describedPlugin registers whatever it is made of.
type describedPlugin struct {
	relay
	register func(*GRPCBroker, *grpc.Server) error
}

func (p *describedPlugin) GRPCServer(b *GRPCBroker, s *grpc.Server) error { return p.register(b, s) }

func TestDescribeGRPC(t *testing.T) {
	service, err := newGRPCService(grpcServiceConfig{logger: hclog.NewNullLogger(), plugins: PluginSet{
		"known": &describedPlugin{register: func(_ *GRPCBroker, s *grpc.Server) error {
			pluginpb.RegisterTunnelServer(s, pluginpb.UnimplementedTunnelServer{})
			grpc_health_v1.RegisterHealthServer(s, health.NewServer()) // instead of the library's own
			return nil
		}},
		"nothing": &describedPlugin{register: func(*GRPCBroker, *grpc.Server) error { return nil }},
		"unknown": newRelay("no descriptor is linked"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer service.stop()
	const health = "grpc.health.v1.HealthCheck"
	want := []hello.Kind{
		{Name: "known", Methods: []hello.Method{
			{Name: "Check", Args: health + "Request", Reply: health + "Response"},
			{Name: "List", Args: "grpc.health.v1.HealthListRequest", Reply: "grpc.health.v1.HealthListResponse"},
			{Name: "Watch", Args: health + "Request", Reply: "stream " + health + "Response"},
			{Name: "Open", Args: "stream reattach.v1.Chunk", Reply: "stream reattach.v1.Chunk"},
		}},
		{Name: "nothing"},
		{Name: "unknown", Methods: []hello.Method{
			{Name: "Busy"}, {Name: "Count"}, {Name: "Hold"}, {Name: "Late"}, {Name: "Lend"}, {Name: "Name"}, {Name: "Open"}, {Name: "Via"},
		}},
	}
	if diff := cmp.Diff(want, service.kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}
