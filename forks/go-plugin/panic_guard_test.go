// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/rpc"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/panics"
)

// liar is a value that panics when it is to be shown, with another one.
type liar struct{ depth int }

func (l liar) String() string { panic(liar{l.depth + 1}) }

// typedNil is an error that panics at its text when it is a nil pointer.
type typedNil struct{ text string }

func (e *typedNil) Error() string { return e.text }

// misdeeds are ways for a method not to return, or to return badly.
func misdeeds() map[string]func() error {
	return map[string]func() error{
		"text":       func() error { panic("no more\nstack: main.go:7") },
		"error":      func() error { panic(errors.New("no more")) },
		"nil":        func() error { panic(nil) },
		"index":      func() error { var none []error; return none[runtime.NumCPU()] },
		"abort":      func() error { panic(http.ErrAbortHandler) },
		"liar":       func() error { panic(liar{}) },
		"long":       func() error { panic(strings.Repeat("no more ", 1<<16)) },
		"unprinted":  func() error { panic("no\x1b[31m more\x00\xff") },
		"goexit":     func() error { runtime.Goexit(); return nil },
		"typed nil":  func() error { return (*typedNil)(nil) },
		"goexit mid": func() error { defer func() { recover(); runtime.Goexit() }(); panic("no more") },
	}
}

// poisonPlugin serves methods that panic, over both protocols.
type poisonPlugin struct{}

func (p *poisonPlugin) Server(b *plugin.MuxBroker) (any, error) { return &poisoned{b}, nil }

func (p *poisonPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &poisonStub{c, b}, nil
}

type poisonStub struct {
	*rpc.Client
	broker *plugin.MuxBroker
}

type poisoned struct{ broker *plugin.MuxBroker }

func (*poisoned) Fine(text string, reply *string) error { *reply = text; return nil }

func (*poisoned) Do(how string, _ *string) error { return misdeeds()[how]() }

// Open serves the same on a brokered stream.
func (p *poisoned) Open(_ struct{}, id *uint32) error {
	*id = p.broker.NextId()
	go p.broker.AcceptAndServe(*id, &poisoned{p.broker})
	return nil
}

// Back lets the host's own method panic.
func (p *poisoned) Back(id uint32, reply *string) error {
	conn, err := p.broker.Dial(id)
	if err != nil {
		return err
	}
	client := rpc.NewClient(conn)
	defer client.Close()
	if err := client.Call("Plugin.Do", "text", new(string)); err != nil {
		*reply = err.Error()
	}
	return nil
}

// logLines is the plugin's log.
type logLines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

// servePoison serves methods that panic and returns the plugin's log.
func servePoison(t *testing.T, peer plugin.Plugin, change func(*plugin.ServeConfig)) (*servedPlugin, *logLines) {
	log := &logLines{}
	return serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins = plugin.PluginSet{"poison": peer}
		o.Logger = hclog.New(&hclog.LoggerOptions{Output: log})
		if change != nil {
			change(o)
		}
	}), log
}

// attachAs attaches like this library, or like a host of the original one.
func attachAs(t *testing.T, cfg *plugin.ClientConfig, old bool) *plugin.Session {
	t.Helper()
	attach := plugin.Attach
	if old {
		attach = func(ctx context.Context, cfg *plugin.ClientConfig) (*plugin.Session, error) {
			return plugin.AttachLegacy(ctx, cfg)
		}
	}
	session, err := attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// checkPanicText checks what a caller is told.
func checkPanicText(t *testing.T, how, text string) {
	t.Helper()
	if text == "" || len(text) > 2*panics.MaxText+80 || strings.ContainsAny(text, "\n\x1b\x00") || strings.Contains(text, ".go:") {
		t.Errorf("%s: the caller is told %q", how, text)
	}
}

// A method that panics over net/rpc costs its own caller an error, on each kind
// of session, and no other call anything.
func TestPanicIsAnsweredNetRPC(t *testing.T) {
	for name, old := range map[string]bool{"mux": false, "yamux": true} {
		t.Run(name, func(t *testing.T) {
			p, log := servePoison(t, &poisonPlugin{}, nil)
			cfg := p.clientConfig()
			cfg.Plugins = plugin.PluginSet{"poison": &poisonPlugin{}}
			session := attachAs(t, cfg, old)
			raw, err := session.Dispense("poison")
			if err != nil {
				t.Fatal(err)
			}
			stub := raw.(*poisonStub)
			tryMisdeeds(t, stub.Client)

			var id uint32
			if err := stub.Call("Plugin.Open", struct{}{}, &id); err != nil {
				t.Fatal(err)
			}
			conn, err := stub.broker.Dial(id)
			if err != nil {
				t.Fatal(err)
			}
			brokered := rpc.NewClient(conn)
			defer brokered.Close()
			tryMisdeeds(t, brokered)

			id = stub.broker.NextId()
			go stub.broker.AcceptAndServe(id, &poisoned{})
			var told string
			if err := stub.Call("Plugin.Back", id, &told); err != nil || !strings.Contains(told, "panicked: no more") {
				t.Errorf("a callback that panics in the host gives %q, %v", told, err)
			}
			if text := log.String(); !strings.Contains(text, "panic_guard_test.go") {
				t.Errorf("the log has no stack: %.300q", text)
			}
		})
	}
}

func tryMisdeeds(t *testing.T, client *rpc.Client) {
	t.Helper()
	for range 3 { // The plugin learns that the method is quick.
		for how := range misdeeds() {
			beside := client.Go("Plugin.Fine", how, new(string), make(chan *rpc.Call, 1))
			err := client.Call("Plugin.Do", how, new(string))
			var answered rpc.ServerError
			if !errors.As(err, &answered) {
				t.Fatalf("%s: error %v, want the plugin's answer", how, err)
			}
			checkPanicText(t, how, err.Error())
			if call := <-beside.Done; call.Error != nil || *call.Reply.(*string) != how {
				t.Fatalf("%s: the call beside it gives %v", how, call.Error)
			}
		}
	}
}

// A plugin whose Server panics costs the host that kind, not the session.
func TestPanicInServerIsAnswered(t *testing.T) {
	for name, old := range map[string]bool{"mux": false, "yamux": true} {
		t.Run(name, func(t *testing.T) {
			p, _ := servePoison(t, serverPanics{}, func(o *plugin.ServeConfig) { o.Plugins["fine"] = &poisonPlugin{} })
			cfg := p.clientConfig()
			cfg.Plugins = plugin.PluginSet{"poison": &poisonPlugin{}, "fine": &poisonPlugin{}}
			session := attachAs(t, cfg, old)
			raw, err := session.Dispense("poison")
			if err == nil {
				err = raw.(*poisonStub).Call("Plugin.Fine", "", new(string))
			}
			if err == nil || !strings.Contains(err.Error(), "no implementation") {
				t.Errorf("error %v, want what Server panicked with", err)
			}
			raw, err = session.Dispense("fine")
			if err != nil {
				t.Fatal(err)
			}
			if err := raw.(*poisonStub).Call("Plugin.Fine", "", new(string)); err != nil {
				t.Errorf("another kind: %v", err)
			}
		})
	}
}

type serverPanics struct{}

func (serverPanics) Server(*plugin.MuxBroker) (any, error) { panic("no implementation") }

func (serverPanics) Client(*plugin.MuxBroker, *rpc.Client) (any, error) { return nil, nil }

// poisonRelay serves a gRPC service whose methods panic.
type poisonRelay struct{ plugin.NetRPCUnsupportedPlugin }

func (poisonRelay) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	registerPoison(b, s)
	return nil
}

func (poisonRelay) GRPCClient(_ context.Context, b *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &relay{broker: b, conn: conn}, nil
}

func registerPoison(b *plugin.GRPCBroker, s *grpc.Server) {
	desc := grpc.ServiceDesc{ServiceName: "test.Relay", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		relayMethod("Name", func(_ *relay, _ context.Context, text string) (string, error) { return text, nil }),
		relayMethod("Do", func(_ *relay, _ context.Context, how string) (string, error) { return "", misdeeds()[how]() }),
		relayMethod("Open", func(*relay, context.Context, string) (string, error) {
			id := b.NextId()
			go b.AcceptAndServe(id, func(opts []grpc.ServerOption) *grpc.Server {
				server := grpc.NewServer(opts...)
				registerPoison(b, server)
				return server
			})
			return fmt.Sprint(id), nil
		}),
		relayMethod("Back", func(_ *relay, ctx context.Context, id string) (string, error) {
			conn, err := b.Dial(parseID(id))
			if err != nil {
				return "", err
			}
			defer conn.Close()
			_, err = (&relay{conn: conn}).call(ctx, "Do", "text")
			return status.Convert(err).Message(), nil
		}),
	}, Streams: []grpc.StreamDesc{{StreamName: "Count", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
		in := new(wrapperspb.StringValue)
		if err := stream.RecvMsg(in); err != nil {
			return err
		}
		for range 2 {
			if err := stream.SendMsg(in); err != nil {
				return err
			}
		}
		return misdeeds()[in.GetValue()]()
	}}}}
	s.RegisterService(&desc, &relay{})
}

// A gRPC method that panics costs its own caller an error, unary or a stream, on
// the session's connection or a brokered one.
func TestPanicIsAnsweredGRPC(t *testing.T) {
	for name, old := range map[string]bool{"mux": false, "listeners": true} {
		t.Run(name, func(t *testing.T) {
			p, log := servePoison(t, poisonRelay{}, func(o *plugin.ServeConfig) { o.GRPCServer = plugin.DefaultGRPCServer })
			cfg := p.clientConfig()
			cfg.Plugins = plugin.PluginSet{"poison": poisonRelay{}}
			cfg.AllowedProtocols = []plugin.Protocol{plugin.ProtocolGRPC}
			cfg.Reattach.Protocol = plugin.ProtocolGRPC
			session := attachAs(t, cfg, old)
			raw, err := session.Dispense("poison")
			if err != nil {
				t.Fatal(err)
			}
			stub := raw.(*relay)
			tryGRPCMisdeeds(t, stub)

			text, err := stub.call(t.Context(), "Open", "")
			if err != nil {
				t.Fatal(err)
			}
			conn, err := stub.broker.Dial(parseID(text))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			tryGRPCMisdeeds(t, &relay{conn: conn})

			id := stub.broker.NextId()
			go stub.broker.AcceptAndServe(id, func(opts []grpc.ServerOption) *grpc.Server {
				server := grpc.NewServer(opts...)
				registerPoison(stub.broker, server)
				return server
			})
			if told, err := stub.call(t.Context(), "Back", fmt.Sprint(id)); err != nil || !strings.Contains(told, "panicked: no more") {
				t.Errorf("a callback that panics in the host gives %q, %v", told, err)
			}
			if text := log.String(); !strings.Contains(text, "panic_guard_test.go") {
				t.Errorf("the log has no stack: %.300q", text)
			}
		})
	}
}

func tryGRPCMisdeeds(t *testing.T, stub *relay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	check := func(how string, err error) {
		t.Helper()
		if code := status.Code(err); code != codes.Internal {
			t.Fatalf("%s: %v, want %v", how, err, codes.Internal)
		}
		checkPanicText(t, how, status.Convert(err).Message())
	}
	for how := range misdeeds() {
		_, err := stub.call(ctx, "Do", how)
		check(how, err)
		stream, err := stub.count(ctx, how)
		if err != nil {
			t.Fatal(err)
		}
		check(how+" in a stream", stream.RecvMsg(new(wrapperspb.StringValue)))
		if text, err := stub.call(ctx, "Name", how); err != nil || text != how {
			t.Fatalf("%s: the call after it gives %v", how, err)
		}
	}
}
