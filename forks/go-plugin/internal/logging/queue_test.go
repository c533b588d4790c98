// SPDX-License-Identifier: MPL-2.0

package logging

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stuckWriter takes its first line, and blocks in it until it is let go.
type stuckWriter struct {
	begun, free chan struct{}
	lines       bytes.Buffer
}

func (w *stuckWriter) Write(line []byte) (int, error) {
	if w.begun != nil {
		close(w.begun)
		w.begun = nil
		<-w.free
	}
	return w.lines.Write(line)
}

// TestLinesBelowTheLevelAreNotQueued: they would drop those that are to be written.
func TestLinesBelowTheLevelAreNotQueued(t *testing.T) {
	begun := make(chan struct{})
	stuck := &stuckWriter{begun: begun, free: make(chan struct{})}
	logger, queue := NewQueued(hclog.New(&hclog.LoggerOptions{
		Level: hclog.Info, Output: stuck, DisableTime: true,
	}))
	defer close(queue.lines)
	logger.Info("first")
	<-begun
	quiet := &hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}
	below := map[string]func(){
		"Trace":          func() { logger.Trace("below") },
		"Debug":          func() { logger.Named("named").With("with", 1).Debug("below") },
		"Log":            func() { logger.ResetNamed("named").Log(hclog.Debug, "below") },
		"StandardLogger": func() { logger.Named("yamux").StandardLogger(quiet).Print("below") },
		"StandardWriter": func() { _, _ = logger.StandardWriter(quiet).Write([]byte("below\n")) },
	}
	for name, log := range below {
		for range backlog + 1 {
			log()
		}
		if n := len(queue.lines); n > 0 {
			t.Errorf("%s: %d lines are queued", name, n)
			break
		}
	}
	logger.Info("last")
	close(stuck.free)
	queue.Flush(context.Background())
	if got, want := stuck.lines.String(), "[INFO]  first\n[INFO]  last\n"; got != want {
		t.Errorf("the log holds\n%.500s\nwant\n%s", got, want)
	}
}

// TestSinksGetLinesBelowTheLevel: a sink of an intercept logger has a level of its own.
func TestSinksGetLinesBelowTheLevel(t *testing.T) {
	var out bytes.Buffer
	intercept := hclog.NewInterceptLogger(&hclog.LoggerOptions{Level: hclog.Info, Output: io.Discard})
	intercept.RegisterSink(hclog.NewSinkAdapter(&hclog.LoggerOptions{Level: hclog.Debug, Output: &out, DisableTime: true}))
	logger, queue := NewQueued(intercept)
	defer close(queue.lines)
	logger.Debug("one")
	logger.Named("named").Debug("two")
	queue.Flush(context.Background())
	if got, want := out.String(), "[DEBUG] one\n[DEBUG] named: two\n"; got != want {
		t.Errorf("the sink has %q, want %q", got, want)
	}
}

// TestLogDoesNotBlock logs in every way that other packages do to a log that
// nobody reads, and looks at what comes when somebody does. A call that waits
// for the writer never returns.
func TestLogDoesNotBlock(t *testing.T) {
	begun := make(chan struct{})
	stuck := &stuckWriter{begun: begun, free: make(chan struct{})}
	logger, queue := NewQueued(hclog.New(&hclog.LoggerOptions{
		Level: hclog.Info, Output: stuck, DisableTime: true,
	}))
	// It writes for as long as a process runs.
	defer close(queue.lines)
	logger.Info("first")
	<-begun

	logger.Info("info")
	logger.Named("named").With("with", 1).Warn("warn")
	forced := &hclog.StandardLoggerOptions{ForceLevel: hclog.Error}
	logger.StandardLogger(forced).Print("standard")
	logger.Named("yamux").StandardLogger(nil).Print("standard, named")
	line := []byte("writer\n")
	if n, err := logger.StandardWriter(forced).Write(line); n != len(line) || err != nil {
		t.Errorf("the writer took %d bytes of %d, error %v", n, len(line), err)
	}
	copy(line, "XXXXXX") // as package log does with its buffer

	close(stuck.free)
	queue.Flush(context.Background())
	const want = "[INFO]  first\n[INFO]  info\n[WARN]  named: warn: with=1\n" +
		"[ERROR] standard\n[INFO]  yamux: standard, named\n[ERROR] writer\n"
	if got := stuck.lines.String(); got != want {
		t.Errorf("the log holds\n%s\nwant\n%s", got, want)
	}
}

// TestFieldsAndNames holds that a logger with names and fields writes what the one beneath
// would write itself.
func TestFieldsAndNames(t *testing.T) {
	lines := func(passed bool) string {
		var log bytes.Buffer
		logger := hclog.New(&hclog.LoggerOptions{Name: "plugin", Level: hclog.Debug, Output: &log, DisableTime: true})
		if passed {
			logger = &passedLogger{Logger: logger, pass: func(_ hclog.Level, write func()) { write() }}
		}
		session := logger.With("peer", 1, "host", "a")
		for _, l := range []hclog.Logger{
			logger, session, session.Named("broker"), session.Named("a").Named("b"), session.With("host", "b", "odd"),
			logger.Named("n").With("x", 1).Named("m").With("x", 2), session.Named("a").ResetNamed("b"),
		} {
			l.Info("line", "of", l.Name(), "implied", len(l.ImpliedArgs()))
			l.StandardLogger(nil).Print("standard")
		}
		return log.String()
	}
	if got, want := lines(true), lines(false); got != want {
		t.Errorf("the lines are\n%s\nwant\n%s", got, want)
	}
}
