// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestUnreadLog: what a slow reader of stderr misses is counted, in its place.
func TestUnreadLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := io.Pipe()
		s := newLogStream(func() {}, in)
		defer close(s.writes)
		for n := range logBacklog + 11 { // one is on its way
			if wrote, err := io.WriteString(s, strconv.Itoa(n)+"\n"); wrote == 0 || err != nil {
				t.Fatalf("line %d: %d, %v", n, wrote, err)
			}
			synctest.Wait()
		}
		began := time.Now()
		s.flush()
		if took := time.Since(began); took != unreadWait {
			t.Errorf("nobody reads, and flush took %v", took)
		}
		var read strings.Builder
		go func() { _, _ = io.Copy(&read, out) }()
		synctest.Wait()
		_, _ = io.WriteString(s, "last\n")
		s.flush()
		_ = in.Close()
		synctest.Wait()
		if want := "1024\n10 lines were dropped here, as nobody read them\nlast\n"; !strings.HasSuffix(read.String(), want) {
			t.Errorf("it ends with %q, want %q", read.String()[max(0, read.Len()-100):], want)
		}
	})
}

// TestReaderHasGone: the process is told to end, whichever stream it was.
func TestReaderHasGone(t *testing.T) {
	told := make(chan struct{}, 1)
	end := func() { told <- struct{}{} }
	results, log := newResultStream(t.Context(), end, goneWriter{}), newLogStream(end, goneWriter{})
	defer close(results.writes)
	defer close(log.writes)
	if _, err := results.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("stdout: got %v", err)
	}
	<-told
	if _, err := log.Write([]byte("x")); err != nil {
		t.Errorf("stderr: got %v", err)
	}
	<-told
}

type goneWriter struct{}

func (goneWriter) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Err: syscall.EPIPE}
}
