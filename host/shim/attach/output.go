// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"io"
	"sync"
)

const (
	// maxEarly is how much of the plugin's output waits until the host can take it.
	maxEarly = 64 << 10
	// maxLogLine is the longest line that is looked at as a whole for what it is.
	maxLogLine = 64 << 10
)

// output is one stream of what the plugin prints, on its way to the host. Before the host
// knows the plugin, stdout is the handshake's, and the first bytes wait.
type output struct {
	mu    sync.Mutex
	to    io.Writer // nil: not yet
	early []byte
}

// Write implements io.Writer. It fails as the host's stream does.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.to == nil {
		o.early = append(o.early, p[:min(len(p), maxEarly-len(o.early))]...)
		o.mu.Unlock()
		return len(p), nil
	}
	o.mu.Unlock()
	return o.to.Write(p)
}

// start sends what has waited, and from then on all.
func (o *output) start(to io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = to.Write(o.early) // as the host is gone
	o.to, o.early = to, nil
}

// split parts the plugin's stderr: lines that are log entries of hclog go where a child
// writes its log, which a host reads them from, and all else is output.
type split struct {
	log, out io.Writer

	mu   sync.Mutex
	line []byte // that may be a log entry, and has not ended
}

// logEntry begins an entry of hclog in JSON.
const logEntry = `{"@`

// Write implements io.Writer.
func (s *split) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		s.line = append(s.line, rest[:end]...)
		rest = rest[end:]
		if err := s.passOn(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// passOn writes what there is of a line, unless more of it must come to know where to.
func (s *split) passOn() error {
	n := min(len(s.line), len(logEntry))
	whole := s.line[len(s.line)-1] == '\n'
	to := s.out
	if string(s.line[:n]) == logEntry[:n] {
		if !whole && len(s.line) < maxLogLine {
			return nil
		}
		if whole && n == len(logEntry) {
			to = s.log
		}
	}
	_, err := to.Write(s.line)
	s.line = s.line[:0]
	return err
}
