// SPDX-License-Identifier: MPL-2.0

package logging

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// NameKey is the attribute that has a logger's name.
const NameKey = "logger"

// slogLogger is an hclog.Logger whose records go to a slog.Handler. It may be used from
// any goroutine.
type slogLogger struct {
	handler slog.Handler // has the implied arguments
	name    string
	implied []interface{}
	level   *atomic.Int32 // an hclog.Level; shared with all loggers that were made from one
}

// ToSlog gives a logger whose records go to h.
func ToSlog(h slog.Handler) hclog.Logger {
	return &slogLogger{handler: h, level: new(atomic.Int32)}
}

// slogLevel is the level of slog that stands for one of hclog. Those between have the same
// names; slog has none for trace.
func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Trace:
		return slog.LevelDebug - 4
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	}
	return slog.LevelInfo
}

func (l *slogLogger) enabled(level hclog.Level) bool {
	return level != hclog.Off && level >= hclog.Level(l.level.Load()) && l.handler.Enabled(context.Background(), slogLevel(level))
}

// log is called by the methods that others call, so that the caller's place is two calls
// above.
func (l *slogLogger) log(level hclog.Level, msg string, args []interface{}) {
	if !l.enabled(level) {
		return
	}
	var callers [1]uintptr
	runtime.Callers(3, callers[:])
	r := slog.NewRecord(time.Now(), slogLevel(level), msg, callers[0])
	if l.name != "" {
		r.AddAttrs(slog.String(NameKey, l.name))
	}
	r.AddAttrs(attrs(args)...)
	_ = l.handler.Handle(context.Background(), r) // hclog's loggers do not tell either
}

// attrs gives arguments as hclog takes them: keys and values in turn.
func attrs(args []interface{}) []slog.Attr {
	all := make([]slog.Attr, 0, (len(args)+1)/2)
	for i := 0; i < len(args); i += 2 {
		if i == len(args)-1 {
			all = append(all, slog.Any(hclog.MissingKey, slogValue(args[i])))
			break
		}
		key, ok := args[i].(string)
		if !ok {
			key = fmt.Sprint(args[i])
		}
		all = append(all, slog.Any(key, slogValue(args[i+1])))
	}
	return all
}

// slogValue writes what hclog has a form of its own for.
func slogValue(v interface{}) interface{} {
	switch v := v.(type) {
	case hclog.Format:
		if len(v) > 0 {
			return fmt.Sprintf(fmt.Sprint(v[0]), v[1:]...)
		}
	case hclog.Hex:
		return fmt.Sprintf("0x%x", int(v))
	case hclog.Octal:
		return fmt.Sprintf("0%o", int(v))
	case hclog.Binary:
		return fmt.Sprintf("0b%b", int(v))
	case hclog.Quote:
		return fmt.Sprintf("%q", string(v))
	}
	return v
}

// Log implements hclog.Logger.
func (l *slogLogger) Log(level hclog.Level, msg string, args ...interface{}) { l.log(level, msg, args) }

// Trace implements hclog.Logger.
func (l *slogLogger) Trace(msg string, args ...interface{}) { l.log(hclog.Trace, msg, args) }

// Debug implements hclog.Logger.
func (l *slogLogger) Debug(msg string, args ...interface{}) { l.log(hclog.Debug, msg, args) }

// Info implements hclog.Logger.
func (l *slogLogger) Info(msg string, args ...interface{}) { l.log(hclog.Info, msg, args) }

// Warn implements hclog.Logger.
func (l *slogLogger) Warn(msg string, args ...interface{}) { l.log(hclog.Warn, msg, args) }

// Error implements hclog.Logger.
func (l *slogLogger) Error(msg string, args ...interface{}) { l.log(hclog.Error, msg, args) }

// IsTrace implements hclog.Logger.
func (l *slogLogger) IsTrace() bool { return l.enabled(hclog.Trace) }

// IsDebug implements hclog.Logger.
func (l *slogLogger) IsDebug() bool { return l.enabled(hclog.Debug) }

// IsInfo implements hclog.Logger.
func (l *slogLogger) IsInfo() bool { return l.enabled(hclog.Info) }

// IsWarn implements hclog.Logger.
func (l *slogLogger) IsWarn() bool { return l.enabled(hclog.Warn) }

// IsError implements hclog.Logger.
func (l *slogLogger) IsError() bool { return l.enabled(hclog.Error) }

// ImpliedArgs implements hclog.Logger.
func (l *slogLogger) ImpliedArgs() []interface{} { return l.implied }

// With implements hclog.Logger.
func (l *slogLogger) With(args ...interface{}) hclog.Logger {
	more := *l
	more.handler = l.handler.WithAttrs(attrs(args))
	more.implied = append(l.implied[:len(l.implied):len(l.implied)], args...)
	return &more
}

// Name implements hclog.Logger.
func (l *slogLogger) Name() string { return l.name }

// Named implements hclog.Logger.
func (l *slogLogger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.ResetNamed(name)
}

// ResetNamed implements hclog.Logger.
func (l *slogLogger) ResetNamed(name string) hclog.Logger {
	named := *l
	named.name = name
	return &named
}

// SetLevel implements hclog.Logger. What the handler leaves out stays left out.
func (l *slogLogger) SetLevel(level hclog.Level) { l.level.Store(int32(level)) }

// GetLevel implements hclog.Logger.
func (l *slogLogger) GetLevel() hclog.Level {
	for level := hclog.Trace; level < hclog.Off; level++ {
		if l.enabled(level) {
			return level
		}
	}
	return hclog.Off
}

// StandardLogger implements hclog.Logger.
func (l *slogLogger) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(opts), "", 0)
}

// StandardWriter implements hclog.Logger.
func (l *slogLogger) StandardWriter(opts *hclog.StandardLoggerOptions) io.Writer {
	w := lineWriter{to: l}
	if opts != nil {
		w.opts = *opts
	}
	return w
}

// lineWriter logs each line that is written, as hclog's standard writers do.
type lineWriter struct {
	to   hclog.Logger
	opts hclog.StandardLoggerOptions
}

// Write implements io.Writer. It never fails.
func (w lineWriter) Write(line []byte) (int, error) {
	text, level := strings.TrimRight(string(line), " \t\n"), hclog.Info
	if w.opts.InferLevels && w.opts.InferLevelsWithTimestamp && w.opts.ForceLevel == hclog.NoLevel {
		text = strings.TrimLeft(text, "0123456789 \t:/.+-TZ")
	}
	if w.opts.InferLevels || w.opts.ForceLevel != hclog.NoLevel {
		level, text = levelOf(text)
	}
	if w.opts.ForceLevel != hclog.NoLevel {
		level = w.opts.ForceLevel
	}
	w.to.Log(level, text)
	return len(line), nil
}

// levelOf takes a level in brackets off a line.
func levelOf(line string) (hclog.Level, string) {
	if rest, ok := strings.CutPrefix(line, "["); ok {
		if word, after, ok := strings.Cut(rest, "]"); ok {
			level := hclog.LevelFromString(word)
			if word == "ERR" {
				level = hclog.Error
			}
			if level != hclog.NoLevel && level != hclog.Off {
				return level, strings.TrimSpace(after)
			}
		}
	}
	return hclog.Info, line
}
