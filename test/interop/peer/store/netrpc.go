// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// NetRPC is the store over net/rpc.
type NetRPC struct {
	Impl Store
}

// Server returns what is served under the name "Plugin".
func (p *NetRPC) Server(b *plugin.MuxBroker) (interface{}, error) {
	return &rpcServer{impl: p.Impl, broker: b}, nil
}

// Client returns a Stub.
func (p *NetRPC) Client(b *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &rpcStub{client: c, broker: b}, nil
}

// Arguments of the net/rpc methods.
type (
	// Entry is a key with its value.
	Entry struct {
		Key   string
		Value []byte
	}
	// Brokered names a brokered connection and how much to do over it.
	Brokered struct {
		ID    uint32
		Count int64
	}
	// None is an empty answer.
	None struct{}
)

type rpcServer struct {
	impl   Store
	broker *plugin.MuxBroker
}

func (s *rpcServer) Put(e Entry, _ *None) error { return s.impl.Put(e.Key, e.Value) }

func (s *rpcServer) Get(key string, value *[]byte) error {
	got, err := s.impl.Get(key)
	*value = got
	return err
}

func (s *rpcServer) Act(a Action, out *Outcome) error {
	got, err := s.impl.Act(a)
	*out = got
	return err
}

// List streams entries over a brokered connection, which is what net/rpc has
// instead of streams.
func (s *rpcServer) List(b Brokered, _ *None) error {
	conn, err := s.broker.Dial(b.ID)
	if err != nil {
		return err
	}
	defer conn.Close()
	enc := gob.NewEncoder(conn)
	for i := range b.Count {
		if err := enc.Encode(listEntry(i)); err != nil {
			return err
		}
	}
	return nil
}

// Echo sends back every byte of a brokered connection.
func (s *rpcServer) Echo(b Brokered, _ *None) error {
	conn, err := s.broker.Dial(b.ID)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(conn, conn)
	return err
}

func (s *rpcServer) UseCallback(b Brokered, out *Outcome) error {
	client, err := dialClient(s.broker, b.ID)
	if err != nil {
		return err
	}
	defer client.Close()
	got, err := sumUp(&rpcAdder{client}, b.Count)
	*out = got
	return err
}

func (s *rpcServer) OpenCallback(_ None, id *uint32) error {
	*id = s.broker.NextId()
	go s.broker.AcceptAndServe(*id, &adderServer{NamedAdder("plugin")})
	return nil
}

// adderServer serves an Adder under the name "Plugin".
type adderServer struct {
	impl Adder
}

// Operands are the arguments of Add.
type Operands struct{ A, B int64 }

func (s *adderServer) Add(o Operands, sum *Sum) error {
	got, err := s.impl.Add(o.A, o.B)
	*sum = got
	return err
}

type rpcAdder struct {
	client *rpc.Client
}

func (a *rpcAdder) Add(x, y int64) (Sum, error) {
	var sum Sum
	err := callBack(a.client, "Plugin.Add", Operands{x, y}, &sum)
	return sum, err
}

type rpcStub struct {
	client *rpc.Client
	broker *plugin.MuxBroker
}

func (s *rpcStub) Context() context.Context { return context.Background() }

func (s *rpcStub) Put(key string, value []byte) error {
	return s.client.Call("Plugin.Put", Entry{key, value}, &None{})
}

func (s *rpcStub) Get(key string) ([]byte, error) {
	var value []byte
	err := s.client.Call("Plugin.Get", key, &value)
	return value, err
}

func (s *rpcStub) Act(a Action) (Outcome, error) {
	var out Outcome
	err := s.client.Call("Plugin.Act", a, &out)
	return out, err
}

func (s *rpcStub) List(count int64) (int64, error) {
	id := s.broker.NextId()
	call := s.client.Go("Plugin.List", Brokered{id, count}, &None{}, nil)
	conn, err := s.broker.Accept(id)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	dec := gob.NewDecoder(conn)
	for n := int64(0); ; n++ {
		var e Entry
		if err := dec.Decode(&e); err == io.EOF {
			<-call.Done
			return n, call.Error
		} else if err != nil {
			return n, err
		}
		if e.Key != listEntry(n).Key {
			return n, fmt.Errorf("entry %d has key %q", n, e.Key)
		}
	}
}

func (s *rpcStub) Echo(count int64) (int64, error) {
	id := s.broker.NextId()
	call := s.client.Go("Plugin.Echo", Brokered{id, count}, &None{}, nil)
	conn, err := s.broker.Accept(id)
	if err != nil {
		return 0, err
	}
	n, err := echoBytes(conn, count)
	_ = conn.Close()
	if err != nil {
		return n, err
	}
	<-call.Done
	return n, call.Error
}

// echoBytes writes count short messages and reads each back before the next.
func echoBytes(conn io.ReadWriter, count int64) (int64, error) {
	for n := range count {
		message := listEntry(n).Key
		if _, err := io.WriteString(conn, message); err != nil {
			return n, err
		}
		got := make([]byte, len(message))
		if _, err := io.ReadFull(conn, got); err != nil {
			return n, err
		}
		if string(got) != message {
			return n, fmt.Errorf("message %d came back as %q", n, got)
		}
	}
	return count, nil
}

func (s *rpcStub) UseCallback(adder Adder, count int64) (Outcome, error) {
	id := s.broker.NextId()
	go s.broker.AcceptAndServe(id, &adderServer{adder})
	var out Outcome
	err := s.client.Call("Plugin.UseCallback", Brokered{id, count}, &out)
	return out, err
}

func (s *rpcStub) OpenCallback() (Adder, func() error, error) {
	var id uint32
	if err := s.client.Call("Plugin.OpenCallback", None{}, &id); err != nil {
		return nil, nil, err
	}
	client, err := dialClient(s.broker, id)
	if err != nil {
		return nil, nil, err
	}
	return &rpcAdder{client}, client.Close, nil
}
