// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
)

// A pipe is settled when nothing is in it, and who has read it has come for more.
func TestPipesSettled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nothing can be said of a pipe there")
	}
	p, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipes := Pipes{p}
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

// A subscription is settled when its reader has come for more and there is none.
func TestSubscriptionSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub(1 << 20)
		sub := hub.Subscribe()
		hub.Write(Stdout, []byte("one"))
		if sub.Settled() {
			t.Error("settled before anything was taken")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.ErrUnsupported)
		if err := sub.Sync(ctx); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Sync = %v before anything was taken", err)
		}
		synced := make(chan error)
		go func() { synced <- sub.Sync(t.Context()) }()
		if _, err := sub.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if sub.Settled() {
			t.Error("settled before it was passed on")
		}
		go func() { _, _ = sub.Next(t.Context()) }()
		if err := <-synced; err != nil || !sub.Settled() {
			t.Errorf("Sync = %v, settled %v", err, sub.Settled())
		}
		hub.Write(Stdout, []byte("two"))
		synctest.Wait()
		sub.Close()
		if !sub.Settled() || sub.Sync(t.Context()) != nil {
			t.Error("a closed subscription is not settled")
		}
	})
}

// Whoever gives up leaves nothing behind in a pipe whose reader does not come.
func TestPipeIsAskedOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a pipe cannot be asked there")
	}
	p, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	first := p.ask(false)
	if p.ask(false) != first {
		t.Error("each asking waits for an answer of its own")
	}
	_, _ = io.WriteString(p.W, "words")
	if n, err := p.Read(make([]byte, 10)); n != 5 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	if p.ask(false) == first {
		t.Error("an asking has the answer of one that the reader had taken before")
	}
}
