// SPDX-License-Identifier: MPL-2.0

package kit

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience bounds every wait for something that must happen.
const Patience = 40 * time.Second

// Eventually polls a condition until it holds. It ends the test if that takes longer
// than Patience.
func Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	if !Within(Patience, condition) {
		t.Fatalf("within %v it did not happen that %s", Patience, what)
	}
}

// Within polls a condition and reports whether it held before the limit.
func Within(limit time.Duration, condition func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; {
		if condition() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		<-tick.C
	}
}

// Buffer is a buffer that a process writes and a test reads.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns all that was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Tail shortens a long text to its end, for a test's log.
func Tail(text string) string {
	const limit = 8 << 10
	if len(text) <= limit {
		return text
	}
	return "..." + strings.ToValidUTF8(text[len(text)-limit:], "")
}
