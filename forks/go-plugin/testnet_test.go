// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// cutProxy is a network that can fail: it forwards connections until they are
// cut, or swallows what is sent on them.
type cutProxy struct {
	lis    net.Listener
	target net.Addr

	mu     sync.Mutex
	conns  []net.Conn
	frozen chan struct{}
	copies wait.Group
}

func newCutProxy(t *testing.T, target net.Addr) *cutProxy {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cutProxy{lis: lis, target: target, frozen: make(chan struct{})}
	p.copies.Go(p.accept)
	t.Cleanup(func() {
		_ = lis.Close()
		p.cut()
		p.copies.Wait()
	})
	return p
}

func (p *cutProxy) addr() net.Addr { return p.lis.Addr() }

func (p *cutProxy) accept() {
	for {
		conn, err := p.lis.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial(p.target.Network(), p.target.String())
		if err != nil {
			_ = conn.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, conn, out)
		p.mu.Unlock()
		p.copies.Go(func() { p.forward(out, conn) })
		p.copies.Go(func() { p.forward(conn, out) })
	}
}

func (p *cutProxy) forward(dst, src net.Conn) {
	defer dst.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := src.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-p.frozen:
			_, _ = io.Copy(io.Discard, src)
			return
		default:
		}
		if _, err := dst.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// inject sends data to the plugin on every connection that is open now.
func (p *cutProxy) inject(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 1; i < len(p.conns); i += 2 {
		_, _ = p.conns[i].Write(data)
	}
}

// cut ends every connection that is open now.
func (p *cutProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

// freeze swallows everything from now on and keeps the connections open.
func (p *cutProxy) freeze() { close(p.frozen) }
