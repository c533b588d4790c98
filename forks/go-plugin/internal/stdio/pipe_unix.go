// SPDX-License-Identifier: MPL-2.0

//go:build unix

package stdio

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// canWake says whether a read that waits can be woken.
const canWake = true

// pipeEnd is the end of a pipe that is read.
type pipeEnd struct {
	raw syscall.RawConn
	fd  int // to look at, while the pipe has not ended
}

func newPipeEnd(r *os.File) (end pipeEnd, err error) {
	if end.raw, err = r.SyscallConn(); err != nil {
		return pipeEnd{}, err
	}
	return end, end.raw.Control(func(fd uintptr) { end.fd = int(fd) })
}

// read waits for something to read. Whoever looks at the pipe finds it there, or
// counted, until the caller has come for more or has called Passed.
func (p *Pipe) read(b []byte) (n int, err error) {
	waited := p.end.raw.Read(func(fd uintptr) bool {
		n, err = p.take(int(fd), b)
		return err != syscall.EAGAIN
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// readWaiting reads what waits in the pipe. It returns zero when nothing does.
func (p *Pipe) readWaiting(b []byte) (n int) {
	_ = p.end.raw.Control(func(fd uintptr) { n, _ = p.take(int(fd), b) })
	return max(n, 0)
}

func (p *Pipe) take(fd int, b []byte) (n int, err error) {
	p.inFlight.change(func() { // nobody can look for it meanwhile
		for {
			if n, err = syscall.Read(fd, b); err != syscall.EINTR {
				break
			}
		}
		p.held.Add(int64(max(n, 0)))
		p.inFlight.added += max(n, 0)
	})
	return n, err
}

// awaitRead waits until all was read that is in the pipe now.
func (p *Pipe) awaitRead(ctx context.Context) error {
	return p.inFlight.await(ctx, "read what was written", func(began int) bool {
		return p.inFlight.added-began >= maxPipe || !(Pipes{p}).holdAny()
	})
}

// holdAny reports whether there is something to read in one of the pipes.
func (p Pipes) holdAny() bool {
	var few [2]unix.PollFd
	fds := few[:0]
	for _, p := range p {
		if !p.over.Load() {
			fds = append(fds, unix.PollFd{Fd: int32(p.end.fd), Events: unix.POLLIN})
		}
	}
	if len(fds) == 0 {
		return false
	}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}
