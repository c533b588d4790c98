// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"time"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// callContext is the context of a call on the plugin, with its request's body. It ends with
// the deadline, when the host gives up, with the session, and after the answer.
type callContext struct {
	context.Context
	cancel context.CancelFunc
	body   body
}

// newCallContext returns the context of the call on a stream. timeout may be zero for none.
// parent has values, and does not end: the stream does, with the session.
func newCallContext(parent context.Context, stream *mux.Stream, timeout time.Duration) *callContext {
	c := new(callContext)
	c.body.stream = stream
	if timeout > 0 {
		c.Context, c.cancel = context.WithTimeout(parent, timeout)
	} else {
		c.Context, c.cancel = context.WithCancel(parent)
	}
	stream.OnFail(c.failed)
	return c
}

func (c *callContext) failed(error) { c.cancel() }

// bodyKey is the key of the body of a call.
type bodyKey struct{}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	if key == (bodyKey{}) {
		return &c.body
	}
	return c.Context.Value(key)
}

// release ends the context after the call.
func (c *callContext) release() {
	c.body.stream.OnFail(nil)
	c.cancel()
}
