// SPDX-License-Identifier: MPL-2.0

package stdio_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// flakyReader gives an error with every byte, as a stream whose connection has ended.
type flakyReader struct{ io.Reader }

func (r flakyReader) Read(p []byte) (int, error) {
	n, _ := r.Reader.Read(p[:1])
	return n, io.ErrUnexpectedEOF
}

func TestCopy(t *testing.T) {
	for name, src := range map[string]io.Reader{
		"at once":             strings.NewReader("all of it"),
		"in pieces":           iotest.OneByteReader(strings.NewReader("all of it")),
		"an error with data":  iotest.DataErrReader(strings.NewReader("all of it")),
		"errors with data":    flakyReader{strings.NewReader("all of it")},
		"an error after data": io.MultiReader(strings.NewReader("all of it"), iotest.ErrReader(errors.ErrUnsupported)),
	} {
		var got bytes.Buffer
		stdio.Copy(stdio.NewSink(&got, nil), src)
		if got.String() != "all of it" {
			t.Errorf("%s: %q", name, got.String())
		}
	}
}

// limitedWriter fails when it has got some bytes.
type limitedWriter struct{ left, failed int }

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		w.failed++
		return 0, io.ErrShortWrite
	}
	w.left -= len(p)
	return len(p), nil
}

// A writer that fails is not asked again, and holds nothing up.
func TestSinkOfBrokenWriter(t *testing.T) {
	writer := &limitedWriter{left: 5}
	var failed []error
	sink := stdio.NewSink(writer, func(err error) { failed = append(failed, err) })
	src := strings.NewReader("more than five bytes")
	stdio.Copy(sink, iotest.OneByteReader(src))
	if src.Len() > 0 || writer.failed != 1 || len(failed) != 1 || !errors.Is(failed[0], io.ErrShortWrite) || !sink.Drops() {
		t.Errorf("%d bytes were not read, the writer failed %d times, reported: %v", src.Len(), writer.failed, failed)
	}
}

func TestSinkThatDrops(t *testing.T) {
	for name, to := range map[string]io.Writer{"nil": nil, "Discard": io.Discard} {
		sink := stdio.NewSink(to, nil)
		if n, err := sink.Write([]byte("text")); n != 4 || err != nil || !sink.Drops() {
			t.Errorf("%s: Write = %d, %v, Drops %v", name, n, err, sink.Drops())
		}
	}
}

func TestPumpWait(t *testing.T) {
	release := make(chan struct{})
	pump := stdio.StartPump(func() { <-release })
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.ErrUnsupported)
	if err := pump.Wait(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Wait for one that runs = %v, want the cause of its context", err)
	}
	close(release)
	if err := pump.Wait(t.Context()); err != nil {
		t.Errorf("Wait for one that ends = %v", err)
	}
	if err := (*stdio.Pump)(nil).Wait(ctx); err != nil {
		t.Errorf("Wait for none = %v", err)
	}
}
