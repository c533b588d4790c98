// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// told is a Tracer and a Trace that notes what it is told.
type told struct{ said []string }

func (t *told) Begin(_ context.Context, c TracedCall) Trace {
	t.said = append(t.said, fmt.Sprintf("begin %s %s %s %s.%s", c.Plugin, c.Kind, c.Protocol, c.Service, c.Method))
	return t
}

func (t *told) Attempt(ctx context.Context, endpoint string) context.Context {
	t.said = append(t.said, "attempt "+endpoint)
	return ctx
}

func (t *told) Failed(sent bool, _ error) {
	t.said = append(t.said, fmt.Sprint("failed, sent: ", sent))
}

func (t *told) Ended(c Call) string {
	t.said = append(t.said, fmt.Sprintf("ended on %s after %d: %v", c.Endpoint, c.Attempts, c.Err))
	return "id"
}

// called keeps the call that an Observer is told of.
type called struct{ Call }

func (c *called) Called(call Call) { c.Call = call }

// A Tracer is told of each attempt, in order, and its ID reaches the Observer.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace, observer := &told{}, &called{}
		first, peers := newHandSession("a")
		router := newHandRouter(first)
		client := handStub(t, router, func(c *Config) {
			c.Tracing, c.Observer = Tracing{trace, "shop", "kind"}, observer
		})
		defer client.Close()
		done := goCall(client, "Get", "x")
		peer := <-peers
		peer.request(t)
		router.set(echoing("b"))
		_ = peer.Close()
		if r := <-done; r.err != nil {
			t.Fatal(r)
		}
		want := []string{"begin shop kind netrpc Plugin.Get", "attempt a", "failed, sent: true", "attempt b", "ended on b after 2: <nil>"}
		if !slices.Equal(trace.said, want) {
			t.Errorf("got  %q\nwant %q", trace.said, want)
		}
		if observer.TraceID != "id" {
			t.Errorf("the Observer was told of trace %q", observer.TraceID)
		}
	})
}

// What follows calls costs nothing where nobody does.
func TestNoTraceIsFree(t *testing.T) {
	tracing, ctx, lost := &Tracing{}, t.Context(), errors.New("lost")
	n := testing.AllocsPerRun(100, func() {
		trace := tracing.begin(ctx, protocolRPC, "Plugin.Get")
		if trace.attempt(ctx, "a") != ctx {
			t.Error("the context is another one")
		}
		trace.failed(true, lost)
		trace.ended(Call{})
	})
	if n != 0 {
		t.Errorf("%v allocations for a call that nobody follows", n)
	}
}
