// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/reattach/reattach/commons/commonspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transports give the stub of a plugin, as a host dispenses it.
func transports() map[string]func(*testing.T, plugin.Plugin) interface{} {
	return map[string]func(*testing.T, plugin.Plugin) interface{}{
		"net/rpc": func(t *testing.T, p plugin.Plugin) interface{} {
			stub, err := p.Client(nil, dialRPC(t, p))
			if err != nil {
				t.Fatal(err)
			}
			return stub
		},
		"gRPC": func(t *testing.T, p plugin.Plugin) interface{} {
			stub, err := p.(plugin.GRPCPlugin).GRPCClient(t.Context(), nil, dialGRPC(t, p))
			if err != nil {
				t.Fatal(err)
			}
			return stub
		},
	}
}

func dialGRPC(t *testing.T, p plugin.Plugin) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	if err := p.(plugin.GRPCPlugin).GRPCServer(nil, server); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:plugin",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	return conn
}

// TestSameOverBoth holds that a caller cannot tell the protocols apart.
func TestSameOverBoth(t *testing.T) {
	type said struct{ Greet, Hi, Ping, GreetErr, HiErr, PingErr string }
	cases := map[string]struct {
		reason string
		impl   speaker
		want   said
	}{
		"answers": {
			reason: "answers arrive as they were given",
			want:   said{Greet: "Hello 王", Hi: "Hi =-3=", Ping: "pong!"},
		},
		"errors": {
			reason: "an error of the implementation arrives with its own text and nothing added",
			impl:   speaker{err: errBoom},
			want:   said{GreetErr: errBoom.Error(), HiErr: errBoom.Error(), PingErr: errBoom.Error()},
		},
		"an error that looks like gRPC's own": {
			reason: "an implementation may pass on the failure of a call it made itself",
			impl:   speaker{err: status.Error(codes.Unavailable, "backend")},
			want: said{
				GreetErr: "rpc error: code = Unavailable desc = backend",
				HiErr:    "rpc error: code = Unavailable desc = backend",
				PingErr:  "rpc error: code = Unavailable desc = backend",
			},
		},
	}
	for protocol, stub := range transports() {
		for name, tc := range cases {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				greeter := stub(t, &GreeterPlugin{Impl: tc.impl}).(Greeter)
				ponger := stub(t, &PingPongerPlugin{Impl: tc.impl}).(PingPonger)
				var got said
				var errs [3]error
				got.Greet, errs[0] = greeter.Greet("王")
				got.Hi, errs[1] = greeter.Hi(-3)
				got.Ping, errs[2] = ponger.Ping()
				got.GreetErr, got.HiErr, got.PingErr = text(errs[0]), text(errs[1]), text(errs[2])
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
				}
			})
		}
	}
}

func TestMissingNameOverGRPC(t *testing.T) {
	client := commonspb.NewGreeterClient(dialGRPC(t, &GreeterPlugin{Impl: speaker{}}))
	_, err := client.Greet(t.Context(), &commonspb.GreetRequest{})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(text(err), `"name" is missing`) {
		t.Errorf("got %v, want InvalidArgument that names the argument", err)
	}
}

func TestNothingToServe(t *testing.T) {
	for name, p := range map[string]plugin.GRPCPlugin{"greeter": &GreeterPlugin{}, "pingponger": &PingPongerPlugin{}} {
		if _, err := p.(plugin.Plugin).Server(nil); !strings.Contains(text(err), name) {
			t.Errorf("net/rpc: got %v, want an error that names %s", err, name)
		}
		if err := p.GRPCServer(nil, grpc.NewServer()); !strings.Contains(text(err), name) {
			t.Errorf("gRPC: got %v, want an error that names %s", err, name)
		}
	}
}

// TestVersions holds what go-plugin looks at to choose the protocol of a version.
func TestVersions(t *testing.T) {
	all := Versions(plugin.PluginSet{GreeterKind: &GreeterPlugin{}, PingPongerKind: &PingPongerPlugin{}})
	got := map[int]map[string]bool{}
	for version, set := range all {
		got[version] = map[string]bool{}
		for name, p := range set {
			_, got[version][name] = p.(plugin.GRPCPlugin)
		}
	}
	want := map[int]map[string]bool{
		VersionNetRPC: {GreeterKind: false, PingPongerKind: false},
		VersionGRPC:   {GreeterKind: true, PingPongerKind: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("which kinds speak gRPC: (-want +got)\n%s", diff)
	}
}
