// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"io"
	"net"
	"sync"
	"testing"
)

// relay is a TCP address that passes on to a pod, and can lose every
// connection at once, as a node that dies does.
type relay struct {
	t   *testing.T
	lis net.Listener
	to  *pod

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	all   sync.WaitGroup
}

func startRelay(t *testing.T, to *pod) *relay {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for the relay: %v", err)
	}
	r := &relay{t: t, lis: lis, to: to, conns: map[net.Conn]struct{}{}}
	r.all.Go(r.accept)
	t.Cleanup(func() {
		_ = lis.Close()
		r.cut()
		r.all.Wait()
	})
	return r
}

func (r *relay) accept() {
	for {
		conn, err := r.lis.Accept()
		if err != nil {
			return
		}
		onward, err := net.Dial(r.to.network, r.to.address)
		if err != nil {
			_ = conn.Close()
			continue
		}
		r.keep(conn, onward)
		r.all.Go(func() { r.pass(onward, conn) })
		r.all.Go(func() { r.pass(conn, onward) })
	}
}

func (r *relay) keep(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		r.conns[conn] = struct{}{}
	}
}

// pass copies until either side is closed, and then closes both.
func (r *relay) pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	for _, conn := range []net.Conn{to, from} {
		_ = conn.Close()
		r.mu.Lock()
		delete(r.conns, conn)
		r.mu.Unlock()
	}
}

// cut closes all connections. New ones are passed on.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		_ = conn.Close()
	}
}
