// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/reattach/reattach/test/interop/peer/store"
)

// keep is how much of a plugin's output a host remembers.
const keep = 64 << 10

// output is the writer for what a plugin prints. It checks floods on the way.
type output struct {
	// released is closed when writes no longer block.
	released chan struct{}
	release  func()

	mu      sync.Mutex
	head    bytes.Buffer
	rest    []byte
	bytes   int64
	lines   int64
	missing int64
	torn    int64
	next    int64

	notices, missed, noticeBytes int64
}

func newOutput(stall bool) *output {
	o := &output{released: make(chan struct{})}
	o.release = sync.OnceFunc(func() { close(o.released) })
	if !stall {
		o.release()
	}
	return o
}

// Write takes a piece of the plugin's output.
func (o *output) Write(p []byte) (int, error) {
	<-o.released
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes += int64(len(p))
	if room := keep - o.head.Len(); room > 0 {
		o.head.Write(p[:min(room, len(p))])
	}
	o.rest = append(o.rest, p...)
	whole := bytes.LastIndexByte(o.rest, '\n') + 1
	for line := range bytes.Lines(o.rest[:whole]) {
		o.line(line)
	}
	o.rest = append(o.rest[:0], o.rest[whole:]...)
	return len(p), nil
}

// start returns the first bytes.
func (o *output) start() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head.String()
}

// line counts one whole line. The host is expected to see a flood from its line
// 0 on.
func (o *output) line(line []byte) {
	if n, ok := store.FloodLineNumber(line); ok {
		o.missing += max(0, n-o.next)
		o.lines++
		o.next = n + 1
		return
	}
	var n int64
	if _, err := fmt.Sscanf(string(line), "[go-plugin: %d bytes of output missed]", &n); err == nil {
		o.notices++
		o.missed += n
		o.noticeBytes += int64(len(line))
		return
	}
	if bytes.Contains(line, []byte("...")) || bytes.HasPrefix(line, []byte("flood ")) {
		o.torn++
	}
}

// logLines is the writer for what the library logs.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

// Write takes one line.
func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

func (l *logLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}
