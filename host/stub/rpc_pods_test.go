// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"errors"
	"fmt"
	"net/rpc"
	"time"

	"github.com/hashicorp/go-plugin"
)

// shopRPC is the net/rpc side of the tests' plugin.
type shopRPC struct{ ledger *ledger }

func (p *shopRPC) Server(b *plugin.MuxBroker) (any, error) { return &shopServer{p.ledger, b}, nil }

func (p *shopRPC) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &shopClient{c, b}, nil
}

type shopServer struct {
	ledger *ledger
	broker *plugin.MuxBroker
}

// Get and Add say that an id was run.
func (s *shopServer) Get(id string, reply *string) error {
	*reply = id
	return nil
}

func (s *shopServer) Add(id string, reply *string) error {
	s.ledger.add(id)
	time.Sleep(time.Millisecond) // in which the pod can die
	*reply = id
	return nil
}

var errSoldOut = errors.New("sold out")

func (s *shopServer) Fail(string, *string) error { return errSoldOut }

// Callback is exported because net/rpc wants it so.
type Callback struct {
	Broker uint32
	Text   string
}

// Via asks the host back for the text.
func (s *shopServer) Via(c Callback, reply *string) error {
	conn, err := s.broker.Dial(c.Broker)
	if err != nil {
		return err
	}
	client := rpc.NewClient(conn)
	defer client.Close()
	return client.Call("Plugin.Say", c.Text, reply)
}

// Open accepts an id and tells it.
func (s *shopServer) Open(text string, id *uint32) error {
	*id = s.broker.NextId()
	go s.broker.AcceptAndServe(*id, &sayer{text})
	return nil
}

type sayer struct{ prefix string }

// Say is what is called back.
func (s *sayer) Say(text string, reply *string) error {
	*reply = s.prefix + text
	return nil
}

type shopClient struct {
	rpc    *rpc.Client
	broker *plugin.MuxBroker
}

func (c *shopClient) call(method, arg string) (reply string, err error) {
	err = c.rpc.Call("Plugin."+method, arg, &reply)
	return reply, err
}

// Via gives the plugin something to call back.
func (c *shopClient) Via(prefix, text string) (reply string, err error) {
	id := c.broker.NextId()
	go c.broker.AcceptAndServe(id, &sayer{prefix})
	err = c.rpc.Call("Plugin.Via", Callback{id, text}, &reply)
	return reply, err
}

// Open dials what the plugin has accepted.
func (c *shopClient) Open(prefix, text string) (reply string, err error) {
	var id uint32
	if err := c.rpc.Call("Plugin.Open", prefix, &id); err != nil {
		return "", err
	}
	conn, err := c.broker.Dial(id)
	if err != nil {
		return "", fmt.Errorf("dial back: %w", err)
	}
	client := rpc.NewClient(conn)
	defer client.Close()
	err = client.Call("Plugin.Say", text, &reply)
	return reply, err
}
