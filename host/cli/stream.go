// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// logBacklog is how many lines of the log wait for a slow reader of stderr.
	logBacklog = 1024
	// unreadWait is how long the process waits for whoever reads its output once it
	// is to end.
	unreadWait = 2 * time.Second
)

var errUnread = errors.New("nobody reads it, and the process is to end")

// stream is a standard stream of the process. A goroutine of its own writes to it, which
// may wait for ever for whoever ought to read: no write holds up the end of the process.
type stream struct {
	to     io.Writer
	unread context.CancelFunc // called when whoever read it has closed it
	writes chan output
}

type output struct {
	text   []byte
	result chan<- error // has room; nil: nobody asks
}

func (s *stream) run() {
	for w := range s.writes {
		_, err := s.to.Write(w.text)
		if errors.Is(err, syscall.EPIPE) {
			s.unread()
		}
		if w.result != nil {
			w.result <- err
		}
	}
}

// resultStream is stdout. Its writes wait until they are read, and for unreadWait once
// the process is to end.
type resultStream struct {
	stream
	late chan struct{} // closed when that has passed
}

// newResultStream writes to to until the process ends. end tells the process to, and
// ends ctx.
func newResultStream(ctx context.Context, end context.CancelFunc, to io.Writer) *resultStream {
	s := &resultStream{stream{to, end, make(chan output)}, make(chan struct{})}
	context.AfterFunc(ctx, func() { time.AfterFunc(unreadWait, func() { close(s.late) }) })
	go s.run()
	return s
}

// Write implements io.Writer.
func (s *resultStream) Write(p []byte) (int, error) {
	result := make(chan error, 1)
	select {
	case s.writes <- output{bytes.Clone(p), result}:
	case <-s.late:
		return 0, errUnread
	}
	select {
	case err := <-result:
		if err != nil {
			return 0, err
		}
		return len(p), nil
	case <-s.late:
		return 0, errUnread
	}
}

// logStream is stderr. Its writes wait for nobody, as whatever logs has other things to
// do: those that find no room are dropped and counted.
type logStream struct {
	stream
	dropped atomic.Int64
}

// newLogStream writes to to until the process ends, as newResultStream does.
func newLogStream(end context.CancelFunc, to io.Writer) *logStream {
	s := &logStream{stream: stream{to, end, make(chan output, logBacklog)}}
	go s.run()
	return s
}

// Write implements io.Writer.
func (s *logStream) Write(p []byte) (int, error) {
	if n := s.dropped.Swap(0); n > 0 && !s.put(fmt.Appendf(nil, "%d lines were dropped here, as nobody read them\n", n)) {
		s.dropped.Add(n)
	}
	if !s.put(bytes.Clone(p)) {
		s.dropped.Add(1)
	}
	return len(p), nil
}

// put reports whether there was room.
func (s *logStream) put(text []byte) bool {
	select {
	case s.writes <- output{text, nil}:
		return true
	default:
		return false
	}
}

// flush waits until all is read that was written before, and for unreadWait at most.
func (s *logStream) flush() {
	late := time.After(unreadWait)
	written := make(chan error, 1)
	select {
	case s.writes <- output{nil, written}:
	case <-late:
		return
	}
	select {
	case <-written:
	case <-late:
	}
}
