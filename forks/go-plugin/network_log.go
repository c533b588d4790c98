// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// logBacklog is how many lines wait for whoever reads the log.
const logBacklog = 1024

// logQueue holds lines until they are written.
type logQueue struct {
	lines   chan func()
	dropped atomic.Int64
}

// newQueuedLogger makes a logger that never blocks: a plugin must serve, drain and end
// although nobody reads its log. Lines beyond logBacklog are dropped and counted. It
// starts what writes them to logger, for as long as the process runs.
func newQueuedLogger(logger hclog.Logger) (hclog.Logger, *logQueue) {
	q := &logQueue{lines: make(chan func(), logBacklog)}
	go func() {
		for write := range q.lines {
			write()
			if n := q.dropped.Swap(0); n > 0 {
				logger.Warn("the log was not read, lines were dropped", "lines", n)
			}
		}
	}()
	return &passedLogger{logger, func(_ hclog.Level, write func()) { q.add(write) }}, q
}

func (q *logQueue) add(write func()) {
	select {
	case q.lines <- write:
	default:
		q.dropped.Add(1)
	}
}

// flush waits until all that was logged before is written, or ctx has ended.
func (q *logQueue) flush(ctx context.Context) {
	written := make(chan struct{})
	select {
	case q.lines <- func() { close(written) }:
	case <-ctx.Done():
		return
	}
	select {
	case <-written:
	case <-ctx.Done():
	}
}
