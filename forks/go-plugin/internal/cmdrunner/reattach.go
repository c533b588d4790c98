// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// ErrProcessNotFound means that there is no plugin to reattach to: the process
// is gone, or nothing answers at its address.
var ErrProcessNotFound = errors.New("reattachment process not found")

const (
	// dialTimeout bounds the check that something listens. The address is of
	// this machine, where a dial that takes longer will not come to anything.
	dialTimeout = 5 * time.Second
	// pollInterval is how often a process that is not our child is looked at.
	pollInterval = time.Second
)

// ReattachFunc finds the process pid, which must exist, at addr, which must accept
// a connection. Otherwise the error is ErrProcessNotFound, with the reason.
func ReattachFunc(pid int, addr net.Addr) runner.ReattachFunc {
	return func() (runner.AttachedRunner, error) {
		process, err := os.FindProcess(pid)
		if err != nil || !alive(process) {
			return nil, fmt.Errorf("%w: there is no process %d", ErrProcessNotFound, pid)
		}
		// The process may be another one that got the same number since. The
		// address tells.
		conn, err := net.DialTimeout(addr.Network(), addr.String(), dialTimeout)
		if err != nil {
			_ = process.Release()
			return nil, fmt.Errorf("%w: process %d does not answer at %s: %w", ErrProcessNotFound, pid, addr, err)
		}
		_ = conn.Close()
		return &Attached{process: process}, nil
	}
}

// Attached is a plugin process that somebody else started. It implements
// runner.AttachedRunner.
type Attached struct {
	sameMachine

	process *os.Process
}

var _ runner.AttachedRunner = (*Attached)(nil)

// Wait blocks until the process has ended or ctx has. The process is no child
// of this one, so the system does not tell; it is looked at every second.
func (a *Attached) Wait(ctx context.Context) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for alive(a.process) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d: %w", a.process.Pid, context.Cause(ctx))
		}
	}
	return nil
}

// Kill ends the process at once. It is no error when it has ended.
func (a *Attached) Kill(context.Context) error { return kill(a.process) }

// ID returns the process ID in decimal.
func (a *Attached) ID() string { return strconv.Itoa(a.process.Pid) }
