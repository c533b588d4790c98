// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"encoding/gob"
	"errors"
	"net/rpc"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"
)

// Box is what the methods of gobPlugin take and return.
type Box struct{ A, B any }

// OnlyOfPlugin is registered with gob in the plugin's process only.
type OnlyOfPlugin struct{ Text string }

// OnlyOfHost is registered with gob in the host's process only.
type OnlyOfHost struct{ Text string }

type gobPlugin struct{ ran atomic.Int64 }

func (p *gobPlugin) Server(*plugin.MuxBroker) (any, error) { return &gobServer{p}, nil }

func (*gobPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

type gobServer struct{ *gobPlugin }

// Return returns what the host has not registered.
func (*gobServer) Return(_ string, reply *Box) error {
	*reply = Box{OnlyOfPlugin{"secret"}, nil}
	return nil
}

// Take takes a Box.
func (s *gobServer) Take(Box, *string) error {
	s.ran.Add(1)
	return nil
}

// Hold answers when Take was called as often as the caller says.
func (s *gobServer) Hold(n int64, _ *string) error {
	for s.ran.Load() < n {
		runtime.Gosched()
	}
	return nil
}

// A child whose answer the host cannot decode, because it has not registered what
// is in it, costs the host one stub: net/rpc's client gives up. The caller gets
// the reason, and a call beside it an error that says that it may have run. A
// channel, and other stubs, go on.
func TestAnswerThatHostHasNotRegistered(t *testing.T) {
	cfg := childConfig("gob")
	cfg.Plugins = plugin.PluginSet{"gob": &gobPlugin{}}
	protocol := reattachAsEver(t, cfg)
	dispense := func() *rpc.Client {
		raw, err := protocol.Dispense("gob")
		if err != nil {
			t.Fatal(err)
		}
		return raw.(*rpc.Client)
	}
	stub, other := dispense(), dispense()
	onOther := other.Go("Plugin.Hold", int64(1), new(string), make(chan *rpc.Call, 1))
	beside := stub.Go("Plugin.Hold", int64(1), new(string), make(chan *rpc.Call, 1))
	err := stub.Call("Plugin.Return", "of the plugin only", &Box{})
	if err == nil || !strings.Contains(err.Error(), "OnlyOfPlugin") {
		t.Errorf("error %v, want the name of the type", err)
	}
	if <-beside.Done; !errors.Is(beside.Error, plugin.ErrConnectionLost) || !strings.Contains(beside.Error.Error(), "OnlyOfPlugin") {
		t.Errorf("the call beside it: %v, want that its answer is lost, and why", beside.Error)
	}
	if err := other.Call("Plugin.Take", Box{}, new(string)); err != nil {
		t.Errorf("another stub: %v", err)
	}
	if <-onOther.Done; onOther.Error != nil {
		t.Errorf("a call on another stub: %v", onOther.Error)
	}
	if err := dispense().Call("Plugin.Take", Box{}, new(string)); err != nil {
		t.Errorf("a new stub: %v", err)
	}

	channel, err := protocol.(*plugin.RPCClient).OpenRPC("gob")
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	var header rpc.Response
	if _, err := channel.Send(plugin.RPCRequest{Method: "Plugin.Return", Number: 1}, "of the plugin only"); err != nil {
		t.Fatal(err)
	}
	if err := channel.ReadHeader(&header); err != nil || header.Error != "" {
		t.Fatalf("%v, %q", err, header.Error)
	}
	if err := channel.ReadReply(reflect.ValueOf(&Box{})); err == nil || errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("on a channel: %v, want the decoder's error", err)
	}
	if err := channel.ReadHeader(&header); !errors.Is(err, plugin.ErrConnectionLost) || !strings.Contains(err.Error(), "OnlyOfPlugin") {
		t.Errorf("after it: %v, want the end of the channel, and why", err)
	}
	if err := protocol.Ping(); err != nil {
		t.Errorf("the session: %v", err)
	}
}

// Arguments that the plugin has not registered are the error of their call. The
// calls under way are answered, by a server of any age.
func TestArgumentsThatPluginHasNotRegistered(t *testing.T) {
	gob.Register(OnlyOfHost{})
	cfg := childConfig("gob")
	cfg.Plugins = plugin.PluginSet{"gob": &gobPlugin{}}
	client := plugin.NewClient(cfg)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := protocol.Dispense("gob")
	if err != nil {
		t.Fatal(err)
	}
	other, err := protocol.Dispense("gob")
	if err != nil {
		t.Fatal(err)
	}
	beside := raw.(*rpc.Client).Go("Plugin.Hold", int64(1), new(string), make(chan *rpc.Call, 1))
	var answered rpc.ServerError
	if err := raw.(*rpc.Client).Call("Plugin.Take", Box{A: OnlyOfHost{}}, new(string)); !errors.As(err, &answered) || !strings.Contains(err.Error(), "OnlyOfHost") {
		t.Errorf("error %v, want the plugin's, with the type's name", err)
	}
	if err := other.(*rpc.Client).Call("Plugin.Take", Box{}, new(string)); err != nil {
		t.Errorf("another stub: %v", err)
	}
	if <-beside.Done; beside.Error != nil {
		t.Errorf("the call beside it: %v", beside.Error)
	}
}
