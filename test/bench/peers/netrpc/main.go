// SPDX-License-Identifier: MPL-2.0

// Command netrpc measures Go's net/rpc alone, over TCP.
package main

import (
	"fmt"
	"net"
	"net/rpc"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

func main() {
	peer.Program{Subjects: []peer.Subject{{Name: "bare-netrpc", Open: open}}, Serve: serve}.Main()
}

func open(s *peer.Servers) (peer.Target, error) {
	server, err := s.Start(nil)
	if err != nil {
		return nil, err
	}
	return peer.AttachFunc(func() (peer.Session, error) {
		client, err := rpc.Dial("tcp", server.Line)
		if err != nil {
			return nil, err
		}
		return peer.NewSession(&greet.Caller{Client: client}, client.Close), nil
	}), nil
}

func serve([]string) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Plugin", &greet.Receiver{Impl: greet.Plain{}}); err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	server.Accept(lis)
	return nil
}
