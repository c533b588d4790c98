// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// callContext is the context of a call on the plugin. It ends with the deadline, when the
// host gives up, with the session, and after the answer. What that needs, a timer among it,
// is set up when it is asked for: most methods return before.
type callContext struct {
	context.Context // has values, and does not end
	stream          *mux.Stream
	deadline        time.Time // zero: none
	body            *body     // nil: gRPC does not read the request

	mu     sync.Mutex
	made   atomic.Pointer[context.Context] // what ends
	cancel context.CancelFunc
	over   bool // the call was answered
}

// init makes it the context of the call on a stream. timeout may be zero for none.
func (c *callContext) init(parent context.Context, stream *mux.Stream, timeout time.Duration) {
	c.Context, c.stream = parent, stream
	if timeout > 0 {
		c.deadline = time.Now().Add(timeout)
	}
}

// ending returns what ends.
func (c *callContext) ending() context.Context {
	if made := c.made.Load(); made != nil {
		return *made
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if made := c.made.Load(); made != nil {
		return *made
	}
	var ctx context.Context
	if c.deadline.IsZero() {
		ctx, c.cancel = context.WithCancel(c.Context)
	} else {
		ctx, c.cancel = context.WithDeadline(c.Context, c.deadline)
	}
	if c.over {
		c.cancel()
	} else {
		cancel := c.cancel
		c.stream.OnFail(func(error) { cancel() })
	}
	c.made.Store(&ctx)
	return ctx
}

// Deadline implements context.Context.
func (c *callContext) Deadline() (deadline time.Time, ok bool) {
	return c.deadline, !c.deadline.IsZero()
}

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} { return c.ending().Done() }

// Err implements context.Context.
func (c *callContext) Err() error { return c.ending().Err() }

// bodyKey is the key of the body of a call.
type bodyKey struct{}

// streamKey is the key of the stream of a call.
type streamKey struct{}

// IsUnary reports whether a method is known to have one request and one answer: its caller
// says so. ctx is the call's.
func IsUnary(ctx context.Context) bool {
	stream, _ := ctx.Value(streamKey{}).(*mux.Stream)
	return stream != nil && stream.Purpose() == mux.UnaryCall
}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	switch key {
	case bodyKey{}:
		return c.body
	case streamKey{}:
		return c.stream
	}
	if made := c.made.Load(); made != nil {
		return (*made).Value(key) // Package context looks for its own there.
	}
	return c.Context.Value(key)
}

// release ends the context after the call.
func (c *callContext) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.stream.OnFail(nil)
		c.cancel()
	}
}
