// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/printable"
)

// maxLine is the longest line, in bytes, that is logged in one piece.
const maxLine = 16 << 10

// lineLogger logs what is written to it, a line each.
type lineLogger struct {
	logger hclog.Logger
	stream string

	mu      sync.Mutex
	partial []byte
}

func newLineLogger(logger hclog.Logger, stream string) *lineLogger {
	return &lineLogger{logger: logger, stream: stream}
}

// Write never fails, so that a plugin's output is never held up.
func (l *lineLogger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if room := maxLine - len(l.partial); len(line) > room {
			l.partial = append(l.partial, line[:room]...)
			l.log()
			rest = rest[room:]
			continue
		}
		l.partial = append(l.partial, line...)
		if whole {
			l.log()
		}
		rest = after
	}
	return len(p), nil
}

// flush logs a last line that did not end.
func (l *lineLogger) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.log()
	}
}

func (l *lineLogger) log() {
	l.logger.Log(hclog.Info, printable.Text(strings.TrimSuffix(string(l.partial), "\r")), "stream", l.stream)
	l.partial = l.partial[:0]
}

// Bounds of Words.
const (
	lastLines    = 5
	lastLineSize = 4 << 10 // bytes of one line that are looked at
	lastLineText = 400     // bytes of it that are kept
)

// Words keeps what a process wrote last to its stderr, or, if it crashed,
// the first lines of what Go says of a crash: the stack traces that follow fill
// screens.
type Words struct {
	mu      sync.Mutex
	line    []byte // the line that is being written
	lines   []string
	crashed bool // lines are those of a crash
	traced  bool // what follows are stack traces
}

// Write never fails.
func (w *Words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0; {
		part, after, whole := bytes.Cut(rest, []byte{'\n'})
		w.line = append(w.line, part[:min(len(part), lastLineSize-len(w.line))]...)
		if whole {
			w.add(readable(w.line))
			w.line = w.line[:0]
		}
		rest = after
	}
	return len(p), nil
}

func (w *Words) add(line string) {
	switch {
	case line == "" || w.traced:
		return
	case w.crashed && strings.HasPrefix(line, "goroutine "):
		w.traced = true
		return
	case !w.crashed && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")):
		w.crashed, w.lines = true, nil
	case w.crashed && len(w.lines) == lastLines:
		return // the first say what happened
	case len(w.lines) == lastLines:
		w.lines = slices.Delete(w.lines, 0, 1)
	}
	w.lines = append(w.lines, line)
}

// readable gives the message of a line that hclog wrote as JSON, and any other
// line as it is.
func readable(line []byte) string {
	var entry struct {
		Level   string `json:"@level"`
		Message string `json:"@message"`
		Error   string `json:"error"`
	}
	text := strings.TrimSpace(string(line))
	if json.Unmarshal(line, &entry) == nil && entry.Message != "" {
		text = "[" + strings.ToUpper(entry.Level) + "] " + entry.Message
		if entry.Error != "" {
			text += ": " + entry.Error
		}
	}
	return printable.Clip(printable.Line(text[:min(len(text), lastLineText)]), lastLineText)
}

// has reports whether one of the lines begins with prefix.
func (w *Words) has(prefix string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.lines, func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// String gives the lines in one, or "".
func (w *Words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	if rest := readable(w.line); rest != "" {
		lines = append(slices.Clone(lines), rest)
	}
	return strings.Join(lines, " | ")
}
