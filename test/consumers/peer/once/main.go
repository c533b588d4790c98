// SPDX-License-Identifier: MPL-2.0

// Program once is a plugin whose gRPC server can be made once, as that of many
// SDKs. ONCE, which is its magic cookie, says what the factory does when it is
// called again: with "panics" it panics, with "same" it hands out the first server.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	mode := os.Getenv("ONCE")
	f := &factory{panics: mode == "panics"}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ONCE", MagicCookieValue: mode},
		Plugins:         plugin.PluginSet{"once": kind{calls: &counter{of: map[string]int{}}}},
		GRPCServer:      f.newServer,
	})
}

// factory makes one server.
type factory struct {
	panics bool

	mu    sync.Mutex
	first *grpc.Server
}

func (f *factory) newServer(opts []grpc.ServerOption) *grpc.Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first != nil && f.panics {
		panic("the server has been made already")
	}
	if f.first == nil {
		f.first = grpc.NewServer(opts...)
	}
	return f.first
}

// counter counts the calls of each host.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counter) add(host string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[host]++
	return c.of[host]
}

type kind struct {
	plugin.NetRPCUnsupportedPlugin
	calls *counter
}

func (kind) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("this is a plugin")
}

// GRPCServer registers the methods Count and CallBack.
func (k kind) GRPCServer(broker *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "consumers.Once", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		method("Count", func(_ context.Context, in string) (string, error) { return k.count(in) }),
		method("CallBack", func(ctx context.Context, in string) (string, error) { return callBack(ctx, broker, in) }),
	}}, k)
	return nil
}

// count answers "HOST WORD" with how many calls of that host there were.
func (k kind) count(in string) (string, error) {
	cut := strings.LastIndexByte(in, ' ')
	if cut < 0 {
		return "", status.Errorf(codes.InvalidArgument, "%q is not a host and a word", in)
	}
	host, word := in[:cut], in[cut+1:]
	if word == "bad" {
		return "", status.Errorf(codes.InvalidArgument, "%s may not say bad", host)
	}
	return fmt.Sprintf("%s: call %d said %s", host, k.calls.add(host), word), nil
}

// callBack asks for the name of the host that accepts id at the broker.
func callBack(ctx context.Context, broker *plugin.GRPCBroker, id string) (string, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return "", status.Errorf(codes.InvalidArgument, "broker id: %v", err)
	}
	conn, err := broker.Dial(uint32(n))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	name := new(wrapperspb.StringValue)
	if err := conn.Invoke(ctx, "/consumers.OnceHost/Name", wrapperspb.String(""), name); err != nil {
		return "", err
	}
	return name.GetValue(), nil
}

// method describes a method that takes and answers a string.
func method(name string, do func(ctx context.Context, in string) (string, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			out, err := do(ctx, in.GetValue())
			if err != nil {
				return nil, err
			}
			return wrapperspb.String(out), nil
		},
	}
}
