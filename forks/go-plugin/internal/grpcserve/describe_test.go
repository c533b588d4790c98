// SPDX-License-Identifier: MPL-2.0

package grpcserve_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/hello"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config serves the plugins.
func config(plugins ...grpcserve.Plugin) grpcserve.Config {
	return grpcserve.Config{Plugins: plugins, Logger: hclog.NewNullLogger()}
}

// host wants no output.
func host() grpcserve.Host {
	return grpcserve.Host{Logger: hclog.NewNullLogger()}
}

// counter is a plugin whose descriptor is not linked.
func counter() grpcserve.Plugin {
	return grpcserve.Plugin{Name: "unknown", Register: func(_ *broker.Broker, s *grpc.Server) error {
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: "test.Counter",
			HandlerType: (*any)(nil),
			Methods:     []grpc.MethodDesc{{MethodName: "Next"}, {MethodName: "Add"}},
			Streams:     []grpc.StreamDesc{{StreamName: "Count", ServerStreams: true}},
		}, struct{}{})
		return nil
	}}
}

func TestDescribesWhatIsRegistered(t *testing.T) {
	factory := grpcserve.NewFactory(config(
		grpcserve.Plugin{Name: "known", Register: func(_ *broker.Broker, s *grpc.Server) error {
			grpc_reflection_v1.RegisterServerReflectionServer(s, grpc_reflection_v1.UnimplementedServerReflectionServer{})
			grpc_health_v1.RegisterHealthServer(s, health.NewServer()) // both instead of the library's own
			return nil
		}},
		grpcserve.Plugin{Name: "nothing", Register: func(*broker.Broker, *grpc.Server) error { return nil }},
		counter(),
	), 1, time.Minute, false)
	defer factory.Close()
	if kinds := factory.Kinds(); kinds != nil {
		t.Errorf("kinds before the plugin was asked: %v", kinds)
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	session, err := factory.Join(host(), here)
	if err == nil {
		session.Leave()
	}
	const health, reflection = "grpc.health.v1.HealthCheck", "stream grpc.reflection.v1.ServerReflection"
	want := []hello.Kind{
		{Name: "known", Methods: []hello.Method{
			{Name: "Check", Args: health + "Request", Reply: health + "Response"},
			{Name: "Watch", Args: health + "Request", Reply: "stream " + health + "Response"},
			{Name: "ServerReflectionInfo", Args: reflection + "Request", Reply: reflection + "Response"},
		}},
		{Name: "nothing"},
		{Name: "unknown", Methods: []hello.Method{{Name: "Add"}, {Name: "Count"}, {Name: "Next"}}},
	}
	kinds := factory.Kinds()
	if len(kinds) > 0 { // List came with a later version of gRPC than the oldest that is tested
		kinds[0].Methods = slices.DeleteFunc(slices.Clone(kinds[0].Methods), func(m hello.Method) bool { return m.Name == "List" })
	}
	if diff := cmp.Diff(want, kinds); diff != "" || err != nil {
		t.Errorf("error %v, kinds (-want +got):\n%s", err, diff)
	}
}

func TestRefusesPlugins(t *testing.T) {
	cases := map[string]struct {
		reason string
		plugin grpcserve.Plugin
		want   string
	}{
		"NetRPCOnly": {"It has nothing to register.", grpcserve.Plugin{Name: "kind"}, `"kind" is not a GRPC-compatible plugin`},
		"Failing": {"Its own error says why.", grpcserve.Plugin{Name: "kind", Register: func(*broker.Broker, *grpc.Server) error {
			return net.ErrClosed
		}}, `error registering "kind": ` + net.ErrClosed.Error()},
		"Panicking": {"It must not take other hosts along.", grpcserve.Plugin{Name: "kind", Register: func(*broker.Broker, *grpc.Server) error {
			panic("no")
		}}, `error registering "kind": GRPCServer panics: no`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := host()
			if _, err := grpcserve.New(config(tc.plugin), &h); err == nil || err.Error() != tc.want {
				t.Errorf("%s\nNew = %v, want %s", tc.reason, err, tc.want)
			}
		})
	}
}
