// SPDX-License-Identifier: MPL-2.0

// Package link is a slow network on the loopback interface: connections to it lead to
// another address, and carry so many bytes a second in each direction.
package link

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// burst is how many bytes travel at once.
	burst = 16 << 10
	// queue is how many wait at the near end of the link, as in a router's queue. The
	// kernel doubles it.
	queue = 32 << 10
	// segment is how many bytes a packet carries, as on Ethernet. Those of the loopback
	// interface are larger than the queue: then whoever sends waits for a timer.
	segment = 1448
	// late is how much time may be made up for, as a sleep takes longer than it should.
	late = 10 * time.Millisecond
)

// Link is a slow network. Its methods may be called from any goroutine.
type Link struct {
	lis  net.Listener
	to   string
	rate int
	wg   sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn // nil after Close
	ended bool
}

// New makes a link to an address. The caller closes it.
func New(to string, bytesPerSecond int) (*Link, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// Before the connection is there: it says how large the window may be.
		return limit(c)
	}}
	lis, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{lis: lis, to: to, rate: bytesPerSecond}
	l.wg.Go(l.accept)
	return l, nil
}

// Addr is the near end.
func (l *Link) Addr() string { return l.lis.Addr().String() }

// Close ends the link and its connections.
func (l *Link) Close() error {
	err := l.lis.Close()
	l.mu.Lock()
	l.ended = true
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
	return err
}

func (l *Link) accept() {
	for {
		near, err := l.lis.Accept()
		if err != nil {
			return
		}
		dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return limit(c) }}
		far, err := dialer.Dial("tcp", l.to)
		if err != nil || !l.keep(near, far) {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			continue
		}
		l.wg.Go(func() { l.carry(far, near) })
		l.wg.Go(func() { l.carry(near, far) })
	}
}

func (l *Link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.conns = append(l.conns, conns...)
	}
	return !l.ended
}

// carry moves bytes in one direction until either end closes. Then the other is closed,
// too, when it has had all of them.
func (l *Link) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, burst)
	free := time.Now() // when the link has carried all that it was given
	for {
		n, err := from.Read(buf)
		if past := time.Now().Add(-late); free.Before(past) {
			free = past
		}
		free = free.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
		time.Sleep(time.Until(free))
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// limit makes a socket's receive buffer small, and the packets that come to it.
func limit(c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, queue),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, segment))
	})
	return errors.Join(err, failed)
}
