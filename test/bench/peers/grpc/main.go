// SPDX-License-Identifier: MPL-2.0

// Command grpc measures grpc-go alone, over TCP.
package main

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/greet/greetpb"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

func main() {
	peer.Program{Subjects: []peer.Subject{
		{Name: "bare-grpc", Open: open, Remote: remote},
		{Name: "proxy-grpc", Open: proxied},
		{Name: "far-bare-grpc", Open: far},
	}, Serve: serve}.Main()
}

func open(s *peer.Servers) (peer.Target, error) {
	r, err := remote(s)
	if err != nil {
		return nil, err
	}
	return peer.AttachFunc(func() (peer.Session, error) { return r.Attach(r.Address) }), nil
}

func remote(s *peer.Servers) (peer.Remote, error) {
	server, err := s.Start(nil)
	if err != nil {
		return peer.Remote{}, err
	}
	return peer.Remote{Address: server.Line, Attach: attach}, nil
}

func attach(address string) (peer.Session, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(greetpb.MaxMessage)))
	if err != nil {
		return nil, err
	}
	return peer.NewSession(greetpb.NewCaller(context.Background(), conn), conn.Close), nil
}

func serve(args []string) error {
	if len(args) == 2 && args[0] == "proxy" {
		return proxy(args[1])
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if len(args) == 2 {
		lis, err = net.Listen(args[0], args[1])
	}
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(greetpb.MaxMessage))
	greetpb.RegisterGreeterServer(server, &greetpb.Server{Impl: new(greet.Plain)})
	fmt.Println(lis.Addr())
	return server.Serve(lis)
}
