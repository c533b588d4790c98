// SPDX-License-Identifier: MPL-2.0

package link

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// TestDelayed holds that bytes arrive as they were sent, in both directions, no sooner than
// the delay there and back, and that many are under way at once.
func TestDelayed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no such network but on Linux")
	}
	const delay, size = 20 * time.Millisecond, 4 << 20
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	echoed := make(chan error, 1)
	go func() {
		conn, err := far.Accept()
		if err == nil {
			_, err = io.Copy(conn, conn)
			_ = conn.Close()
		}
		echoed <- err
	}()
	d, err := NewDelayed(far.Addr().String(), delay)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	conn, err := net.Dial("tcp", d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for _, n := range []int{1, size} {
		began := time.Now()
		go conn.Write(sent[:n])
		got := make([]byte, n)
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent[:n]) {
			t.Fatalf("%v, or other bytes than the %d that were sent", err, n)
		}
		if took := time.Since(began); took < 2*delay {
			t.Errorf("%d bytes were back after %v, want no sooner than %v", n, took, 2*delay)
		}
	}
	_ = conn.Close()
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}

// TestDelayedClose holds that connections end with the network.
func TestDelayedClose(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no such network but on Linux")
	}
	endsConnections(t, func(to string) (proxy, error) { return NewDelayed(to, time.Millisecond) })
}
