// SPDX-License-Identifier: MPL-2.0

// Command plugin-network is plugin-demo built with the demo's own fork of go-plugin,
// which listened on TCP and changed nothing else: the library's net/rpc server on
// the first connection and every other, without any handshake on the wire.
package main

import (
	"fmt"
	"log"
	"net"
	"os"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/compat/old"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	// What the library would have printed: the tests read the address here.
	fmt.Printf("1|1|tcp|%s|netrpc\n", listener.Addr())
	stdout, _, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	stderr, _, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	server := &plugin.RPCServer{
		Plugins: map[string]plugin.Plugin{
			"greeter":    &old.GreeterPlugin{Impl: old.Speaker{}},
			"pingponger": &old.PingPongerPlugin{Impl: old.Speaker{}},
		},
		Stdout: stdout,
		Stderr: stderr,
		DoneCh: done,
	}
	go server.Serve(listener)
	<-done // a host sent Quit: the end for everybody, as it was then
}
