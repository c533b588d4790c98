// SPDX-License-Identifier: MPL-2.0

package stdio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// What was written before Sync has reached the subscriptions after it, whatever
// the pump was about when it was called.
func TestSyncBringsWhatWasWritten(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	captured, err := stdio.Capture(hub, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 200 {
		sub := hub.Subscribe()
		var want strings.Builder
		for i := range 50 {
			line := fmt.Sprintf("round %d line %d\n", round, i)
			want.WriteString(line)
			_, _ = io.WriteString(captured.Stdout, line)
		}
		sub.Finish(t.Context())
		got := all(sub)
		// The first subscription gets what was there before it as well.
		if !strings.HasSuffix(got, want.String()) {
			t.Fatalf("round %d: %d bytes came, want %d", round, len(got), want.Len())
		}
	}
	if err := captured.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sub := hub.Subscribe()
	defer sub.Close()
	if err := sub.Sync(t.Context()); err != nil {
		t.Errorf("Sync after Close: %v", err)
	}
}

func TestPipeFinish(t *testing.T) {
	for name, closeW := range map[string]bool{"open": false, "closed": true} {
		t.Run(name, func(t *testing.T) {
			p, err := stdio.NewPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			got := make(chan string, 1)
			go func() {
				all, err := io.ReadAll(p)
				if err != nil {
					t.Error(err)
				}
				got <- string(all)
			}()
			want := strings.Repeat("0123456789\n", 20_000)
			_, _ = io.WriteString(p.W, want)
			if closeW {
				_ = p.W.Close()
			}
			p.Finish(t.Context())
			if all := <-got; all != want {
				t.Errorf("%d bytes came, want %d", len(all), len(want))
			}
			if n, err := p.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("Read after the end = %d, %v", n, err)
			}
		})
	}
}

// Writes without end do not hold up Sync and Finish.
func TestPipeFinishUnderEndlessWrites(t *testing.T) {
	p, err := stdio.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		for {
			if _, err := p.W.Write(make([]byte, 4<<10)); err != nil {
				return
			}
		}
	}()
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, p)
		read <- err
	}()
	for range 10 {
		if err := (stdio.Pipes{p}).Sync(t.Context()); err != nil {
			t.Error(err)
		}
	}
	p.Finish(t.Context())
	if err := <-read; err != nil {
		t.Error(err)
	}
	_ = p.Close()
	<-writing
}

// Sync is bounded by its context when nobody reads.
func TestSyncIsBounded(t *testing.T) {
	p, err := stdio.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, _ = io.WriteString(p.W, "words")
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	if err := (stdio.Pipes{p}).Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Sync = %v", err)
	}
}
