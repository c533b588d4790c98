// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package rendezvous

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFindWaitsForAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewListeners()
		found := make(chan *Listener)
		go func() {
			lis, err := l.Find(t.Context(), 7)
			if err != nil {
				t.Errorf("Find(7): %v", err)
			}
			found <- lis
		}()
		synctest.Wait()
		l.Listen(6)
		synctest.Wait()
		select {
		case <-found:
			t.Fatal("Find(7) returned though only 6 is accepted")
		default:
		}
		want := l.Listen(7)
		if got := <-found; got != want {
			t.Errorf("Find(7) = %p, want %p", got, want)
		}
	})
}

func TestFindGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("five seconds are over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, reason)
		defer cancel()
		_, err := NewListeners().Find(ctx, 41)
		if !errors.Is(err, reason) || !strings.Contains(err.Error(), "41") {
			t.Errorf("Find = %v, want an error that names id 41 and the cause", err)
		}
	})
}
