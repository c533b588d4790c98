// SPDX-License-Identifier: MPL-2.0

package logging

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// backlog is how many lines wait for whoever reads the log.
const backlog = 1024

// Queue holds lines until they are written.
type Queue struct {
	lines   chan func()
	dropped atomic.Int64
}

// NewQueued makes a logger that never blocks: a plugin must serve, drain and end
// although nobody reads its log. Lines beyond backlog are dropped and counted. It
// starts what writes them to logger, for as long as the process runs.
func NewQueued(logger hclog.Logger) (hclog.Logger, *Queue) {
	q := &Queue{lines: make(chan func(), backlog)}
	go func() {
		for write := range q.lines {
			write()
			if n := q.dropped.Swap(0); n > 0 {
				logger.Warn("the log was not read, lines were dropped", "lines", n)
			}
		}
	}()
	return &passedLogger{Logger: logger, pass: func(_ hclog.Level, write func()) { q.add(write) }}, q
}

func (q *Queue) add(write func()) {
	select {
	case q.lines <- write:
	default:
		q.dropped.Add(1)
	}
}

// Flush waits until all that was logged before is written, or ctx has ended.
func (q *Queue) Flush(ctx context.Context) {
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
