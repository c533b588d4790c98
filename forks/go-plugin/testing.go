// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"io"
	"net"
	"net/rpc"
	"testing"
)

// TestOptions changes what the test helpers set up.
type TestOptions struct {
	// ServerStdout is what the served plugin writes to its stdout; nothing if
	// nil.
	ServerStdout io.ReadCloser

	// ServerStderr is what the served plugin writes to its stderr; nothing if
	// nil.
	ServerStderr io.ReadCloser
}

// TestConn returns both ends of a TCP connection on the loopback address. The
// caller closes them.
func TestConn(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer lis.Close()

	client, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	server, err := lis.Accept()
	if err != nil {
		_ = client.Close()
		t.Fatalf("accept: %v", err)
	}
	return client, server
}

// TestRPCConn returns a net/rpc client and the server that serves it. The
// caller registers what it needs on the server, and closes the client.
func TestRPCConn(t testing.TB) (*rpc.Client, *rpc.Server) {
	t.Helper()
	client, server := TestConn(t)
	s := rpc.NewServer()
	go s.ServeConn(server)
	return rpc.NewClient(client), s
}

// TestPluginRPCConn serves the plugins over net/rpc and returns a client of
// them. The caller closes the client. opts may be nil.
func TestPluginRPCConn(t testing.TB, ps map[string]Plugin, opts *TestOptions) (*RPCClient, *RPCServer) {
	t.Helper()
	if opts == nil {
		opts = &TestOptions{}
	}
	server := &RPCServer{Plugins: ps, Stdout: new(bytes.Buffer), Stderr: new(bytes.Buffer)}
	if opts.ServerStdout != nil {
		server.Stdout = opts.ServerStdout
	}
	if opts.ServerStderr != nil {
		server.Stderr = opts.ServerStderr
	}
	clientConn, serverConn := TestConn(t)
	go server.ServeConn(serverConn)

	client, err := NewRPCClient(clientConn, ps)
	if err != nil {
		t.Fatalf("start client: %v", err)
	}
	return client, server
}
