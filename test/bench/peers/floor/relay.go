// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"

	"github.com/reattach/reattach/test/bench/internal/peer"
)

// relayed has what a third process on the way costs that only copies bytes: TCP before it, and
// a unix socket behind it, as for basic expose.
func relayed(s *peer.Servers) (peer.Target, error) {
	server, err := s.Start(nil, "unix", filepath.Join(s.Dir(), "echo"))
	if err != nil {
		return nil, err
	}
	between, err := s.Start(nil, "relay", server.Line)
	if err != nil {
		return nil, err
	}
	return pinging("tcp", between.Line), nil
}

// relay copies what comes to a unix socket, and back.
func relay(to string) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	for {
		here, err := lis.Accept()
		if err != nil {
			return err
		}
		there, err := net.Dial("unix", to)
		if err != nil {
			return err
		}
		for _, way := range [][2]net.Conn{{here, there}, {there, here}} {
			go func() {
				// A buffer of one's own: io.Copy would have the kernel splice, by a pipe.
				_, _ = io.CopyBuffer(struct{ io.Writer }{way[0]}, struct{ io.Reader }{way[1]}, make([]byte, 32<<10))
				_ = way[0].Close()
			}()
		}
	}
}
