// SPDX-License-Identifier: MPL-2.0

package stdio_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// A pipe is settled when nothing is in it, and its reader has come for more.
func TestPipesSettled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nothing can be said of a pipe there")
	}
	p, err := stdio.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipes := stdio.Pipes{p}
	if !pipes.Settled() {
		t.Error("an empty pipe is not settled")
	}
	_, _ = io.WriteString(p.W, "one")
	if pipes.Settled() {
		t.Error("a pipe is settled that holds something")
	}
	if n, err := p.Read(make([]byte, 10)); n != 3 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	if pipes.Settled() {
		t.Error("a pipe is settled whose reader has not passed on what it has")
	}
	p.Passed()
	if !pipes.Settled() {
		t.Error("what was passed on is not settled")
	}
	reads := make(chan int)
	go func() {
		defer close(reads)
		for b := make([]byte, 10); ; {
			n, err := p.Read(b)
			if err != nil {
				return
			}
			reads <- n
		}
	}()
	_, _ = io.WriteString(p.W, "two")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.ErrUnsupported)
	if err := pipes.Sync(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Sync before it was taken: %v", err)
	}
	<-reads
	if err := pipes.Sync(t.Context()); err != nil || !pipes.Settled() {
		t.Errorf("Sync = %v, settled %v", err, pipes.Settled())
	}
	_ = p.Close()
	<-reads
	if !pipes.Settled() || pipes.Sync(t.Context()) != nil {
		t.Error("a closed pipe is not settled")
	}
}
