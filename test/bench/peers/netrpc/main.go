// SPDX-License-Identifier: MPL-2.0

// Command netrpc measures Go's net/rpc alone, over TCP.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

func main() {
	peer.Program{
		Subjects: []peer.Subject{{Name: "bare-netrpc", Open: open(1)}, {Name: "bare-netrpc-100", Open: open(100)}},
		Serve:    serve,
	}.Main()
}

// open gives a subject that has a number of servers, in one process, and a connection to
// each.
func open(servers int) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		server, err := s.Start(nil, strconv.Itoa(servers))
		if err != nil {
			return nil, err
		}
		addresses := strings.Split(server.Line, ",")
		return peer.AttachFunc(func() (peer.Session, error) {
			if len(addresses) == 1 {
				client, err := rpc.Dial("tcp", addresses[0])
				if err != nil {
					return nil, err
				}
				return peer.NewSession(&greet.Caller{Client: client}, client.Close), nil
			}
			r := new(rotation)
			for _, a := range addresses {
				client, err := rpc.Dial("tcp", a)
				if err != nil {
					return nil, errors.Join(err, r.Close())
				}
				r.clients = append(r.clients, client)
			}
			return r, nil
		}), nil
	}
}

// rotation takes one client after the other: what a host would do that does no more than
// it must.
type rotation struct {
	clients []*rpc.Client
	next    atomic.Uint64
}

// Greet implements greet.Greeter.
func (r *rotation) Greet(name string) (string, error) {
	c := r.clients[r.next.Add(1)%uint64(len(r.clients))]
	return (&greet.Caller{Client: c}).Greet(name)
}

func (r *rotation) Close() error {
	var err error
	for _, c := range r.clients {
		err = errors.Join(err, c.Close())
	}
	return err
}

// serve serves at COUNT listeners.
func serve(args []string) error {
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	addresses := make([]string, 0, count)
	var all sync.WaitGroup
	for range count {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := rpc.NewServer()
		if err := server.RegisterName("Plugin", &greet.Receiver{Impl: new(greet.Plain)}); err != nil {
			return err
		}
		addresses = append(addresses, lis.Addr().String())
		all.Go(func() { server.Accept(lis) })
	}
	fmt.Println(strings.Join(addresses, ","))
	all.Wait()
	return nil
}
