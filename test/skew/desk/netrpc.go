// SPDX-License-Identifier: MPL-2.0

package desk

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// Plugin carries a Desk over net/rpc.
type Plugin struct {
	// Impl is what a plugin serves. A host leaves it nil.
	Impl Desk
}

// Server implements plugin.Plugin.
func (p *Plugin) Server(b *plugin.MuxBroker) (any, error) { return &server{p.Impl, b}, nil }

// Client implements plugin.Plugin.
func (p *Plugin) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) { return &client{b, c}, nil }

// Back is a call with which the host accepts a brokered connection.
type Back struct {
	// Text and Count are the arguments.
	Text  string
	Count int
	// ID is the connection's.
	ID uint32
}

type client struct {
	broker *plugin.MuxBroker
	rpc    *rpc.Client
}

func (c *client) Greet(text string) (answer string, err error) {
	err = c.rpc.Call("Plugin.Greet", text, &answer)
	return answer, err
}

func (c *client) Refuse(reason string) error {
	return c.rpc.Call("Plugin.Refuse", reason, new(string))
}
func (c *client) Say(line string) error { return c.rpc.Call("Plugin.Say", line, new(string)) }

func (c *client) Count(n int, each func(int)) error {
	id := c.broker.NextId()
	read := make(chan error, 1)
	go func() { read <- c.readNumbers(id, each) }()
	err := c.rpc.Call("Plugin.Count", Back{Count: n, ID: id}, new(string))
	return errors.Join(err, <-read)
}

func (c *client) readNumbers(id uint32, each func(int)) error {
	conn, err := c.broker.Accept(id)
	if err != nil {
		return err
	}
	defer conn.Close()
	for dec := gob.NewDecoder(conn); ; {
		var number int
		err := dec.Decode(&number)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read numbers: %w", err)
		}
		each(number)
	}
}

func (c *client) Ask(about string, answer func(string) string) (said string, err error) {
	id := c.broker.NextId()
	go c.broker.AcceptAndServe(id, &Answers{answer})
	err = c.rpc.Call("Plugin.Ask", Back{Text: about, ID: id}, &said)
	return said, err
}

// Answers is what the plugin calls back.
type Answers struct{ answer func(string) string }

// Answer serves Plugin.Answer on the host.
func (a *Answers) Answer(about string, said *string) error {
	*said = a.answer(about)
	return nil
}

type server struct {
	impl   Desk
	broker *plugin.MuxBroker
}

// Greet serves Plugin.Greet.
func (s *server) Greet(text string, answer *string) (err error) {
	*answer, err = s.impl.Greet(text)
	return err
}

// Refuse serves Plugin.Refuse.
func (s *server) Refuse(reason string, _ *string) error { return s.impl.Refuse(reason) }

// Say serves Plugin.Say.
func (s *server) Say(line string, _ *string) error { return s.impl.Say(line) }

// Count serves Plugin.Count.
func (s *server) Count(b Back, _ *string) error {
	conn, err := s.broker.Dial(b.ID)
	if err != nil {
		return err
	}
	enc := gob.NewEncoder(conn)
	err = s.impl.Count(b.Count, func(n int) { _ = enc.Encode(n) }) // the host counts what has come
	return errors.Join(err, conn.Close())
}

// Ask serves Plugin.Ask.
func (s *server) Ask(b Back, answer *string) error {
	conn, err := s.broker.Dial(b.ID)
	if err != nil {
		return err
	}
	back := rpc.NewClient(conn)
	defer back.Close()
	var lost error
	*answer, err = s.impl.Ask(b.Text, func(about string) (said string) {
		lost = back.Call("Plugin.Answer", about, &said)
		return said
	})
	return errors.Join(err, lost)
}
