// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"fmt"
	"os"
	"time"
)

// canWake says whether a read that waits can be woken: reads of pipes have no
// deadlines.
const canWake = false

// blindWait is how long what is in a pipe may take to be read, of which nobody knows.
const blindWait = 100 * time.Millisecond

// pipeEnd is empty: nothing is asked of it.
type pipeEnd struct{}

func newPipeEnd(*os.File) (pipeEnd, error) { return pipeEnd{}, nil }

func (p *Pipe) read(b []byte) (int, error) { return p.r.Read(b) }

// readWaiting is not called.
func (p *Pipe) readWaiting([]byte) int { return 0 }

// awaitRead gives the reader some time.
func (p *Pipe) awaitRead(ctx context.Context) error {
	timer := time.NewTimer(blindWait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("read what was written: %w", context.Cause(ctx))
	}
}

func (p Pipes) holdAny() bool { return false }
