// SPDX-License-Identifier: MPL-2.0

package link

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Delayed is a network of a certain length: what goes in comes out after a while, as much as
// anybody likes, in each direction. Its methods may be called from any goroutine.
type Delayed struct {
	lis   net.Listener
	to    string
	delay time.Duration
	wg    sync.WaitGroup

	mu    sync.Mutex
	ways  []*way
	ended bool
}

// NewDelayed makes one that leads to an address. The caller closes it.
func NewDelayed(to string, delay time.Duration) (*Delayed, error) {
	lis, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &Delayed{lis: lis, to: to, delay: delay}
	d.wg.Go(d.accept)
	return d, nil
}

// Addr is the near end.
func (d *Delayed) Addr() string { return d.lis.Addr().String() }

// Close ends the network and its connections.
func (d *Delayed) Close() error {
	err := d.lis.Close()
	d.mu.Lock()
	d.ended = true
	for _, w := range d.ways {
		w.wake()
	}
	d.mu.Unlock()
	d.wg.Wait()
	return err
}

func (d *Delayed) accept() {
	for {
		near, err := d.lis.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", d.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		w, err := newWay(near, far, d.delay)
		if err != nil {
			continue
		}
		d.mu.Lock()
		if d.ended {
			w.wake()
		}
		d.ways = append(d.ways, w)
		d.mu.Unlock()
		d.wg.Go(w.carry)
	}
}

// way is a connection through the network. A thread of its own carries it: Go's timers end
// up to a millisecond late, and a goroutine that has to be woken for each packet would be a
// good part of the delay.
type way struct {
	ends  [2]*os.File // near and far, which do not block
	delay time.Duration
	stop  [2]*os.File // a byte in it ends the way
	under [2][]packet // way to each end, the first to arrive first, as all take as long
}

// packet is what was read at once.
type packet struct {
	data []byte
	due  time.Time
}

// newWay takes the connections over.
func newWay(near, far net.Conn, delay time.Duration) (*way, error) {
	w := &way{delay: delay}
	var errs []error
	for i, conn := range []net.Conn{near, far} {
		file, err := conn.(*net.TCPConn).File()
		w.ends[i] = file
		errs = append(errs, err, conn.Close())
	}
	var err error
	w.stop[0], w.stop[1], err = os.Pipe()
	if err := errors.Join(append(errs, err)...); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *way) close() {
	for _, f := range append(w.ends[:], w.stop[:]...) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// wake has carry end.
func (w *way) wake() { _, _ = w.stop[1].Write([]byte{0}) }

// carry moves bytes until either end closes, and all of them have arrived.
func (w *way) carry() {
	runtime.LockOSThread() // It is not given back: its timers are exact.
	defer w.close()
	exactTimers()
	set := [3]interest{{fd: int(w.ends[0].Fd())}, {fd: int(w.ends[1].Fd())}, {fd: int(w.stop[0].Fd()), reads: true}}
	for _, one := range set[:2] {
		if unblock(one.fd) != nil {
			return
		}
	}
	buf := make([]byte, 64<<10)
	for ended := false; !ended || len(w.under[0])+len(w.under[1]) > 0; {
		set[0].reads, set[1].reads = !ended, !ended
		if await(&set, w.next(&set)) != nil || set[2].readable {
			return
		}
		for i := range w.ends {
			if !set[i].readable || ended {
				continue
			}
			n, err := syscall.Read(set[i].fd, buf)
			switch {
			case err == syscall.EAGAIN || err == syscall.EINTR:
			case err != nil || n == 0:
				ended = true
			default:
				w.under[1-i] = append(w.under[1-i], packet{append([]byte(nil), buf[:n]...), time.Now().Add(w.delay)})
			}
		}
		for i := range w.ends {
			if !w.deliver(i, set[i].fd, &set[i].writes) {
				return
			}
		}
	}
}

// next is how long nothing arrives at an end that takes it; below zero: for ever.
func (w *way) next(set *[3]interest) time.Duration {
	wait := time.Duration(-1)
	for i, under := range w.under {
		if len(under) == 0 || set[i].writes {
			continue
		}
		if left := max(time.Until(under[0].due), 0); wait < 0 || left < wait {
			wait = left
		}
	}
	return wait
}

// deliver gives an end what is due there. It says that the end has to be waited for, and
// reports false if that has closed.
func (w *way) deliver(to, fd int, full *bool) bool {
	*full = false
	for now := time.Now(); len(w.under[to]) > 0 && !w.under[to][0].due.After(now); {
		p := &w.under[to][0]
		n, err := syscall.Write(fd, p.data)
		switch {
		case err == syscall.EAGAIN:
			*full = true
			return true
		case err == syscall.EINTR:
		case err != nil:
			return false
		default:
			if p.data = p.data[n:]; len(p.data) == 0 {
				w.under[to] = w.under[to][1:]
			}
		}
	}
	return true
}
