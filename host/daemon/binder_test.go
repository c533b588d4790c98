// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/rpc"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/metadata"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// knocker has no contexts. Its plugin's methods have.
type knocker interface {
	Knock(door string) (string, error)
}

type knockerPlugin struct{ server *knockerServer }

func (p *knockerPlugin) Server(*plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(p.server), nil
}

func (*knockerPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &knockerStub{c, context.Background()}, nil
}

type knockerStub struct {
	client *rpc.Client
	ctx    context.Context
}

func (s *knockerStub) Knock(door string) (answer string, err error) {
	err = plugin.CallContext(s.ctx, s.client, "Plugin.Knock", door, &answer)
	return answer, err
}

func (s *knockerStub) WithContext(ctx context.Context) any { return &knockerStub{s.client, ctx} }

type knockerServer struct{ waiting, ended chan struct{} }

// Knock answers who knocks, or waits at a door that nobody opens.
func (s *knockerServer) Knock(ctx context.Context, door string, answer *string) error {
	if door == "closed" {
		close(s.waiting)
		<-ctx.Done()
		close(s.ended)
		return ctx.Err()
	}
	if md, _ := metadata.FromIncomingContext(ctx); len(md["who"]) > 0 {
		*answer = md["who"][0]
	}
	return nil
}

// A call by JSON carries its context although the interface has none.
func TestCallBindsContext(t *testing.T) {
	server := &knockerServer{make(chan struct{}), make(chan struct{})}
	set := plugin.PluginSet{"knock": &knockerPlugin{server}}
	address, _ := serve(t, greeter{}, map[int]plugin.PluginSet{1: set})
	o := options("p=" + address)
	o.Versions = nil
	o.Kinds = []daemon.Kind{daemon.NewKind[knocker]("knock", &knockerPlugin{})}
	d, _ := start(t, o)
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "who", "Ada"))
	defer cancel()
	answer, err := d.Call(ctx, "p", "knock", "Knock", json.RawMessage(`["front"]`))
	if err != nil || string(answer) != `"Ada"` {
		t.Errorf("got %s, %v", answer, err)
	}
	called := make(chan error, 1)
	go func() {
		_, err := d.Call(ctx, "p", "knock", "Knock", json.RawMessage(`["closed"]`))
		called <- err
	}()
	<-server.waiting
	cancel()
	err = <-called
	if f, ok := stub.Cause(err); !ok || f.Reason != stub.ReasonCaller || !f.MayHaveRun || !errors.Is(err, context.Canceled) {
		t.Errorf("the call that was given up ended with %v", err)
	}
	<-server.ended
}

// valuesStub is a knocker whose calls carry no more than the values of a context.
type valuesStub struct{ knockerStub }

func (s *valuesStub) WithContext() {} // hides that of the knockerStub

func (s *valuesStub) WithValues(ctx context.Context) any {
	return &valuesStub{knockerStub{s.client, ctx}}
}

type valuesPlugin struct{ knockerPlugin }

func (*valuesPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &valuesStub{knockerStub{c, context.Background()}}, nil
}

// A call by JSON may carry the values of its context, and not its end.
func TestCallBindsValues(t *testing.T) {
	server := &knockerServer{make(chan struct{}), make(chan struct{})}
	p := &valuesPlugin{knockerPlugin{server}}
	address, _ := serve(t, greeter{}, map[int]plugin.PluginSet{1: {"knock": p}})
	o := options("p=" + address)
	o.Versions = nil
	o.Kinds = []daemon.Kind{daemon.NewKind[knocker]("knock", p)}
	o.DrainTimeout = time.Millisecond // the method that waits ends with its session
	d, stop := start(t, o)
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "who", "Ada"))
	answer, err := d.Call(ctx, "p", "knock", "Knock", json.RawMessage(`["front"]`))
	if err != nil || string(answer) != `"Ada"` {
		t.Errorf("got %s, %v", answer, err)
	}
	returned := make(chan struct{})
	called := make(chan error, 1)
	go func() {
		_, err := d.Call(ctx, "p", "knock", "Knock", json.RawMessage(`["closed"]`), daemon.WhenReturned(func() { close(returned) }))
		called <- err
	}()
	<-server.waiting
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	select {
	case <-returned:
		t.Error("the method has returned with its caller")
	default:
	}
	stop()
	<-returned
}
