// SPDX-License-Identifier: MPL-2.0

// Package logging has loggers that bound what is logged: by rate, or by what waits
// to be written.
package logging

import (
	"bytes"
	"io"
	"log"

	"github.com/hashicorp/go-hclog"
)

// passedLogger is a logger whose lines go through pass, which calls write in its own
// time, or never. Lines below its level do not. It may be called from any goroutine.
//
// Each session has one, and most never write a line: it is a copy of the logger beneath, with
// a name and fields of its own, only while it does.
type passedLogger struct {
	hclog.Logger // beneath
	pass         func(level hclog.Level, write func())
	name         string
	with         []interface{}
}

// own returns the logger beneath with what this one has beside it.
func (l *passedLogger) own() hclog.Logger {
	own := l.Logger
	if l.name != "" {
		own = own.Named(l.name)
	}
	if len(l.with) > 0 {
		own = own.With(l.with...)
	}
	return own
}

// Log implements hclog.Logger.
func (l *passedLogger) Log(level hclog.Level, msg string, args ...interface{}) {
	if writes(l.Logger, level) {
		l.pass(level, func() { l.own().Log(level, msg, args...) })
	}
}

// writes reports whether logger may write lines of level. The sinks of an intercept
// logger have levels of their own.
func writes(logger hclog.Logger, level hclog.Level) bool {
	if _, sinks := logger.(hclog.InterceptLogger); sinks {
		return true
	}
	switch level {
	case hclog.Trace:
		return logger.IsTrace()
	case hclog.Debug:
		return logger.IsDebug()
	case hclog.Info:
		return logger.IsInfo()
	case hclog.Warn:
		return logger.IsWarn()
	case hclog.Error:
		return logger.IsError()
	}
	return true
}

// Trace implements hclog.Logger.
func (l *passedLogger) Trace(msg string, args ...interface{}) { l.Log(hclog.Trace, msg, args...) }

// Debug implements hclog.Logger.
func (l *passedLogger) Debug(msg string, args ...interface{}) { l.Log(hclog.Debug, msg, args...) }

// Info implements hclog.Logger.
func (l *passedLogger) Info(msg string, args ...interface{}) { l.Log(hclog.Info, msg, args...) }

// Warn implements hclog.Logger.
func (l *passedLogger) Warn(msg string, args ...interface{}) { l.Log(hclog.Warn, msg, args...) }

// Error implements hclog.Logger.
func (l *passedLogger) Error(msg string, args ...interface{}) { l.Log(hclog.Error, msg, args...) }

// With implements hclog.Logger.
func (l *passedLogger) With(args ...interface{}) hclog.Logger {
	if len(l.with) > 0 {
		return &passedLogger{Logger: l.own(), pass: l.pass, with: args}
	}
	return &passedLogger{Logger: l.Logger, pass: l.pass, name: l.name, with: args}
}

// Named implements hclog.Logger.
func (l *passedLogger) Named(name string) hclog.Logger {
	if l.name != "" {
		return &passedLogger{Logger: l.own(), pass: l.pass, name: name}
	}
	return &passedLogger{Logger: l.Logger, pass: l.pass, name: name, with: l.with}
}

// ResetNamed implements hclog.Logger.
func (l *passedLogger) ResetNamed(name string) hclog.Logger {
	return &passedLogger{Logger: l.own().ResetNamed(name), pass: l.pass}
}

// Name implements hclog.Logger.
func (l *passedLogger) Name() string { return l.own().Name() }

// ImpliedArgs implements hclog.Logger.
func (l *passedLogger) ImpliedArgs() []interface{} { return l.own().ImpliedArgs() }

// StandardLogger implements hclog.Logger.
func (l *passedLogger) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(opts), "", 0)
}

// StandardWriter implements hclog.Logger.
func (l *passedLogger) StandardWriter(opts *hclog.StandardLoggerOptions) io.Writer {
	if opts == nil {
		opts = &hclog.StandardLoggerOptions{}
	}
	level := opts.ForceLevel
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	return passedWriter{l.own().StandardWriter(opts), level, func(level hclog.Level, write func()) {
		if opts.InferLevels || opts.InferLevelsWithTimestamp || writes(l.Logger, level) {
			l.pass(level, write)
		}
	}}
}

// passedWriter passes each line that is written.
type passedWriter struct {
	to    io.Writer
	level hclog.Level
	pass  func(level hclog.Level, write func())
}

// Write implements io.Writer. It never fails.
func (w passedWriter) Write(line []byte) (int, error) {
	kept := bytes.Clone(line) // which package log uses again
	w.pass(w.level, func() { _, _ = w.to.Write(kept) })
	return len(line), nil
}
