// SPDX-License-Identifier: MPL-2.0

package link

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// TestLink holds that bytes arrive as they were sent, in both directions, no sooner than
// they can, and that the near end does not swallow them.
func TestLink(t *testing.T) {
	const rate, size = 1 << 20, 200 << 10
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	echoed := make(chan error, 1)
	go func() {
		conn, err := far.Accept()
		if err == nil {
			_, err = io.Copy(conn, io.LimitReader(conn, size))
			_ = conn.Close()
		}
		echoed <- err
	}()
	l, err := New(far.Addr().String(), rate)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	began := time.Now()
	go conn.Write(sent)
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes and %v came back, want the %d that were sent", len(got), err, len(sent))
	}
	if took, least := time.Since(began), time.Second*size/rate-2*late; took < least {
		t.Errorf("%d bytes took %v, want at least %v at %d bytes a second", size, took, least, rate)
	}
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}

// TestClose holds that connections end with the link.
func TestClose(t *testing.T) {
	endsConnections(t, func(to string) (proxy, error) { return New(to, 1<<20) })
}

// proxy is what connections go through.
type proxy interface {
	Addr() string
	Close() error
}

// endsConnections holds that both ends of a connection end with the proxy between them.
func endsConnections(t *testing.T, start func(to string) (proxy, error)) {
	t.Helper()
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	p, err := start(far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := far.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []net.Conn{conn, other} {
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes were read after the end", n)
		}
	}
}
