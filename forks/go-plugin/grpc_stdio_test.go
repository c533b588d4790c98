// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGRPCStdio(t *testing.T) {
	var out, errs awaitedBuffer
	done := make(chan struct{})
	script := scriptedOutput{
		{false, []byte("one ")}, {true, []byte("oops ")}, {false, nil}, {false, []byte("two")}, {true, bytes.Repeat([]byte("x"), 64<<10)},
	}
	newGRPCPair(t, pairOptions{
		service: func(cfg *grpcServiceConfig) { cfg.stdio = script },
		client: func(cfg *grpcClientConfig) {
			cfg.stdout, cfg.stderr = &out, &errs
			errs.notify(5+64<<10, done)
		},
	})
	<-done
	if got := out.String(); got != "one two" {
		t.Errorf("stdout = %q", got)
	}
	if got := errs.String(); got != "oops "+strings.Repeat("x", 64<<10) {
		t.Errorf("stderr has %d bytes, want %d", len(got), 5+64<<10)
	}
}

// A host whose writer fails still takes the output, so that the plugin does not
// block.
func TestGRPCStdioWriterFails(t *testing.T) {
	var errs awaitedBuffer
	done := make(chan struct{})
	newGRPCPair(t, pairOptions{
		service: func(cfg *grpcServiceConfig) {
			cfg.stdio = scriptedOutput{{false, []byte("lost")}, {false, []byte("too")}, {true, []byte("ok")}}
		},
		client: func(cfg *grpcClientConfig) {
			cfg.stdout, cfg.stderr = failingWriter{}, &errs
			errs.notify(2, done)
		},
	})
	<-done
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// awaitedBuffer is a buffer that says when it holds enough.
type awaitedBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	want int
	full chan struct{}
}

func (b *awaitedBuffer) notify(want int, full chan struct{}) { b.want, b.full = want, full }

func (b *awaitedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.buf.Write(p)
	if b.full != nil && b.buf.Len() >= b.want {
		close(b.full)
		b.full = nil
	}
	return n, err
}

func (b *awaitedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// What a child wrote before its host came waits in its pipes.
func TestReaderOutput(t *testing.T) {
	r, w := io.Pipe()
	output := newReaderOutput(r, strings.NewReader("from stderr"))
	defer output.close()
	go func() {
		_, _ = io.WriteString(w, "from stdout")
		_ = w.Close()
	}()
	sub := output.subscribe()
	defer sub.close()
	got := map[bool]string{}
	for {
		isStderr, data, err := sub.next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[isStderr] += string(data)
	}
	if diff := cmp.Diff(map[bool]string{false: "from stdout", true: "from stderr"}, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	silent, w2 := io.Pipe()
	defer w2.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEcho)
	if _, _, err := newReaderOutput(silent, nil).subscribe().next(ctx); !errors.Is(err, errEcho) {
		t.Errorf("next = %v, want the cause of its context", err)
	}
}

// scriptedOutput is a plugin's output that is known beforehand.
type scriptedOutput []outputChunk

func (o scriptedOutput) subscribe() stdioSubscription {
	rest := o
	return &scriptedSubscription{rest}
}

func (scriptedOutput) Settled() bool { return true }

func (scriptedOutput) Sync(context.Context) error { return nil }

type scriptedSubscription struct{ rest scriptedOutput }

func (s *scriptedSubscription) next(context.Context) (bool, []byte, error) {
	if len(s.rest) == 0 {
		return false, nil, io.EOF
	}
	chunk := s.rest[0]
	s.rest = s.rest[1:]
	return chunk.isStderr, chunk.data, nil
}

func (*scriptedSubscription) unsent(bool, []byte) {}

func (*scriptedSubscription) finish(context.Context) {}

func (*scriptedSubscription) close() {}
