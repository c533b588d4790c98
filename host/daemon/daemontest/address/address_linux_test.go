// SPDX-License-Identifier: MPL-2.0

package address_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

// TestHold listens at a held address again and again, and is refused it where it is not
// asked for as listeners ask.
func TestHold(t *testing.T) {
	held := address.Hold(t)
	for range 3 {
		if _, err := net.Dial("tcp", held); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("a connection to an address where nobody listens: %v", err)
		}
		lis, err := net.Listen("tcp", held)
		if err != nil {
			t.Fatal(err)
		}
		carries(t, lis)
		// Closed by the side that listens, so that TIME_WAIT stays at its port.
		if err := lis.Close(); err != nil {
			t.Fatal(err)
		}
		everywhere(t, held)
	}
	// A client is given its port in the same table: it does not get this one.
	local, err := net.ResolveTCPAddr("tcp", held)
	if err != nil {
		t.Fatal(err)
	}
	somewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer somewhere.Close()
	c, err := (&net.Dialer{LocalAddr: local}).Dial("tcp", somewhere.Addr().String())
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a client from a held address: %v", err)
	}
}

// carries sends a byte through lis, which closes its side first.
func carries(t *testing.T, lis net.Listener) {
	t.Helper()
	client, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if n, err := client.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// everywhere listens at the port of held on all addresses, as a plugin does.
func everywhere(t *testing.T, held string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(held)
	lis, err := net.Listen("tcp", ":"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = lis.Close()
}

// TestHoldMany holds more addresses than chance would keep apart.
func TestHoldMany(t *testing.T) {
	seen := make(map[string]bool)
	for range 500 {
		held := address.Hold(t)
		if seen[held] {
			t.Fatalf("%s was given twice", held)
		}
		seen[held] = true
	}
	for range 500 {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		if seen[lis.Addr().String()] {
			t.Fatalf("%s is held, and was given to a listener", lis.Addr())
		}
	}
}
