// SPDX-License-Identifier: MPL-2.0

package daemontest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay hands the bytes of connections on to a plugin, late if it is told so, until it is
// closed: then the connections are reset.
type relay struct {
	net.Listener
	to    string
	delay atomic.Int64  // nanoseconds, of what comes from the plugin
	done  chan struct{} // closed by close

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
	work  sync.WaitGroup
}

func newRelay(address, to string) (*relay, error) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	r := &relay{Listener: lis, to: to, done: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	r.work.Go(r.accept)
	return r, nil
}

func (r *relay) accept() {
	for {
		host, err := r.Accept()
		if err != nil {
			return // closed
		}
		plugin, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = host.Close()
			continue
		}
		r.join(host, plugin)
	}
}

// join copies in both directions, unless the relay is closed.
func (r *relay) join(host, plugin net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		_, _ = host.Close(), plugin.Close()
		return
	}
	r.conns[host], r.conns[plugin] = struct{}{}, struct{}{}
	r.work.Go(func() { r.copy(plugin, host, false) })
	r.work.Go(func() { r.copy(host, plugin, true) })
}

// copy ends with either connection, and ends both.
func (r *relay) copy(to, from net.Conn, late bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if d := time.Duration(r.delay.Load()); late && d > 0 {
			select {
			case <-time.After(d):
			case <-r.done:
			}
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range []net.Conn{to, from} {
		_ = c.Close()
		delete(r.conns, c)
	}
}

// close resets the connections, and waits until nothing of the relay is left.
func (r *relay) close() {
	_ = r.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	if r.conns != nil {
		close(r.done)
	}
	r.conns = nil
	r.mu.Unlock()
	r.work.Wait()
}
