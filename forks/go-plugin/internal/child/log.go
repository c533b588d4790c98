// SPDX-License-Identifier: MPL-2.0

package child

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/printable"
)

// ForwardLog hands each line of a child's stderr to the logger, with the level that
// the child meant, until the child closes it; raw gets the bytes as they are. A line
// of more than limit bytes is logged in pieces, each with the level of the line and
// the number of the piece.
func ForwardLog(logger hclog.Logger, stderr io.Reader, raw io.Writer, limit int) {
	f := &logForwarder{logger: logger, raw: raw}
	// It is closed here when only something that the child left behind holds it.
	if err := f.run(stderr, limit); !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
		logger.Error("reading plugin stderr", "error", err)
		// The pipe may still be open: the child must not block on it.
		_, _ = io.Copy(io.Discard, stderr)
	}
}

// logForwarder turns what a plugin wrote to stderr into log entries of the
// level that the plugin meant.
type logForwarder struct {
	logger hclog.Logger
	raw    io.Writer

	panicking bool // a crash has begun
}

// run forwards until reading fails, which the end of r is too.
func (f *logForwarder) run(r io.Reader, limit int) error {
	lines := bufio.NewReaderSize(r, limit+len("\r\n"))
	var (
		level hclog.Level // of the line that comes in pieces
		piece int         // the number of the last one, or 0
		rest  []byte      // what it left of a character
	)
	for {
		line, more, err := lines.ReadLine()
		if err != nil {
			return err
		}
		_, _ = f.raw.Write(line)
		if !more {
			_, _ = f.raw.Write([]byte{'\n'})
		}
		switch {
		case f.logger.GetLevel() == hclog.Off:
		case piece == 0 && !more:
			f.line(line)
		default:
			if piece++; piece == 1 {
				level = f.startLevel(line)
			}
			line = append(rest, line...)
			if rest = nil; more {
				whole := wholeRunes(line)
				line, rest = line[:whole], slices.Clone(line[whole:])
			}
			if len(line) > 0 {
				f.logger.Log(level, printable.Text(string(line)), "piece", piece)
			}
		}
		if !more {
			piece = 0
		}
	}
}

// wholeRunes is how much of text there is without a last character that is cut.
func wholeRunes(text []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		if start := len(text) - n; utf8.RuneStart(text[start]) {
			if !utf8.FullRune(text[start:]) {
				return start
			}
			break
		}
	}
	return len(text)
}

func (f *logForwarder) line(line []byte) {
	if entry, ok := parseLogEntry(line); ok {
		f.logger.Log(entry.level, entry.message, entry.args...)
		return
	}
	f.logger.Log(f.plainLevel(line), printable.Text(string(line)))
}

// startLevel is the level of a line that is too long to be read as an entry.
func (f *logForwarder) startLevel(start []byte) hclog.Level {
	if level := levelOfStart(start); level != hclog.NoLevel {
		return level
	}
	return f.plainLevel(start)
}

// plainLevel is the level of a line that is no hclog entry. All that comes after the
// first line which the runtime writes about a crash is an error.
func (f *logForwarder) plainLevel(line []byte) hclog.Level {
	f.panicking = f.panicking || bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: "))
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		if bytes.HasPrefix(line, []byte("["+strings.ToUpper(level.String())+"]")) {
			return level
		}
	}
	if f.panicking {
		return hclog.Error
	}
	return hclog.Debug
}
