// SPDX-License-Identifier: MPL-2.0

package logging

import (
	"context"
	"log/slog"
	"time"

	"github.com/hashicorp/go-hclog"
)

// hclogHandler is a slog.Handler whose records go to an hclog.Logger.
type hclogHandler struct {
	logger hclog.Logger
	prefix string // of the open groups, each with a dot behind it
}

// FromSlog gives a handler whose records go to l.
func FromSlog(l hclog.Logger) slog.Handler { return hclogHandler{logger: l} }

// hclogLevel is the level of hclog that a level of slog belongs to.
func hclogLevel(level slog.Level) hclog.Level {
	switch {
	case level < slog.LevelDebug:
		return hclog.Trace
	case level < slog.LevelInfo:
		return hclog.Debug
	case level < slog.LevelWarn:
		return hclog.Info
	case level < slog.LevelError:
		return hclog.Warn
	}
	return hclog.Error
}

// Enabled implements slog.Handler. It asks the logger each time, so that SetLevel counts.
func (h hclogHandler) Enabled(_ context.Context, level slog.Level) bool {
	return writes(h.logger, hclogLevel(level))
}

// Handle implements slog.Handler.
func (h hclogHandler) Handle(_ context.Context, r slog.Record) error {
	args := make([]interface{}, 0, 2*r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		args = flatten(args, h.prefix, a)
		return true
	})
	h.logger.Log(hclogLevel(r.Level), r.Message, args...)
	return nil
}

// WithAttrs implements slog.Handler.
func (h hclogHandler) WithAttrs(all []slog.Attr) slog.Handler {
	var args []interface{}
	for _, a := range all {
		args = flatten(args, h.prefix, a)
	}
	if len(args) == 0 {
		return h
	}
	return hclogHandler{h.logger.With(args...), h.prefix}
}

// WithGroup implements slog.Handler.
func (h hclogHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return hclogHandler{h.logger, h.prefix + name + "."}
}

// flatten appends an attribute as a key and a value, and a group as its members: hclog
// knows none. A duration is written with its unit, as people read it.
func flatten(args []interface{}, prefix string, a slog.Attr) []interface{} {
	v := a.Value.Resolve()
	switch {
	case v.Kind() == slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			args = flatten(args, prefix, member)
		}
		return args
	case a.Equal(slog.Attr{}):
		return args
	}
	value := v.Any()
	if d, ok := value.(time.Duration); ok {
		value = d.String()
	}
	return append(args, prefix+a.Key, value)
}
