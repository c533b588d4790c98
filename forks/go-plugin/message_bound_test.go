// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/netrpc"
)

const mib = 1 << 20

// bulk takes and gives as many bytes as it is told, in both protocols.
type bulk interface {
	Take([]byte) (int, error)
	Give(n int) ([]byte, error)
	// Refuse fails with an error of n bytes.
	Refuse(n int) error
}

type bulkImpl struct{}

func (bulkImpl) Take(data []byte, n *int) error { *n = len(data); return nil }
func (bulkImpl) Give(n int, data *[]byte) error { *data = make([]byte, n); return nil }
func (bulkImpl) Refuse(n int, _ *struct{}) error {
	return errors.New(strings.Repeat("e", n))
}

type bulkPlugin struct{}

func (bulkPlugin) Server(*plugin.MuxBroker) (interface{}, error) { return bulkImpl{}, nil }
func (bulkPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return bulkRPC{c}, nil
}

func (bulkPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	method := func(name string, f func([]byte) ([]byte, error)) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, dec func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.BytesValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			return through(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/test.Bulk/" + name}, func(context.Context, any) (any, error) {
				out, err := f(in.GetValue())
				return wrapperspb.Bytes(out), err
			})
		}}
	}
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Bulk", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		method("Take", func(in []byte) ([]byte, error) { return fmt.Append(nil, len(in)), nil }),
		method("Give", func(in []byte) ([]byte, error) { return make([]byte, number(in)), nil }),
		method("Refuse", func(in []byte) ([]byte, error) { return nil, errors.New(strings.Repeat("e", number(in))) }),
	}}, bulkImpl{})
	return nil
}

func (bulkPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (interface{}, error) {
	return bulkGRPC{conn}, nil
}

func number(text []byte) (n int) {
	_, _ = fmt.Sscan(string(text), &n)
	return n
}

type bulkRPC struct{ client *rpc.Client }

func (b bulkRPC) Take(data []byte) (n int, err error) {
	return n, b.client.Call("Plugin.Take", data, &n)
}

func (b bulkRPC) Give(n int) (data []byte, err error) {
	return data, b.client.Call("Plugin.Give", n, &data)
}

func (b bulkRPC) Refuse(n int) error { return b.client.Call("Plugin.Refuse", n, &struct{}{}) }

type bulkGRPC struct{ conn *grpc.ClientConn }

func (b bulkGRPC) call(method string, in []byte) ([]byte, error) {
	out := new(wrapperspb.BytesValue)
	err := b.conn.Invoke(context.Background(), "/test.Bulk/"+method, wrapperspb.Bytes(in), out)
	return out.GetValue(), err
}

func (b bulkGRPC) Take(data []byte) (int, error) {
	out, err := b.call("Take", data)
	return number(out), err
}

func (b bulkGRPC) Give(n int) ([]byte, error) { return b.call("Give", fmt.Append(nil, n)) }

func (b bulkGRPC) Refuse(n int) error {
	_, err := b.call("Refuse", fmt.Append(nil, n))
	return err
}

// bulkStream attaches as to the original library, with yamux.
func bulkStream(t *testing.T, host, served int) bulk {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := lis.Accept()
		if err == nil {
			err = netrpc.NewYamuxPlugin(conn, &netrpc.PluginConfig{
				Serving: netrpc.Serving{MaxMessage: served}, Kinds: plugin.PluginSet{"bulk": bulkPlugin{}}.NetRPC,
				Stdout: eof{}, Stderr: eof{}, Quit: func() {},
			}).Serve()
		}
		ended <- err
	}()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	session, err := netrpc.NewYamuxHost(conn, netrpc.HostConfig{MaxMessage: host})
	if err != nil {
		t.Fatal(err)
	}
	client := plugin.NewRPCHostClient(session, plugin.PluginSet{"bulk": bulkPlugin{}})
	t.Cleanup(func() {
		_ = client.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	raw, err := client.Dispense("bulk")
	if err != nil {
		t.Fatal(err)
	}
	return raw.(bulk)
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// bulkNetwork attaches to a network plugin of this library.
func bulkNetwork(t *testing.T, protocol plugin.Protocol, host, served int) bulk {
	t.Helper()
	p := serveEcho(t, func(cfg *plugin.ServeConfig) {
		cfg.Plugins = plugin.PluginSet{"bulk": bulkPlugin{}}
		cfg.GRPCServer = plugin.DefaultGRPCServer
		cfg.Network.MaxMessageBytes = served
	})
	cfg := p.clientConfig()
	cfg.Plugins, cfg.AllowedProtocols, cfg.MaxMessageBytes = plugin.PluginSet{"bulk": bulkPlugin{}}, []plugin.Protocol{protocol}, host
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	raw, err := session.Dispense("bulk")
	if err != nil {
		t.Fatal(err)
	}
	return raw.(bulk)
}

// TestMessagesAreBounded: one that is too large is an error of its call that names both
// sizes, in either direction, whichever side has the lower bound, and the session and
// the stub live on.
func TestMessagesAreBounded(t *testing.T) {
	ways := map[string]func(t *testing.T, host, served int) bulk{
		"mux":   func(t *testing.T, host, served int) bulk { return bulkNetwork(t, plugin.ProtocolNetRPC, host, served) },
		"gRPC":  func(t *testing.T, host, served int) bulk { return bulkNetwork(t, plugin.ProtocolGRPC, host, served) },
		"yamux": bulkStream,
	}
	for name, attach := range ways {
		for _, lower := range []string{"host", "plugin", "both"} {
			t.Run(name+"/"+lower, func(t *testing.T) {
				host, served := 2*mib, 2*mib
				switch lower {
				case "host":
					served = 8 * mib
				case "plugin":
					host = 8 * mib
				}
				// A stub of net/rpc's own client ends with a reply that it cannot take.
				endsStub := name == "yamux" && lower == "host"
				b := attach(t, host, served)
				tooLarge := func(what string, err error) {
					t.Helper()
					if err == nil || !strings.Contains(err.Error(), "2097152") || !strings.Contains(err.Error(), "3145") {
						t.Errorf("%s of 3 MiB gave %.200v, want an error that names both sizes", what, err)
					}
				}
				_, err := b.Take(make([]byte, 3*mib))
				tooLarge("a request", err)
				if n, err := b.Take(make([]byte, mib)); n != mib || err != nil {
					t.Fatalf("after that, a request of 1 MiB gave %d, %v", n, err)
				}
				if data, err := b.Give(mib); len(data) != mib || err != nil {
					t.Fatalf("after that, a reply of 1 MiB gave %d, %v", len(data), err)
				}
				if err := b.Refuse(1000); err == nil || !strings.Contains(err.Error(), strings.Repeat("e", 1000)) {
					t.Errorf("an error of 1000 bytes came as %.100v", err)
				}
				_, err = b.Give(3 * mib)
				tooLarge("a reply", err)
				if n, err := b.Take(make([]byte, mib)); !endsStub && (n != mib || err != nil) {
					t.Fatalf("after that, a request of 1 MiB gave %d, %v", n, err)
				}
			})
		}
	}
}

// TestRequestOf5MiBByGRPC: what net/rpc takes, gRPC takes as well, whose own bound is
// 4 MiB.
func TestRequestOf5MiBByGRPC(t *testing.T) {
	b := bulkNetwork(t, plugin.ProtocolGRPC, 0, 0)
	if n, err := b.Take(make([]byte, 5*mib)); n != 5*mib || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestErrorTextsAreBounded: an error is a message too.
func TestErrorTextsAreBounded(t *testing.T) {
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		b := bulkNetwork(t, protocol, 2*mib, 2*mib)
		for _, n := range []int{3 * mib, 20 * mib} {
			err := b.Refuse(n)
			if text := fmt.Sprint(err); len(text) > 2<<10 || !strings.Contains(text, fmt.Sprintf("has %d bytes, at most 209", n)) {
				t.Errorf("%s: an error of %d bytes came as %.2000s", protocol, n, text)
			}
			if n, err := b.Take(nil); n != 0 || err != nil {
				t.Errorf("%s: after that, a call gave %v", protocol, err)
			}
		}
	}
}

func TestMaxMessageFromEnv(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "1048576": "", "-1": "", "1000": "at least 1048576 bytes", "0": "a number of bytes", "64Mi": "a number of bytes",
	} {
		t.Setenv(env.MaxMessage, text)
		_, err := plugin.NetworkConfigFromEnv()
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), env.MaxMessage)) {
			t.Errorf("%q gave %v, want %q", text, err, want)
		}
	}
}
