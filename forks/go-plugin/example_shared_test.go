// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"fmt"
	"net/rpc"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// townCrier is a plugin that lets its host shout: each of its calls calls back.
type townCrier struct {
	town   string
	broker *plugin.MuxBroker
}

func (p *townCrier) Server(b *plugin.MuxBroker) (any, error) { return &townCrier{p.town, b}, nil }

func (p *townCrier) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

// Cry shouts with what the host serves on the broker under id.
func (p *townCrier) Cry(id uint32, answer *string) error {
	conn, err := p.broker.Dial(id)
	if err != nil {
		return err
	}
	client := rpc.NewClient(conn)
	defer client.Close()
	return client.Call("Plugin.Shout", "hear ye, "+p.town, answer)
}

// Two instances of a plugin share one broker. What the host accepts on it is dialled by
// the instance that happens to get the call.
func ExampleSharedBroker() {
	shared := plugin.NewSharedBroker(5*time.Second, nil)
	defer shared.Close()
	broker := shared.MuxBroker(func() *plugin.MuxBroker { return nil }) // This host dials none.
	for _, town := range []string{"Aachen", "Bonn"} {
		addr, end := serve(plugin.PluginSet{"crier": &townCrier{town: town}})
		defer func() { _ = end() }()
		session, err := plugin.Attach(context.Background(), &plugin.ClientConfig{
			HandshakeConfig: handshake,
			Plugins:         plugin.PluginSet{"crier": &townCrier{}},
			Reattach:        &plugin.ReattachConfig{Addr: addr},
			Logger:          hclog.NewNullLogger(),
			Broker:          shared,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer session.Close()
		stub, err := session.Dispense("crier")
		if err != nil {
			fmt.Println(err)
			return
		}
		id := broker.NextId()
		go broker.AcceptAndServe(id, &shouterServer{loud{}})
		var answer string
		err = stub.(*rpc.Client).Call("Plugin.Cry", id, &answer)
		fmt.Println(answer, err)
	}
	// Output:
	// HEAR YE, AACHEN! <nil>
	// HEAR YE, BONN! <nil>
}
