// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

func TestGRPCStdio(t *testing.T) {
	var out, errs awaitedBuffer
	done := make(chan struct{})
	output := sendsOutput(
		stdio.Chunk{Channel: stdio.Stdout, Data: []byte("one ")}, stdio.Chunk{Channel: stdio.Stderr, Data: []byte("oops ")},
		stdio.Chunk{Channel: stdio.Stdout, Data: []byte("two")}, stdio.Chunk{Channel: stdio.Stderr, Data: bytes.Repeat([]byte("x"), 60<<10)},
	)
	newGRPCPair(t, pairOptions{
		service: func(cfg *grpcServiceConfig) { cfg.output = output },
		client: func(cfg *grpcClientConfig) {
			cfg.stdout, cfg.stderr = &out, &errs
			errs.notify(5+60<<10, done)
		},
	})
	<-done
	if got := out.String(); got != "one two" {
		t.Errorf("stdout = %q", got)
	}
	if got := errs.String(); got != "oops "+strings.Repeat("x", 60<<10) {
		t.Errorf("stderr has %d bytes, want %d", len(got), 5+60<<10)
	}
}

// A host whose writer fails still takes the output, so that the plugin does not
// block.
func TestGRPCStdioWriterFails(t *testing.T) {
	var errs awaitedBuffer
	done := make(chan struct{})
	newGRPCPair(t, pairOptions{
		service: func(cfg *grpcServiceConfig) {
			cfg.output = sendsOutput(stdio.Chunk{Channel: stdio.Stdout, Data: []byte("lost")},
				stdio.Chunk{Channel: stdio.Stdout, Data: []byte("too")}, stdio.Chunk{Channel: stdio.Stderr, Data: []byte("ok")})
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

// sendsOutput returns a Sender of output that is known beforehand.
func sendsOutput(chunks ...stdio.Chunk) *grpcstdio.Sender {
	hub := stdio.NewHub(1 << 20)
	for _, c := range chunks {
		hub.Write(c.Channel, c.Data)
	}
	hub.Close()
	return grpcstdio.NewSender(func() stdio.Stream { return hub.Subscribe() })
}
