// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit"
	"google.golang.org/grpc/metadata"
)

// askPlugin serves methods that call their caller back.
type askPlugin struct{}

func (askPlugin) Server(b *plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(&askServer{b}), nil
}

func (askPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &askStub{b, c}, nil
}

type askServer struct{ broker *plugin.MuxBroker }

// Back is what to call on whom.
type Back struct {
	ID     uint32
	Method string
}

// Ask calls back with its own context.
func (s *askServer) Ask(ctx context.Context, b Back, said *Said) error {
	client, err := s.broker.DialClient(b.ID)
	if err != nil {
		return err
	}
	defer client.Close()
	return plugin.CallContext(metadata.AppendToOutgoingContext(ctx, "traceparent", "the plugin's"), client, b.Method, 0, said)
}

// Much calls back with more metadata than a call can carry.
func (s *askServer) Much(ctx context.Context, b Back, said *Said) error {
	client, err := s.broker.DialClient(b.ID)
	if err != nil {
		return err
	}
	defer client.Close()
	pairs := make([]string, 0, 2*65)
	for range 65 {
		pairs = append(pairs, "traceparent", "one of many")
	}
	return plugin.CallContext(metadata.AppendToOutgoingContext(ctx, pairs...), client, b.Method, 0, said)
}

// Leave calls back for as long as its context lives, which the host ends.
func (s *askServer) Leave(ctx context.Context, b Back, said *Said) error {
	client, err := s.broker.DialClient(b.ID)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waits := make(chan error, 1)
	go func() { waits <- plugin.CallContext(ctx, client, "Plugin.Wait", 0, new(int)) }()
	if err := plugin.CallContext(ctx, client, "Plugin.AwaitRunning", 0, new(int)); err != nil {
		return err
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		return err
	}
	return plugin.CallContext(context.WithoutCancel(ctx), client, "Plugin.Say", 0, said)
}

type askStub struct {
	broker *plugin.MuxBroker
	rpc    *rpc.Client
}

// leftServer is a waitServer that tells when Wait runs.
type leftServer struct{ *waitServer }

// AwaitRunning returns when Wait runs.
func (s leftServer) AwaitRunning(int, *int) error {
	<-s.running
	return nil
}

// TestCallbackContext holds that a callback over net/rpc has the deadline, the end and the
// metadata of the context that it is called with, over both transports.
func TestCallbackContext(t *testing.T) {
	for name, host := range map[string]func(t *testing.T) *askStub{
		"network": func(t *testing.T) *askStub {
			cfg := serveEcho(t, func(o *plugin.ServeConfig) { o.Plugins = plugin.PluginSet{"back": askPlugin{}} }).clientConfig()
			cfg.Plugins = plugin.PluginSet{"back": askPlugin{}}
			session, err := plugin.Attach(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = session.Close() })
			return dispenseAsk(t, session)
		},
		"yamux": func(t *testing.T) *askStub {
			host, _ := plugin.TestPluginRPCConn(t, plugin.PluginSet{"back": askPlugin{}}, nil)
			t.Cleanup(func() { _ = host.Close() })
			return dispenseAsk(t, host)
		},
	} {
		t.Run(name, func(t *testing.T) {
			stub := host(t)
			impl := leftServer{newWaitPlugin().server}
			ask := func(ctx context.Context, method, back string) (said Said, err error) {
				id := stub.broker.NextId()
				go stub.broker.AcceptAndServe(id, plugin.ContextReceiver(impl))
				err = plugin.CallContext(ctx, stub.rpc, method, Back{id, back}, &said)
				return said, err
			}
			said, err := ask(t.Context(), "Plugin.Ask", "Plugin.Say")
			if err != nil || said != (Said{Traceparent: "the plugin's"}) {
				t.Errorf("the callback was told %+v, %v", said, err)
			}
			if said, err := ask(t.Context(), "Plugin.Much", "Plugin.Say"); err != nil || said.Traceparent != "" {
				t.Errorf("a callback with too much metadata was told %+v, %v", said, err)
			}
			if name == "network" { // the call itself has a deadline only there
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if said, err := ask(ctx, "Plugin.Ask", "Plugin.Say"); err != nil || said.Left <= 0 || said.Left > time.Hour {
					t.Errorf("the callback has %v, %v", said.Left, err)
				}
			}
			if _, err := ask(t.Context(), "Plugin.Leave", ""); err != nil {
				t.Error(err)
			}
			if cause := <-impl.ended; !errors.Is(cause, context.Canceled) {
				t.Errorf("the context of a callback that was given up ends by %v", cause)
			}
			if _, err := ask(t.Context(), "Plugin.Ask", "Plugin.Nothing"); err == nil || !strings.Contains(err.Error(), "can't find") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func dispenseAsk(t *testing.T, from interface{ Dispense(string) (any, error) }) *askStub {
	t.Helper()
	stub, err := from.Dispense("back")
	if err != nil {
		t.Fatal(err)
	}
	return stub.(*askStub)
}

// TestCallbackAround holds that the host's Around runs a callback over net/rpc with what it
// carries.
func TestCallbackAround(t *testing.T) {
	s := &seen{}
	shared := plugin.NewSharedBroker(time.Minute, nil)
	shared.Around = s.around
	defer shared.Close()
	cfg := serveEcho(t, func(o *plugin.ServeConfig) { o.Plugins = plugin.PluginSet{"back": askPlugin{}} }).clientConfig()
	cfg.Plugins, cfg.Broker = plugin.PluginSet{"back": askPlugin{}}, shared
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	broker := shared.MuxBroker(func() *plugin.MuxBroker { return nil })
	id := broker.NextId()
	go broker.AcceptAndServe(id, plugin.ContextReceiver(newWaitPlugin().server))
	var said Said
	if err := plugin.CallContext(t.Context(), dispenseAsk(t, session).rpc, "Plugin.Ask", Back{id, "Plugin.Say"}, &said); err != nil || said.Traceparent != "mine" {
		t.Fatalf("got %+v, %v", said, err)
	}
	testkit.Eventually(t, "it is over", func() bool { return len(s.all()) == 1 })
	if got := s.all()[0]; got != "netrpc  Plugin.Say the plugin's: ok" {
		t.Errorf("the Around was told %q", got)
	}
}

// TestCarriedIsNetRPC holds that the server of net/rpc, which peers of the original library
// serve callbacks with, takes a request that carries something, and one that is given up,
// as it takes any other.
func TestCarriedIsNetRPC(t *testing.T) {
	here, there := net.Pipe()
	impl := newWaitPlugin().server
	server := rpc.NewServer()
	if err := server.RegisterName("Plugin", &plainWait{impl}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { server.ServeConn(there); close(ended) }()
	client := plugin.NewCarryingClient(here, 0)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "traceparent", "x"), time.Hour)
	defer cancel()
	for range 3 {
		var twice int
		if err := plugin.CallContext(ctx, client, "Plugin.Twice", 21, &twice); err != nil || twice != 42 {
			t.Fatalf("got %d, %v", twice, err)
		}
		short, end := context.WithCancel(ctx)
		given := make(chan error, 1)
		go func() { given <- plugin.CallContext(short, client, "Plugin.Stay", 0, &twice) }()
		<-impl.running
		end()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		impl.ended <- nil
	}
	_ = client.Close()
	<-ended
}

// plainWait has methods of net/rpc alone.
type plainWait struct{ of *waitServer }

// Twice doubles.
func (p *plainWait) Twice(n int, twice *int) error { return p.of.Twice(n, twice) }

// Stay returns when the test says so.
func (p *plainWait) Stay(int, *int) error {
	p.of.running <- struct{}{}
	<-p.of.ended
	return nil
}

// TestCarriedMalformed holds that what carries too much, or is cut off, ends its stream, and
// that numbers which are used twice, and cancellations of nothing, disturb nobody.
func TestCarriedMalformed(t *testing.T) {
	type header struct {
		ServiceMethod string
		Seq           uint64
		Carried       []byte
		Cancel        bool
	}
	for name, c := range map[string]struct {
		header header
		ends   bool
	}{
		"nothing":            {header: header{}},
		"a later addition":   {header: header{Carried: []byte{0, 0, 9, 9}}},
		"cancels nothing":    {header: header{Seq: 7, Cancel: true}},
		"no number":          {header: header{Carried: []byte{0x80}}, ends: true},
		"no pairs":           {header: header{Carried: []byte{0}}, ends: true},
		"too many pairs":     {header: header{Carried: []byte{0, 65}}, ends: true},
		"pairs are missing":  {header: header{Carried: []byte{0, 1, 1, 'k'}}, ends: true},
		"a text is too long": {header: header{Carried: []byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}}, ends: true},
		"too many bytes":     {header: header{Carried: append(binary.AppendUvarint([]byte{0, 1, 1, 'k'}, 17<<10), make([]byte, 17<<10)...)}, ends: true},
		"a long addition":    {header: header{Carried: make([]byte, 17<<10)}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serveEcho(t, func(o *plugin.ServeConfig) { o.Plugins = plugin.PluginSet{"back": askPlugin{}} }).clientConfig()
			cfg.Plugins = plugin.PluginSet{"back": askPlugin{}}
			session, err := plugin.Attach(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			stub := dispenseAsk(t, session)
			id := stub.broker.NextId()
			go stub.broker.AcceptAndServe(id, plugin.ContextReceiver(newWaitPlugin().server))
			answers := make(chan error, 1)
			go func() { answers <- stub.rpc.Call("Plugin.Raw", RawBack{id, encoded(t, c.header)}, new(int)) }()
			if err := <-answers; (err != nil) != c.ends {
				t.Errorf("ends: %v, want %v", err, c.ends)
			}
		})
	}
}

func encoded(t *testing.T, header any) []byte {
	t.Helper()
	var b strings.Builder
	enc := gob.NewEncoder(&b)
	type last struct {
		ServiceMethod string
		Seq           uint64
	}
	for _, v := range []any{header, 0, last{"Plugin.Twice", 1}, 4} {
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return []byte(b.String())
}

// RawBack is bytes for whoever serves an id.
type RawBack struct {
	ID   uint32
	Sent []byte
}

// Raw sends them, and waits for the answer of the call with number 1.
func (s *askServer) Raw(_ context.Context, b RawBack, _ *int) error {
	conn, err := s.broker.Dial(b.ID)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(b.Sent); err != nil {
		return err
	}
	for dec := gob.NewDecoder(conn); ; {
		var answer rpc.Response
		if err := dec.Decode(&answer); err != nil {
			return err
		}
		if err := dec.DecodeValue(reflect.Value{}); err != nil {
			return err
		}
		if answer.Seq == 1 {
			return nil
		}
	}
}
