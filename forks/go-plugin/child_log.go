// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// hclogTime is the timestamp that hclog writes in JSON.
const hclogTime = "2006-01-02T15:04:05.000000Z07:00"

// forwardLog hands each line of a child's stderr to the host's logger, until
// the child closes it.
func (p *localPlugin) forwardLog(name string, stderr io.Reader) {
	forward := &logForwarder{
		logger: p.logger.Named(filepath.Base(name)),
		copy:   p.config.Stderr,
	}
	err := forward.run(bufio.NewReaderSize(stderr, p.config.PluginLogBufferSize))
	// It is closed here when only something that the child left behind holds it.
	if err != nil && !errors.Is(err, os.ErrClosed) {
		forward.logger.Error("reading plugin stderr", "error", err)
		// The pipe may still be open: the child must not block on it.
		_, _ = io.Copy(io.Discard, stderr)
	}
}

// logForwarder turns what a plugin wrote to stderr into log entries of the
// level that the plugin meant.
type logForwarder struct {
	logger hclog.Logger
	copy   io.Writer // gets the bytes as they are

	// panicking is set from the first line of a crash on: what follows is its
	// stack trace.
	panicking bool
}

func (f *logForwarder) run(r *bufio.Reader) error {
	partial := false // the line so far was longer than the buffer
	for {
		line, more, err := r.ReadLine()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		_, _ = f.copy.Write(line)
		if !more {
			_, _ = f.copy.Write([]byte{'\n'})
		}
		switch {
		case partial || more:
			// A piece of a line is no JSON.
			f.logger.Debug(string(line))
		case f.logger.GetLevel() != hclog.Off:
			f.line(line)
		}
		partial = more
	}
}

func (f *logForwarder) line(line []byte) {
	if entry, ok := parseLogEntry(line); ok {
		f.logger.Log(entry.level, entry.message, entry.args...)
		return
	}
	text := string(line)
	if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
		f.panicking = true
	}
	f.logger.Log(f.plainLevel(text), text)
}

// plainLevel is the level of a line that is no hclog entry.
func (f *logForwarder) plainLevel(text string) hclog.Level {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		if strings.HasPrefix(text, "["+strings.ToUpper(level.String())+"]") {
			return level
		}
	}
	if f.panicking {
		return hclog.Error
	}
	return hclog.Debug
}

// logEntry is one line that hclog wrote as JSON.
type logEntry struct {
	level   hclog.Level
	message string
	args    []any
}

// parseLogEntry reads an hclog entry. JSON of some other program is no entry:
// it is logged as it stands.
func parseLogEntry(line []byte) (logEntry, bool) {
	if len(line) == 0 || line[0] != '{' {
		return logEntry{}, false
	}
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return logEntry{}, false
	}
	level, _ := fields["@level"].(string)
	entry := logEntry{level: hclog.LevelFromString(level)}
	if entry.level == hclog.NoLevel {
		return logEntry{}, false
	}
	entry.message, _ = fields["@message"].(string)
	stamp, _ := fields["@timestamp"].(string)
	for _, key := range []string{"@level", "@message", "@timestamp"} {
		delete(fields, key)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		entry.args = append(entry.args, key, fields[key])
	}
	if at, err := time.Parse(hclogTime, stamp); err == nil {
		entry.args = append(entry.args, "timestamp", at.Format(hclog.TimeFormat))
	}
	return entry, true
}
