// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"bytes"
	"encoding/gob"
	"errors"
	"net"
	"net/rpc"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Box is what the methods of gobPlugin take and return.
type Box struct{ A, B any }

// Described is described to the other side within the first Box that holds one.
type Described struct{ Text string }

// unregistered is what gob cannot put into an interface.
type unregistered struct{ Text string }

// Stubborn cannot be encoded, and says so in the worst way.
type Stubborn struct{ N int }

// GobEncode implements gob.GobEncoder.
func (Stubborn) GobEncode() ([]byte, error) { panic("not today") }

// GobDecode implements gob.GobDecoder.
func (*Stubborn) GobDecode([]byte) error { return nil }

type gobPlugin struct{ ran atomic.Int64 }

type gobServer struct{ *gobPlugin }

// Return returns what the caller names.
func (s *gobServer) Return(what string, reply *Box) error {
	switch what {
	case "half described":
		*reply = Box{Described{"first"}, unregistered{}}
	case "described":
		*reply = Box{Described{"second"}, nil}
	case "panic":
		*reply = Box{Described{"first"}, Stubborn{1}}
	}
	return nil
}

// Odd returns what cannot be encoded at all.
func (*gobServer) Odd(string, *struct{ F func() }) error { return nil }

// Nils returns a list with a nil pointer.
func (*gobServer) Nils(_ string, reply *[]*Described) error {
	*reply = make([]*Described, 2)
	return nil
}

// Take takes a Box.
func (s *gobServer) Take(in Box, reply *string) error {
	s.ran.Add(1)
	*reply = "taken"
	if d, ok := in.A.(Described); ok {
		*reply = d.Text
	}
	return nil
}

// Hold answers when it has been taken as often as the caller says.
func (s *gobServer) Hold(n int64, _ *string) error {
	for s.ran.Load() < n {
		runtime.Gosched()
	}
	return nil
}

// gobClients are ways to call a net/rpc server on a connection.
func gobClients() map[string]func(net.Conn) *rpc.Client {
	return map[string]func(net.Conn) *rpc.Client{
		"ours":    func(c net.Conn) *rpc.Client { return NewClient(newStream(c, nil, 0, true)) },
		"channel": func(c net.Conn) *rpc.Client { return NewClient(NewChannel(c)) },
		"std":     func(c net.Conn) *rpc.Client { return rpc.NewClient(c) },
	}
}

// gobServers are ways to serve.
func gobServers() map[string]func(net.Conn, *gobPlugin) {
	return map[string]func(net.Conn, *gobPlugin){
		"ours": func(c net.Conn, p *gobPlugin) { Serving{}.serve(c, &gobServer{p}) },
		"std": func(c net.Conn, p *gobPlugin) {
			server := rpc.NewServer()
			_ = server.RegisterName("Plugin", &gobServer{p})
			server.ServeConn(c)
		},
	}
}

func gobPair(t *testing.T, client func(net.Conn) *rpc.Client, serve func(net.Conn, *gobPlugin)) (*rpc.Client, *gobPlugin) {
	t.Helper()
	gob.Register(Described{})
	gob.Register(Stubborn{})
	here, there := net.Pipe()
	p := &gobPlugin{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		serve(there, p)
	}()
	c := client(here)
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return c, p
}

// An answer that cannot be encoded is the error of its call. The calls beside it
// and after it go on, whoever has called: also those whose types were described
// within the answer.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	for name, newClient := range gobClients() {
		t.Run("client "+name, func(t *testing.T) {
			client, p := gobPair(t, newClient, gobServers()["ours"])
			beside := client.Go("Plugin.Hold", int64(1), new(string), make(chan *rpc.Call, 1))
			for range 3 {
				for _, bad := range []struct {
					method, arg string
					reply       any
					says        string
				}{
					{"Plugin.Return", "half described", new(Box), "not registered for interface"},
					{"Plugin.Return", "panic", new(Box), "not today"},
					{"Plugin.Odd", "", &struct{ F func() }{}, "no exported fields"},
					{"Plugin.Nils", "", new([]*Described), "nil"},
				} {
					err := client.Call(bad.method, bad.arg, bad.reply)
					var answered rpc.ServerError
					if !errors.As(err, &answered) || !strings.Contains(err.Error(), bad.says) || !strings.Contains(err.Error(), "cannot be encoded") {
						t.Errorf("%s %s: error %v, want the reason", bad.method, bad.arg, err)
					}
					var box Box
					if err := client.Call("Plugin.Return", "described", &box); err != nil || box.A != (Described{"second"}) {
						t.Fatalf("after %s %s: %v, %v", bad.method, bad.arg, box, err)
					}
				}
			}
			p.ran.Add(1)
			if <-beside.Done; beside.Error != nil {
				t.Errorf("the call beside them: %v", beside.Error)
			}
		})
	}
}

// Arguments that cannot be encoded are not sent, not even as none, and the client
// goes on with any server.
func TestArgumentsThatCannotBeEncoded(t *testing.T) {
	for _, name := range []string{"ours", "channel"} {
		for to, serve := range gobServers() {
			t.Run(name+" to "+to, func(t *testing.T) {
				client, p := gobPair(t, gobClients()[name], serve)
				beside := client.Go("Plugin.Hold", int64(15), new(string), make(chan *rpc.Call, 1))
				for range 3 {
					for what, args := range map[string]any{
						"half described": Box{Described{"first"}, unregistered{}},
						"panic":          Box{Described{"first"}, Stubborn{1}},
						"function":       struct{ F func() }{},
						"nil pointer":    (*Box)(nil),
						"nil":            nil,
					} {
						ran := p.ran.Load()
						var answered rpc.ServerError
						if err := client.Call("Plugin.Take", args, new(string)); err == nil || errors.As(err, &answered) {
							t.Errorf("%s: error %v, want the encoder's", what, err)
						}
						var reply string
						if err := client.Call("Plugin.Take", Box{Described{"second"}, nil}, &reply); err != nil || reply != "second" {
							t.Fatalf("after %s: %q, %v", what, reply, err)
						}
						if p.ran.Load() != ran+1 {
							t.Errorf("%s: the method has run", what)
						}
					}
				}
				if <-beside.Done; beside.Error != nil {
					t.Errorf("the call beside them: %v", beside.Error)
				}
			})
		}
	}
}

// What is sent is what net/rpc's own codecs send, byte for byte.
func TestEncoderBytes(t *testing.T) {
	gob.Register(Described{})
	var want bytes.Buffer
	std := gob.NewEncoder(&want)
	ours := newPairEncoder(&rpc.Response{}, 0)
	for n, body := range []any{"text", &Box{Described{"a"}, 7}, struct{}{}, &Box{B: Described{"b"}}, &rpc.Response{Error: "mine"}} {
		header := &rpc.Response{ServiceMethod: "Plugin.Return", Seq: uint64(n)}
		if err := errors.Join(std.Encode(header), std.Encode(body), ours.add(header, body)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(want.Bytes(), ours.out) {
		t.Errorf("sent\n%q\nwant\n%q", ours.out, want.Bytes())
	}
}

// chain is made of itself, and of an interface after that.
type chain struct {
	Next *chain
	V    any
}

// tree is made of itself, and of no interface.
type tree struct{ Left, Right *tree }

func TestNestedTypes(t *testing.T) {
	n := make(mux.NestedTypes)
	for _, test := range []struct {
		value any
		want  bool
	}{
		{nil, false}, {7, false}, {"text", false}, {[]byte{}, false}, {tree{}, false}, {&tree{}, false}, {map[string][]tree{}, false},
		{chain{}, true}, {&chain{}, true}, {new(any), true}, {map[string]any{}, true}, {map[any]string{}, true}, {[2]error{}, true},
		{struct{ hidden any }{}, false}, {Stubborn{}, false}, {struct{ A Box }{}, true},
	} {
		if got := n.Has(reflect.TypeOf(test.value)); got != test.want {
			t.Errorf("%T: %v, want %v", test.value, got, test.want)
		}
	}
}

// Fickle can be encoded once and then not again.
type Fickle struct{ encoded *int }

// GobEncode implements gob.GobEncoder.
func (f Fickle) GobEncode() ([]byte, error) {
	if *f.encoded++; *f.encoded > 1 {
		return nil, errors.New("not again")
	}
	return []byte{1}, nil
}

// GobDecode implements gob.GobDecoder.
func (*Fickle) GobDecode([]byte) error { return nil }

// TestChannelOutOfStepEnds: of a channel that can send nothing more, the one who reads
// learns that it has ended, and opens another one.
func TestChannelOutOfStepEnds(t *testing.T) {
	gob.Register(Fickle{})
	here, there := net.Pipe()
	defer there.Close()
	c := NewChannel(here)
	_, err := c.Send(mux.Request{Method: "Plugin.Take", Number: 1}, Box{Fickle{new(int)}, nil})
	if unfit := (*mux.EncodeError)(nil); !errors.As(err, &unfit) {
		t.Fatalf("Send: %v", err)
	}
	if err := c.ReadHeader(&rpc.Response{}); !errors.Is(err, peererr.ErrConnectionLost) {
		t.Errorf("ReadHeader: %v, want that the connection is lost", err)
	}
	if _, err := c.Send(mux.Request{Method: "Plugin.Take", Number: 2}, Box{}); !errors.Is(err, peererr.ErrConnectionLost) {
		t.Errorf("the next Send: %v, want that the connection is lost", err)
	}
}
