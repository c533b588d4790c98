// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"github.com/go-logr/logr"
	"github.com/hashicorp/go-hclog"
	"k8s.io/klog/v2"
)

// RedirectKlog sends what client-go logs through the process-wide klog to
// logger. Call it once, early: it is not safe while anything logs. A Source
// gives its informers their logger without it.
func RedirectKlog(logger hclog.Logger) {
	klog.SetLoggerWithOptions(NewLogr(logger), klog.ContextualLogger(true))
}

// NewLogr gives a logger as client-go wants one. Verbosity 0 and 1 become the
// level debug, as they are about client-go's own affairs, and more becomes trace.
// Errors become warnings: informers try again by themselves.
func NewLogr(logger hclog.Logger) logr.Logger {
	return logr.New(logSink{logger.Named("client-go")})
}

// logSink is a logr.LogSink.
type logSink struct{ hclog.Logger }

// Init implements logr.LogSink.
func (logSink) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink.
func (s logSink) Enabled(verbosity int) bool { return s.GetLevel() <= levelOf(verbosity) }

// Info implements logr.LogSink.
func (s logSink) Info(verbosity int, message string, fields ...any) {
	s.Log(levelOf(verbosity), message, fields...)
}

// Error implements logr.LogSink.
func (s logSink) Error(err error, message string, fields ...any) {
	s.Log(hclog.Warn, message, append(fields[:len(fields):len(fields)], "error", err)...)
}

// WithValues implements logr.LogSink.
func (s logSink) WithValues(fields ...any) logr.LogSink { return logSink{s.With(fields...)} }

// WithName implements logr.LogSink.
func (s logSink) WithName(name string) logr.LogSink { return logSink{s.Named(name)} }

func levelOf(verbosity int) hclog.Level {
	if verbosity > 1 {
		return hclog.Trace
	}
	return hclog.Debug
}
