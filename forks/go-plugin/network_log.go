// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"context"
	"io"
	"log"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// logBacklog is how many lines wait for whoever reads the log.
const logBacklog = 1024

// queuedLogger is a logger that never blocks: a plugin must serve, drain and end
// although nobody reads its log. Lines beyond logBacklog are dropped and counted.
type queuedLogger struct {
	hclog.Logger
	queue *logQueue
}

type logQueue struct {
	lines   chan func()
	dropped atomic.Int64
}

// newQueuedLogger starts what writes the lines to logger, for as long as the process
// runs. flush waits until all that was logged before is written, or ctx has ended.
func newQueuedLogger(logger hclog.Logger) (queued hclog.Logger, flush func(ctx context.Context)) {
	q := &logQueue{lines: make(chan func(), logBacklog)}
	go func() {
		for write := range q.lines {
			write()
			if n := q.dropped.Swap(0); n > 0 {
				logger.Warn("the log was not read, lines were dropped", "lines", n)
			}
		}
	}()
	return &queuedLogger{logger, q}, q.flush
}

func (q *logQueue) add(write func()) {
	select {
	case q.lines <- write:
	default:
		q.dropped.Add(1)
	}
}

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

// Log implements hclog.Logger.
func (l *queuedLogger) Log(level hclog.Level, msg string, args ...interface{}) {
	l.queue.add(func() { l.Logger.Log(level, msg, args...) })
}

// Trace implements hclog.Logger.
func (l *queuedLogger) Trace(msg string, args ...interface{}) { l.Log(hclog.Trace, msg, args...) }

// Debug implements hclog.Logger.
func (l *queuedLogger) Debug(msg string, args ...interface{}) { l.Log(hclog.Debug, msg, args...) }

// Info implements hclog.Logger.
func (l *queuedLogger) Info(msg string, args ...interface{}) { l.Log(hclog.Info, msg, args...) }

// Warn implements hclog.Logger.
func (l *queuedLogger) Warn(msg string, args ...interface{}) { l.Log(hclog.Warn, msg, args...) }

// Error implements hclog.Logger.
func (l *queuedLogger) Error(msg string, args ...interface{}) { l.Log(hclog.Error, msg, args...) }

// With implements hclog.Logger.
func (l *queuedLogger) With(args ...interface{}) hclog.Logger {
	return &queuedLogger{l.Logger.With(args...), l.queue}
}

// Named implements hclog.Logger.
func (l *queuedLogger) Named(name string) hclog.Logger {
	return &queuedLogger{l.Logger.Named(name), l.queue}
}

// ResetNamed implements hclog.Logger.
func (l *queuedLogger) ResetNamed(name string) hclog.Logger {
	return &queuedLogger{l.Logger.ResetNamed(name), l.queue}
}

// StandardLogger implements hclog.Logger.
func (l *queuedLogger) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(opts), "", 0)
}

// StandardWriter implements hclog.Logger.
func (l *queuedLogger) StandardWriter(opts *hclog.StandardLoggerOptions) io.Writer {
	if opts == nil {
		opts = &hclog.StandardLoggerOptions{}
	}
	return queuedWriter{l.Logger.StandardWriter(opts), l.queue}
}

// queuedWriter writes each line by way of the queue.
type queuedWriter struct {
	to    io.Writer
	queue *logQueue
}

// Write implements io.Writer. It never fails.
func (w queuedWriter) Write(line []byte) (int, error) {
	kept := bytes.Clone(line) // which package log uses again
	w.queue.add(func() { _, _ = w.to.Write(kept) })
	return len(line), nil
}
