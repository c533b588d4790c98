// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
)

// Done is closed when a plugin on this machine has ended and its last output
// was read. For a remote plugin, whose sessions come and go, it is closed by
// Kill; [Session.Done] tells of one session.
func (c *Client) Done() <-chan struct{} {
	switch p := c.plugin.(type) {
	case *localPlugin:
		return p.process.Context().Done()
	case *remotePlugin:
		return p.ctx.Done()
	}
	return nil
}

// Err is nil until Done is closed. Then it says why a plugin on this machine
// ended: it matches [ErrConnectionLost], and wraps an *exec.ExitError if the
// process did not exit with 0. For a remote plugin it is [ErrDetached].
func (c *Client) Err() error {
	switch p := c.plugin.(type) {
	case *localPlugin:
		return context.Cause(p.process.Context())
	case *remotePlugin:
		if p.ctx.Err() != nil {
			return ErrDetached
		}
	}
	return nil
}
