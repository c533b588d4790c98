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
	peer.Program{Subjects: []peer.Subject{{Name: "bare-grpc", Open: open}}, Serve: serve}.Main()
}

func open(s *peer.Servers) (peer.Target, error) {
	server, err := s.Start(nil)
	if err != nil {
		return nil, err
	}
	return peer.AttachFunc(func() (peer.Session, error) {
		conn, err := grpc.NewClient(server.Line, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		return peer.NewSession(greetpb.NewCaller(context.Background(), conn), conn.Close), nil
	}), nil
}

func serve([]string) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	greetpb.RegisterGreeterServer(server, &greetpb.Server{Impl: greet.Plain{}})
	fmt.Println(lis.Addr())
	return server.Serve(lis)
}
