// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon"
)

// asker is a plugin that asks its caller back before it answers.
type asker interface {
	Ask(about string, answer func(string) string) (string, error)
}

type askerPlugin struct{ name string }

func (p *askerPlugin) Server(b *plugin.MuxBroker) (any, error) {
	return &askerServer{p.name, b}, nil
}

func (p *askerPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &askerClient{b, c}, nil
}

// Question is what travels to the plugin.
type Question struct {
	About string
	Back  uint32
}

type askerServer struct {
	name   string
	broker *plugin.MuxBroker
}

func (s *askerServer) Ask(q Question, answer *string) error {
	conn, err := s.broker.Dial(q.Back)
	if err != nil {
		return err
	}
	back := rpc.NewClient(conn)
	defer back.Close()
	var said string
	if err := back.Call("Plugin.Answer", q.About, &said); err != nil {
		return err
	}
	*answer = s.name + " heard " + said
	return nil
}

type askerClient struct {
	broker *plugin.MuxBroker
	rpc    *rpc.Client
}

// Answers is what the plugin calls back.
type Answers struct{ answer func(string) string }

func (a *Answers) Answer(about string, said *string) error {
	*said = a.answer(about)
	return nil
}

func (c *askerClient) Ask(about string, answer func(string) string) (string, error) {
	id := c.broker.NextId()
	go c.broker.AcceptAndServe(id, &Answers{answer})
	var said string
	err := c.rpc.Call("Plugin.Ask", Question{about, id}, &said)
	return said, err
}

// TestCallbacks holds that callbacks reach the caller from whichever endpoint has the
// call, also after one of them has gone.
func TestCallbacks(t *testing.T) {
	handshake := plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ASKER", MagicCookieValue: "asker"}
	o := daemon.DefaultOptions()
	o.Handshake = handshake
	o.Kinds = []daemon.Kind{daemon.NewKind[asker]("asker", &askerPlugin{})}
	stops := map[string]func(){}
	for _, name := range []string{"one", "two"} {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() {
			served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
				HandshakeConfig: handshake, Plugins: plugin.PluginSet{"asker": &askerPlugin{name}},
				Logger: hclog.NewNullLogger(), Network: &plugin.NetworkConfig{Name: name, DrainTimeout: time.Second},
			})
		}()
		stopped := false
		stops[name] = func() {
			if !stopped {
				stopped = true
				cancel()
				<-served
			}
		}
		t.Cleanup(stops[name])
		o.NetworkPlugins += ",asker=" + lis.Addr().String()
	}
	d, _ := start(t, o)
	a, err := daemon.Dispense[asker](t.Context(), d, "asker", "asker")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(about string) string {
		t.Helper()
		said, err := a.Ask(about, func(about string) string { return "no " + about })
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	heard := map[string]bool{}
	eventually(t, func() error {
		if heard[ask("news")] = true; len(heard) < 2 {
			return fmt.Errorf("only %v", heard)
		}
		return nil
	})
	if !heard["one heard no news"] || !heard["two heard no news"] {
		t.Errorf("got %v", heard)
	}
	stops["one"]()
	for range 20 {
		if said := ask("luck"); said != "two heard no luck" {
			t.Errorf("after one has gone: %q", said)
		}
	}
	if k := d.Kinds()[0].Methods[0]; k.NotCallable == "" {
		t.Errorf("JSON cannot carry a function, and %s is callable", k.Signature)
	}
}
