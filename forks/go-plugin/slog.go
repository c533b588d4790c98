// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/logging"
)

// NewSlogLogger returns a logger for the options of this library, such as
// ServeConfig.Logger and ClientConfig.Logger, whose records go to h. Its name is the
// attribute "logger", and its level trace is slog.LevelDebug-4. SetLevel leaves out more
// than h does, and never less.
func NewSlogLogger(h slog.Handler) hclog.Logger { return logging.ToSlog(h) }

// NewSlogHandler returns a handler whose records go to l, at the level that l has when
// they come: slog.New(plugin.NewSlogHandler(logger)) logs what a host reads as log
// entries if logger is that of a plugin. A group's members have its name and a dot in
// front of theirs. Records have the time at which l writes them.
func NewSlogHandler(l hclog.Logger) slog.Handler { return logging.FromSlog(l) }

// setLevel gives the logger of a plugin the level of PLUGIN_LOG_LEVEL, if that is set.
func setLevel(logger hclog.Logger) error {
	word := os.Getenv(env.LogLevel)
	if word == "" {
		return nil
	}
	level := hclog.LevelFromString(word)
	if level == hclog.NoLevel {
		return fmt.Errorf("%s is %q: want trace, debug, info, warn, error or off", env.LogLevel, word)
	}
	logger.SetLevel(level)
	return nil
}
