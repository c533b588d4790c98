// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin"
)

// Finder is an interface whose calls may take long.
type Finder interface {
	Find(ctx context.Context, what string) (where string, err error)
}

// finderPlugin carries a Finder over net/rpc, with its contexts.
type finderPlugin struct{ impl Finder }

func (p *finderPlugin) Server(*plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(&finderServer{p.impl}), nil
}

func (p *finderPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &finderClient{c}, nil
}

type finderServer struct{ impl Finder }

// Find serves Plugin.Find.
func (s *finderServer) Find(ctx context.Context, what string, where *string) (err error) {
	*where, err = s.impl.Find(ctx, what)
	return err
}

type finderClient struct{ rpc *rpc.Client }

func (c *finderClient) Find(ctx context.Context, what string) (where string, err error) {
	err = plugin.CallContext(ctx, c.rpc, "Plugin.Find", what, &where)
	return where, err
}

// searcher is a plugin's implementation. It finds nothing but what its caller has lost.
type searcher struct{ began, ended chan struct{} }

func (s searcher) Find(ctx context.Context, what string) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if lost := md.Get("lost"); len(lost) > 0 && lost[0] == what {
		return "here", nil
	}
	close(s.began)
	<-ctx.Done() // the caller has given up, or has gone
	close(s.ended)
	return "", ctx.Err()
}

// A method that takes a context learns of its caller's deadline, metadata and end.
func ExampleCallContext() {
	impl := searcher{make(chan struct{}), make(chan struct{})}
	addr, end := serve(plugin.PluginSet{"finder": &finderPlugin{impl}})
	session, err := plugin.Attach(context.Background(), &plugin.ClientConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"finder": &finderPlugin{}},
		Reattach:        &plugin.ReattachConfig{Addr: addr},
		Logger:          hclog.NewNullLogger(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	raw, err := session.Dispense("finder")
	if err != nil {
		fmt.Println(err)
		return
	}
	finder := raw.(Finder)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "lost", "a key")
	fmt.Println(finder.Find(ctx, "a key"))

	ctx, giveUp := context.WithCancel(ctx)
	go func() {
		<-impl.began
		giveUp()
	}()
	_, err = finder.Find(ctx, "the truth")
	fmt.Println(errors.Is(err, context.Canceled))
	<-impl.ended
	fmt.Println(session.Close(), end())
	// Output:
	// here <nil>
	// true
	// <nil> <nil>
}
