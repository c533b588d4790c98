// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"io"
	"net/rpc"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"
)

// echoer is the interface of the tests' net/rpc plugin.
type echoer interface {
	Echo(text string) (string, error)
	// Hold returns when the implementation's gate is opened.
	Hold() (string, error)
	// Via calls back: the plugin reads text from a brokered stream.
	Via(text string) (string, error)
	Fail() error
}

// echoImpl is shared by every session of a plugin under test.
type echoImpl struct {
	version int
	held    chan struct{} // one token for each call in Hold
	gate    chan struct{} // closed: Hold returns
	calls   atomic.Int64
}

func newEchoImpl() *echoImpl {
	return &echoImpl{held: make(chan struct{}, 1000), gate: make(chan struct{})}
}

type echoPlugin struct{ impl *echoImpl }

func (p *echoPlugin) Server(b *plugin.MuxBroker) (interface{}, error) {
	return &echoServer{impl: p.impl, broker: b}, nil
}

func (p *echoPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &echoClient{client: c, broker: b}, nil
}

type echoServer struct {
	impl   *echoImpl
	broker *plugin.MuxBroker
}

var errEcho = errors.New("the plugin says no")

func (s *echoServer) Echo(text string, reply *string) error {
	s.impl.calls.Add(1)
	*reply = text
	return nil
}

func (s *echoServer) Version(_ struct{}, reply *int) error {
	*reply = s.impl.version
	return nil
}

func (s *echoServer) Hold(_ struct{}, reply *string) error {
	s.impl.held <- struct{}{}
	<-s.impl.gate
	*reply = "held"
	return nil
}

func (s *echoServer) Via(id uint32, reply *string) error {
	conn, err := s.broker.Dial(id)
	if err != nil {
		return err
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	*reply = string(text)
	return err
}

func (s *echoServer) Fail(struct{}, *struct{}) error { return errEcho }

type echoClient struct {
	client *rpc.Client
	broker *plugin.MuxBroker
}

func (c *echoClient) Echo(text string) (reply string, err error) {
	return reply, c.call("Echo", text, &reply, &err)
}

func (c *echoClient) Hold() (reply string, err error) {
	return reply, c.call("Hold", struct{}{}, &reply, &err)
}

func (c *echoClient) Fail() (err error) { return c.call("Fail", struct{}{}, &struct{}{}, &err) }

// call exists so that the stubs above can be one line each.
func (c *echoClient) call(method string, args, reply any, err *error) error {
	*err = c.client.Call("Plugin."+method, args, reply)
	return *err
}

func (c *echoClient) Via(text string) (string, error) {
	id := c.broker.NextId()
	go func() {
		conn, err := c.broker.Accept(id)
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}()
	var reply string
	err := c.client.Call("Plugin.Via", id, &reply)
	return reply, err
}
