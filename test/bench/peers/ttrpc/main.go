// SPDX-License-Identifier: MPL-2.0

// Command ttrpc measures containerd's ttrpc, over the unix socket that it is made for.
package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/containerd/ttrpc"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/peers/ttrpc/greetttrpc"
)

func main() {
	peer.Program{Subjects: []peer.Subject{{Name: "ttrpc", Open: open}}, Serve: serve}.Main()
}

func open(s *peer.Servers) (peer.Target, error) {
	server, err := s.Start(nil, filepath.Join(s.Dir(), "ttrpc"))
	if err != nil {
		return nil, err
	}
	return peer.AttachFunc(func() (peer.Session, error) {
		conn, err := net.Dial("unix", server.Line)
		if err != nil {
			return nil, err
		}
		client := ttrpc.NewClient(conn)
		return peer.NewSession(&caller{greetttrpc.NewGreeterClient(client)}, client.Close), nil
	}), nil
}

// caller is a greet.Greeter that calls by ttrpc.
type caller struct{ client greetttrpc.GreeterService }

func (c *caller) Greet(name string) (string, error) {
	answer, err := c.client.Greet(context.Background(), &greetttrpc.GreetRequest{Name: name})
	return answer.GetGreeting(), err
}

func serve(args []string) error {
	lis, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	greetttrpc.RegisterGreeterService(server, service{})
	fmt.Println(lis.Addr())
	return server.Serve(context.Background(), lis)
}

type service struct{}

func (service) Greet(_ context.Context, r *greetttrpc.GreetRequest) (*greetttrpc.GreetResponse, error) {
	return &greetttrpc.GreetResponse{Greeting: greet.Answer(r.GetName())}, nil
}
