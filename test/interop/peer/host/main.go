// SPDX-License-Identifier: MPL-2.0

// Command host is the host of the interop tests. It holds any number of plugin
// clients and does with them what it is told on its control socket, see
// package hostapi.
package main

import (
	"fmt"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"syscall"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves commands until the test closes the control socket. Whatever the
// commands started is left as it is.
func run() error {
	// The plugins must not inherit the socket.
	syscall.CloseOnExec(hostapi.ControlFD)
	file := os.NewFile(hostapi.ControlFD, "control")
	control, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("open the control socket: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close the copy of the control socket: %w", err)
	}
	server := rpc.NewServer()
	if err := server.Register(newHost()); err != nil {
		return err
	}
	server.ServeCodec(jsonrpc.NewServerCodec(control))
	return nil
}
